import * as BYTES from './bytes.ts'
import { HeadError, type HeadErrorCode } from './error.ts'
import { checkRules } from './framing.ts'
import { FIRST_FIELD, Head, type HeadKind } from './head.ts'
import { Intake } from './intake.ts'
import { type HeadLimits, readLimit } from './limits.ts'

// Constants of this module: V8 folds these into the code, and looks up an imported one each time it is read.
const { BLANK, CLASS, COLON, CR, DIGIT, DIGIT_0, LF, NUL, SP, TARGET_BYTE, TOKEN, VISIBLE } = BYTES
const VALUE = VISIBLE | BLANK

// The states, in the order of the grammar (RFC 9112 2.1, 3, 4, 5). "awaits" is the byte that ends the state.
const START = 0 //          nothing of the head yet; one empty line may come first
const EMPTY_LINE = 1 //     after the CR of that empty line; awaits LF
const METHOD = 2 //         in the method; awaits SP
const TARGET = 3 //         in the request target; awaits SP
const VERSION = 4 //        in HTTP/x.y, of either kind; the eighth byte ends it
const VERSION_END = 5 //    after the version; awaits CR in a request, SP in a response
const STATUS = 6 //         in the three digits of the status; the third ends it
const STATUS_END = 7 //     after the status; awaits SP, or CR where there is no reason phrase
const REASON = 8 //         in the reason phrase; awaits CR
const START_LINE_END = 9 // after the CR of the start line; awaits LF
const FIELD_START = 10 //   at the start of a line; a CR ends the head
const FIELD_NAME = 11 //    in a field name; awaits the colon
const FIELD_GAP = 12 //     after the colon, in optional white space; awaits anything else
const FIELD_VALUE = 13 //   in a field value; awaits CR
const FIELD_END = 14 //     after the CR of a field line; awaits LF
const HEAD_END = 15 //      after the CR of the empty line that ends the head; awaits LF
const RULES = 16 //         the syntax is right; the rules on version, framing and Host are checked
const DONE = 17 //          the head has been found
const INVALID = 18 //       the head has been refused

const STATE_NAMES = (
  'Start EmptyLine Method Target Version VersionEnd Status StatusEnd Reason StartLineEnd ' +
  'FieldStart FieldName FieldGap FieldValue FieldEnd HeadEnd Rules Done Invalid'
).split(' ')

const VERSION_PATTERN = Buffer.from('HTTP/0.0')
/** Offset of the status in a response head. */
const STATUS_AT = VERSION_PATTERN.length + 1
const NOTHING = Buffer.alloc(0)

/** What a chunk led to: the head wants more bytes, is complete, or was refused. */
export type Verdict = 'more' | 'head' | 'invalid'

/**
 * Finds and checks one HTTP head in a stream of bytes (RFC 9112).
 *
 * The state is kept between chunks and no byte but the first is scanned twice, whatever the chunking: the work for a
 * head of n bytes is O(n) even when it comes one byte at a time. (Once the head is complete, the names of the fields,
 * and the values of Host, Content-Length and Transfer-Encoding, are read once more for the rules on them.)
 *
 * A head that lies in one chunk is not copied: the Head is offsets into that chunk, which must not be written to
 * afterwards. A head that is cut is joined in a buffer of its own, of at most `maxHeadBytes`; no chunk is kept for it.
 */
export class HeadScanner {
  readonly kind: HeadKind
  readonly #maxHeadBytes: number
  readonly #maxMarks: number

  #state = START
  #head: Head | undefined
  #error: HeadError | undefined
  #rest: Buffer = NOTHING

  #intake: Intake
  /** Where the parts of the head are, in bytes from its begin: see `Head`. */
  #marks: number[] = []

  /** @throws {RangeError} on a limit that is not a positive integer */
  constructor(kind: HeadKind, limits: HeadLimits = {}) {
    this.kind = kind
    this.#maxHeadBytes = readLimit(limits, 'maxHeadBytes')
    this.#intake = new Intake(this.#maxHeadBytes)
    this.#maxMarks = FIRST_FIELD + readLimit(limits, 'maxFields')
  }

  /** After 'head': the head. */
  get head(): Head | undefined {
    return this.#head
  }

  /** After 'head': the bytes of the last chunk past the head; a view, not a copy. */
  get rest(): Buffer {
    return this.#rest
  }

  /** After 'invalid': what was wrong, and where. */
  get error(): HeadError | undefined {
    return this.#error
  }

  /** Makes ready for the next head; `rest`, if any, is the first chunk to push. */
  reset(): void {
    this.#state = START
    this.#head = this.#error = undefined
    this.#rest = NOTHING
    this.#intake = new Intake(this.#maxHeadBytes)
    this.#marks = []
  }

