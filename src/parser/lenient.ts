import * as BYTES from './bytes.ts'
import type { HeadError } from './error.ts'
import type { Head } from './head.ts'
import { HeldLineEnd } from './held-line-end.ts'
import { type HeadLimits, readLimit } from './limits.ts'
import { RepairedParts } from './repaired-parts.ts'
import { HeadScanner, type Verdict } from './scanner.ts'
import { Splice } from './splice.ts'
import { StatusLine } from './status-line.ts'

// V8 inlines constants of this module, but looks up imported ones on each read.
const { BLANK, CLASS, COLON, CR, LF, TOKEN, VISIBLE } = BYTES
const TEXT = VISIBLE | BLANK

// The states: only what repairs need. The strict scanner checks the rest.
const START = 0 //          before the head; empty lines are dropped
const START_LINE = 1 //     in the start line
const START_LINE_END = 2 // after its CR; awaits LF
const FIELD_START = 3 //    at the start of the first field's line
const NAME = 4 //           in a field name; awaits the colon
const NAME_END = 5 //       in white space after the name, which is dropped; awaits the colon
const VALUE = 6 //          in a field value
const VALUE_END = 7 //      after its CR; awaits LF
const NEXT_LINE = 8 //      at the start of the next line; white space continues the value
const HEAD_END = 9 //       after the CR of the empty line; awaits LF
const DONE = 10 //          the head has been found

const CRLF = Buffer.from('\r\n')
const SPACE = Buffer.from(' ')
const NOTHING = Buffer.alloc(0)

/**
 * A `HeadScanner` for response heads that break minor rules; it accepts about the same as Node's client does with
 * `insecureHTTPParser`. `head` is repaired so that `HeadScanner` would accept it. Valid parts stay unchanged.
 *
 * | received | repaired |
 * |---|---|
 * | an LF without its CR | CRLF (RFC 9112 2.2) |
 * | empty lines before the head | nothing |
 * | a version other than 1.0 and 1.1 | HTTP/1.0 if it starts with 0, else HTTP/1.1 (RFC 9110 2.5) |
 * | a status line that ends after the status | the same with a space at the end (RFC 9112 4) |
 * | white space before a colon | nothing (RFC 9112 5.1) |
 * | a control character or NUL in a value or reason phrase | a space (RFC 9110 5.5) |
 * | the line end of a folded line and the white space after it | white space (RFC 9112 5.2) |
 * | several equal Content-Length values | one Content-Length (RFC 9110 8.6) |
 *
 * Everything else that `HeadScanner` refuses is refused, such as a lone CR. So is any other repair in the value of
 * Content-Length or Transfer-Encoding, because parsers could disagree about where the body ends.
 *
 * The work is O(n) however the stream is cut. The limits apply to the head both as received and as repaired. A valid
 * head in one chunk is not copied.
 */
export class LenientScanner {
  readonly kind = 'response'
  readonly #maxHeadBytes: number
  readonly #strict: HeadScanner
  readonly #splice: Splice
  readonly #statusLine: StatusLine
  readonly #lineEnd: HeldLineEnd

  #state = START
  #rest: Buffer = NOTHING
  #parts = new RepairedParts()

  /** @throws {RangeError} on a limit that is not a positive integer */
  constructor(limits: HeadLimits = {}) {
    this.#maxHeadBytes = readLimit(limits, 'maxHeadBytes')
    this.#strict = new HeadScanner(this.kind, limits, () => undefined)
    this.#splice = new Splice(this.#strict)
    this.#statusLine = new StatusLine(this.#splice)
    this.#lineEnd = new HeldLineEnd(this.#splice)
  }

  /** The repaired head, after 'head'. */
  get head(): Head | undefined {
    return this.#strict.head
  }

  /** The bytes of the last chunk after the head (a view), after 'head'. */
  get rest(): Buffer {
    return this.#rest
  }

  /** The reason for 'invalid'. Its offset is in the received bytes. */
  get error(): HeadError | undefined {
    return this.#splice.error
  }

  /** Prepares for the next head. Push `rest` first if it has bytes. */
  reset(): void {
    this.#splice.reset()
    this.#state = START
    this.#rest = NOTHING
    this.#statusLine.reset()
    this.#parts = new RepairedParts()
  }