  /**
   * Takes the next bytes. Never throws on what they are; after 'invalid' it stays 'invalid'.
   * @throws {Error} after 'head', without a `reset()`: the bytes would be lost
   */
  push(chunk: Uint8Array): Verdict {
    if (this.#state === INVALID) return 'invalid'
    if (this.#state === DONE) throw new Error('HeadScanner: push() after the head; call reset() first')

    const from = this.#state === START && chunk.length > 0 ? this.#scanStart(chunk) : 0
    // The limit is set before a byte past it is looked at, so that the verdict is the same however the bytes are cut.
    const end = this.#intake.end(chunk)
    const i = this.#scan(chunk, from, end)

    if (this.#state === INVALID) return 'invalid'
    if (this.#state === RULES) return this.#finish(chunk, i)
    if (end < chunk.length) return this.#refuse('HEAD_TOO_LARGE', this.#intake.offset(end))
    this.#intake.keep(chunk, end)
    return 'more'
  }

  /**
   * The bytes end here: what there is of a head is refused as `INCOMPLETE`.
   * @throws {Error} after 'head', without a `reset()`
   */
  end(): HeadError {
    if (this.#state === DONE) throw new Error('HeadScanner: end() after the head; call reset() first')
    if (!this.#error) this.#refuse('INCOMPLETE', this.#intake.offset(0))
    return this.#error!
  }

  /** Goes from state to state until the bytes end, the head ends, or it is refused. */
  #scan(chunk: Uint8Array, from: number, end: number): number {
    let i = from
    while (i < end) {
      // biome-ignore format: a state a line
      switch (this.#state) {
        case EMPTY_LINE: i = this.#scanLineEnd(chunk, i, METHOD); break
        case METHOD: i = this.#scanMethod(chunk, i, end); break
        case TARGET: i = this.#scanTarget(chunk, i, end); break
        case VERSION: i = this.#scanVersion(chunk, i, end); break
        case VERSION_END: i = this.#scanVersionEnd(chunk, i); break
        case STATUS: i = this.#scanStatus(chunk, i, end); break
        case STATUS_END: i = this.#scanStatusEnd(chunk, i); break
        case REASON: i = this.#scanReason(chunk, i, end); break
        case START_LINE_END: i = this.#scanLineEnd(chunk, i, FIELD_START); break
        case FIELD_START: i = this.#scanFieldStart(chunk, i, end); break
        case FIELD_NAME: i = this.#scanFieldName(chunk, i, end); break
        case FIELD_GAP: i = this.#scanFieldGap(chunk, i, end); break
        case FIELD_VALUE: i = this.#scanFieldValue(chunk, i, end); break
        case FIELD_END: i = this.#scanLineEnd(chunk, i, FIELD_START); break
        case HEAD_END: i = this.#scanLineEnd(chunk, i, RULES); break
        default: return i // RULES, INVALID: nothing more to look at
      }
    }
    return i
  }

  // RFC 9112 2.2: a server should ignore at least one empty line before the request line. One is what we take.
  #scanStart(chunk: Uint8Array): number {
    if (this.kind === 'request' && chunk[0] === CR) {
      this.#intake.drop(2)
      this.#state = EMPTY_LINE
      return 1
    }
    this.#state = this.kind === 'request' ? METHOD : VERSION
    return 0
  }

  #scanMethod(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      if (CLASS[byte]! & TOKEN) continue
      const at = i + this.#intake.before
      if (byte === CR) return this.#bad(at === 0 ? 'EMPTY_LINES' : 'BAD_START_LINE', byte, i)
      if (byte !== SP || at === 0) return this.#bad('BAD_METHOD', byte, i)
      return this.#endPart(i, TARGET)
    }
    return end
  }

  #scanTarget(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      if (CLASS[byte]! & TARGET_BYTE) continue
      if (byte === CR) return this.#bad('BAD_START_LINE', byte, i)
      if (byte !== SP || i + this.#intake.before === this.#marks[0]! + 1) return this.#bad('BAD_TARGET', byte, i)
      return this.#endPart(i, VERSION)
    }
    return end
  }

  // RFC 9112 2.3: HTTP-version is case-sensitive, and each number one digit. Which are taken is one of the rules.
  #scanVersion(chunk: Uint8Array, from: number, end: number): number {
    const start = this.kind === 'request' ? this.#marks[1]! + 1 : 0
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      const at = i + this.#intake.before - start
      const isRight = VERSION_PATTERN[at] === DIGIT_0 ? CLASS[byte]! & DIGIT : byte === VERSION_PATTERN[at]
      if (!isRight) return this.#bad('BAD_VERSION', byte, i)
      if (at < VERSION_PATTERN.length - 1) continue
      this.#state = VERSION_END
      return i + 1
    }
    return end
  }

  #scanVersionEnd(chunk: Uint8Array, i: number): number {
    const byte = chunk[i]!
    if (byte !== (this.kind === 'request' ? CR : SP)) {
      return this.#bad(byte === CR ? 'BAD_START_LINE' : 'BAD_VERSION', byte, i)
    }
    return this.#endPart(i, this.kind === 'request' ? START_LINE_END : STATUS)
  }

  #scanStatus(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      const at = i + this.#intake.before - STATUS_AT
      if (!(CLASS[byte]! & DIGIT) || (at === 0 && byte === DIGIT_0)) return this.#bad('BAD_STATUS', byte, i)
      if (at < 2) continue
      this.#state = STATUS_END
      return i + 1
    }
    return end
  }

  // RFC 9112 4 wants the space even where no reason phrase follows it; servers that leave it out are many.
  #scanStatusEnd(chunk: Uint8Array, i: number): number {
    const byte = chunk[i]!
    if (byte !== SP && byte !== CR) return this.#bad('BAD_STATUS', byte, i)
    this.#endPart(i, REASON)
    return byte === CR ? this.#endPart(i, START_LINE_END) : i + 1
  }

  #scanReason(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      if (CLASS[byte]! & (VISIBLE | BLANK)) continue
      if (byte !== CR) return this.#bad('BAD_REASON', byte, i)
      return this.#endPart(i, START_LINE_END)
    }
    return end
  }

  // RFC 9112 2.2: a lone CR is never a line end, nor a byte that may stand anywhere in a head.
  #scanLineEnd(chunk: Uint8Array, i: number, next: number): number {
    const byte = chunk[i]!
    if (byte !== LF) return this.#bad('BARE_CR', byte, i)
    this.#state = next
    return i + 1
  }

  #scanFieldStart(chunk: Uint8Array, i: number, end: number): number {
    const byte = chunk[i]!
    if (byte === CR) {
      this.#state = HEAD_END
      return i + 1
    }
    if (!(CLASS[byte]! & TOKEN)) {
      // RFC 9112 5.2 and 2.2: neither a folded line nor white space before the first field is taken.
      if (CLASS[byte]! & BLANK) return this.#bad('OBS_FOLD', byte, i)
      return this.#bad(byte === COLON ? 'EMPTY_FIELD_NAME' : 'BAD_FIELD_NAME', byte, i)
    }
    if (this.#marks.length === this.#maxMarks) return this.#fail('TOO_MANY_FIELDS', i)
    this.#endPart(i, FIELD_NAME)
    return this.#scanFieldName(chunk, i + 1, end)
  }

  #scanFieldName(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      if (CLASS[byte]! & TOKEN) continue
      if (byte === COLON) {
        this.#state = FIELD_GAP
        return this.#scanFieldGap(chunk, i + 1, end)
      }
      // RFC 9112 5.1: no white space between the name and the colon.
      if (CLASS[byte]! & BLANK) return this.#bad('SPACE_BEFORE_COLON', byte, i)
      return this.#bad(byte === CR ? 'MISSING_COLON' : 'BAD_FIELD_NAME', byte, i)
    }
    return end
  }

  #scanFieldGap(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      if (CLASS[byte]! & BLANK) continue
      if (CLASS[byte]! & VISIBLE) {
        this.#state = FIELD_VALUE
        return this.#scanFieldValue(chunk, i + 1, end)
      }
      if (byte !== CR) return this.#bad('BAD_FIELD_VALUE', byte, i)
      this.#state = FIELD_END
      return i + 1
    }
    return end
  }

  #scanFieldValue(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      if (CLASS[byte]! & VALUE) continue
      if (byte !== CR) return this.#bad('BAD_FIELD_VALUE', byte, i)
      this.#state = FIELD_END
      return i + 1
    }
    return end
  }

  /** A part of the head ends, or begins, at byte i of the chunk, which is done with. */
  #endPart(i: number, next: number): number {
    this.#marks.push(i + this.#intake.before)
    this.#state = next
    return i + 1
  }

  /** The last LF is there: makes the Head, and holds it against the rules that go beyond syntax. */
  #finish(chunk: Uint8Array, i: number): Verdict {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const bytes = this.#intake.take(buffer, i)
    const fault = checkRules(this.kind, bytes, this.#marks)
    if (fault) return this.#refuse(fault.code, this.#intake.begin + fault.at)
    this.#state = DONE
    this.#head = new Head(this.kind, bytes, this.#marks)
    if (i < chunk.length) this.#rest = buffer.subarray(i)
    return 'head'
  }

  /** Refuses byte i. A NUL or a bare LF has a code of its own wherever it stands. */
  #bad(code: HeadErrorCode, byte: number, i: number): number {
    if (byte === NUL) return this.#fail('NUL', i, byte)
    if (byte === LF) return this.#fail('BARE_LF', i, byte)
    return this.#fail(code, i, byte)
  }

  #fail(code: HeadErrorCode, i: number, byte?: number): number {
    this.#refuse(code, this.#intake.offset(i), byte)
    return i
  }

  #refuse(code: HeadErrorCode, offset: number, byte?: number): Verdict {
    this.#error = new HeadError(code, offset, STATE_NAMES[this.#state]!, byte)
    this.#state = INVALID
    this.#intake = new Intake(this.#maxHeadBytes)
    return 'invalid'
  }
}