  /**
   * Scans the next bytes. The verdict stays 'invalid' once it was.
   * @throws {Error} after 'head' without a `reset()`, because the bytes would be lost
   */
  push(chunk: Uint8Array): Verdict {
    if (this.error) return 'invalid'
    if (this.#state === DONE) throw new Error('LenientScanner: push() after the head; call reset() first')
    const splice = this.#splice
    const end = Math.min(chunk.length, this.#maxHeadBytes - splice.before)
    splice.begin(chunk)
    const i = this.#repair(chunk, end)
    // Hold back a line end that may be a fold until the next byte.
    if (this.#state === VALUE_END || this.#state === NEXT_LINE) this.#lineEnd.forwardBefore()
    else splice.forward(i)
    if (this.#state === DONE && !this.error) return this.#finish(chunk, i)
    if (end < chunk.length) splice.refuse('HEAD_TOO_LARGE', splice.before + end)
    splice.end(end)
    return this.error ? 'invalid' : 'more'
  }

  /**
   * Call this when the stream ends inside a head. Returns the error, `INCOMPLETE` unless the head was invalid before.
   * @throws {Error} after 'head' without a `reset()`
   */
  end(): HeadError {
    if (this.head) throw new Error('LenientScanner: end() after the head; call reset() first')
    return this.#splice.refuse('INCOMPLETE', this.#splice.before)
  }

  /** Runs the states until the bytes end, the head ends or it is refused. */
  #repair(chunk: Uint8Array, end: number): number {
    let i = 0
    while (i < end && !this.error) {
      // biome-ignore format: a state a line
      switch (this.#state) {
        case START: i = this.#dropLineEnds(chunk, i, end); break
        case START_LINE: i = this.#repairStartLine(chunk, i); break
        case START_LINE_END: i = this.#endStartLine(i); break
        case FIELD_START: i = this.#startLine(chunk, i); break
        case NAME: i = this.#scanName(chunk, i, end); break
        case NAME_END: i = this.#dropBlanks(chunk, i, end); break
        case VALUE: i = this.#repairValue(chunk, i, end); break
        case VALUE_END: i = this.#endValue(chunk, i); break
        case NEXT_LINE: i = this.#nextLine(chunk, i); break
        case HEAD_END: i = this.#endHead(i); break
        default: return i // DONE
      }
    }
    return i
  }

  // RFC 9112 2.2 lets a server drop empty lines before a request. Before a response they belong to the previous one.
  #dropLineEnds(chunk: Uint8Array, from: number, end: number): number {
    let i = from
    while (i < end && (chunk[i] === CR || chunk[i] === LF)) i++
    this.#splice.drop(i)
    if (i < end) this.#state = START_LINE
    return i
  }

  #repairStartLine(chunk: Uint8Array, i: number): number {
    const byte = chunk[i]!
    if (byte !== CR && byte !== LF) {
      this.#statusLine.repair(byte, i)
      return i + 1
    }
    this.#statusLine.end(i)
    this.#state = START_LINE_END
    if (byte === CR) return i + 1
    this.#splice.replace(i, CRLF)
    return this.#endStartLine(i)
  }

  // The strict scanner checks that this byte is LF.
  #endStartLine(i: number): number {
    this.#parts.endStartLine(this.#splice.offsetOf(i + 1) - CRLF.length)
    this.#state = FIELD_START
    return i + 1
  }

  /** At the start of a line that does not continue the one before. */
  #startLine(chunk: Uint8Array, i: number): number {
    const byte = chunk[i]!
    if (byte === CR) {
      this.#state = HEAD_END
      return i + 1
    }
    if (byte === LF) {
      this.#splice.replace(i, CRLF)
      return this.#endHead(i)
    }
    this.#parts.startField(this.#splice.offsetOf(i), this.#splice.before + i)
    this.#state = NAME
    if (CLASS[byte]! & TOKEN) return i + 1
    // RFC 9112 2.2: the line after the start line must not start with white space.
    return CLASS[byte]! & BLANK ? this.#refuseStrictly(i) : this.#endName(i, byte)
  }

  #scanName(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      if (!(CLASS[byte]! & TOKEN)) return this.#endName(i, byte)
    }
    return end
  }

  #endName(i: number, byte: number): number {
    if (byte === COLON) {
      this.#state = VALUE
    } else if (CLASS[byte]! & BLANK) {
      this.#state = NAME_END
      this.#splice.forward(i)
      this.#splice.drop(i + 1)
    } else if (byte === LF) {
      this.#splice.replace(i, CRLF)
    } else {
      this.#refuseStrictly(i)
    }
    return i + 1
  }

  // RFC 9112 5.1: a proxy removes white space before the colon of a response's field.
  #dropBlanks(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      this.#splice.drop(i)
      if (CLASS[byte]! & BLANK) continue
      if (byte === COLON) this.#state = VALUE
      else this.#splice.replace(i, SPACE) // The strict scanner refuses the space in the name.
      return i + 1
    }
    this.#splice.drop(end)
    return end
  }

  #repairValue(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      if (CLASS[byte]! & TEXT) continue
      if (byte === CR || byte === LF) {
        this.#lineEnd.hold(i)
        this.#state = byte === CR ? VALUE_END : NEXT_LINE
      } else {
        this.#replaceInValue(i)
      }
      return i + 1
    }
    return end
  }

  #endValue(chunk: Uint8Array, i: number): number {
    if (chunk[i] === LF) {
      this.#state = NEXT_LINE
      return i + 1
    }
    this.#lineEnd.forwardCr()
    return this.#refuseStrictly(i)
  }

  #nextLine(chunk: Uint8Array, i: number): number {
    if (!(CLASS[chunk[i]!]! & BLANK)) {
      this.#lineEnd.forward(i)
      return this.#startLine(chunk, i)
    }
    this.#lineEnd.drop(i)
    this.#replaceInValue(i)
    this.#state = VALUE
    return i + 1
  }

  // RFC 9110 5.5 allows a space in place of NUL, and RFC 9112 5.2 in place of a fold. Other control characters get the
  // same.
  #replaceInValue(i: number): void {
    this.#splice.replace(i, SPACE)
    this.#parts.repairValue()
  }

  // The strict scanner checks that this byte is LF.
  #endHead(i: number): number {
    this.#state = DONE
    return i + 1
  }

  /** Lets the strict scanner refuse byte i. */
  #refuseStrictly(i: number): number {
    this.#splice.forward(i + 1)
    return i + 1
  }

  /** Checks the complete head. */
  #finish(chunk: Uint8Array, i: number): Verdict {
    const splice = this.#splice
    const finding = this.#parts.check(this.head!.bytes())
    if (finding && 'code' in finding) {
      splice.refuse(finding.code, finding.at, 'Rules')
      return 'invalid'
    }
    if (finding) this.head!.set(finding.name, finding.value)
    splice.end(i)
    if (i < chunk.length) this.#rest = Buffer.from(chunk.buffer, chunk.byteOffset + i, chunk.length - i)
    return 'head'
  }
}
