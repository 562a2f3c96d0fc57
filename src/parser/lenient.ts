import * as BYTES from './bytes.ts'
import type { HeadError } from './error.ts'
import { checkMended } from './framing.ts'
import { FIRST_FIELD, type Head } from './head.ts'
import { type HeadLimits, readLimit } from './limits.ts'
import { HeadScanner, type Verdict } from './scanner.ts'
import { Splice } from './splice.ts'

// Constants of this module: see scanner.ts.
const { BLANK, CLASS, COLON, CR, DIGIT, DIGIT_0, LF, TOKEN, VISIBLE } = BYTES
const TEXT = VISIBLE | BLANK

// The states: what has to be known of a head to mend it. Whether it is one, the strict scanner judges.
const START = 0 //          before the head; empty lines are dropped
const START_LINE = 1 //     in the start line
const START_LINE_END = 2 // after its CR; awaits LF
const FIELD_START = 3 //    at the start of the first field's line
const NAME = 4 //           in a field name; awaits the colon
const NAME_END = 5 //       in the white space after it, which is dropped; awaits the colon
const VALUE = 6 //          in a field value
const VALUE_END = 7 //      after its CR; awaits LF
const NEXT_LINE = 8 //      at the start of the line after a field's: white space makes it part of the value
const HEAD_END = 9 //       after the CR of the empty line; awaits LF
const DONE = 10 //          the head has been found

const CRLF = Buffer.from('\r\n')
const SPACE = Buffer.from(' ')
const ZERO = Buffer.from('0')
const ONE = Buffer.from('1')
const NOTHING = Buffer.alloc(0)

/** Columns of the start line: the numbers of the version, and what stands around the status (RFC 9112 4). */
const MAJOR = 5
const MINOR = 7
const VERSION_END = 8
const STATUS_END = 12

/**
 * Finds a response head in a stream of bytes as `HeadScanner` does, and takes those that are not right to the letter,
 * about as Node's client does with `insecureHTTPParser`. `head` is mended: it is one that `HeadScanner` takes, and what
 * was right of it stands as it came.
 *
 * | what came | what it becomes |
 * |---|---|
 * | an LF without its CR | CRLF (RFC 9112 2.2) |
 * | empty lines before the head | nothing |
 * | a version of other numbers than 1.0 and 1.1 | HTTP/1.0 where it begins with 0, else HTTP/1.1 (RFC 9110 2.5) |
 * | a status line that ends with the status | the same with its space (RFC 9112 4) |
 * | white space before a colon | nothing (RFC 9112 5.1) |
 * | a control character, NUL too, in a value or reason | a space (RFC 9110 5.5) |
 * | a line end and the white space that a folded line begins with | that white space (RFC 9112 5.2) |
 *
 * All else is refused as `HeadScanner` does, a lone CR for one. So is a mended head that readers might find another
 * body behind: both Content-Length and Transfer-Encoding, either of them malformed, or with a value to be mended.
 *
 * It hands what it has mended to a `HeadScanner`, and like that keeps its state between chunks: the work is O(n)
 * whatever the chunking. The limits hold for the head as it came and as it is mended. A head that is right, and lies in
 * one chunk, is not copied.
 */
export class LenientScanner {
  readonly kind = 'response'
  readonly #maxHeadBytes: number
  readonly #strict: HeadScanner
  readonly #splice: Splice

  #state = START
  #rest: Buffer = NOTHING
  /** Offset in the stream of the line end that may turn out to be a fold. */
  #held = 0
  /** Bytes of the start line so far. */
  #column = 0
  /** The first number of the version. */
  #major = 0
  /** Of the mended head, see `Marks`. */
  #marks: number[] = []
  /** Where in the stream the line of each field begins. */
  #lines: number[] = []
  /** The fields whose value was mended, by the index of their mark. */
  #mended = new Set<number>()

  /** @throws {RangeError} on a limit that is not a positive integer */
  constructor(limits: HeadLimits = {}) {
    this.#maxHeadBytes = readLimit(limits, 'maxHeadBytes')
    this.#strict = new HeadScanner(this.kind, limits)
    this.#splice = new Splice(this.#strict)
  }

  /** After 'head': the head, mended. */
  get head(): Head | undefined {
    return this.#strict.head
  }

  /** After 'head': the bytes of the last chunk past the head; a view, not a copy. */
  get rest(): Buffer {
    return this.#rest
  }

  /** After 'invalid': what was wrong, and where in the bytes as they came. */
  get error(): HeadError | undefined {
    return this.#splice.error
  }

  /** Makes ready for the next head; `rest`, if any, is the first chunk to push. */
  reset(): void {
    this.#splice.reset()
    this.#state = START
    this.#rest = NOTHING
    this.#column = 0
    this.#marks = []
    this.#lines = []
    this.#mended = new Set()
  }

  /**
   * Takes the next bytes. Never throws on what they are; after 'invalid' it stays 'invalid'.
   * @throws {Error} after 'head', without a `reset()`: the bytes would be lost
   */
  push(chunk: Uint8Array): Verdict {
    if (this.error) return 'invalid'
    if (this.#state === DONE) throw new Error('LenientScanner: push() after the head; call reset() first')
    const splice = this.#splice
    const end = Math.min(chunk.length, this.#maxHeadBytes - splice.before)
    splice.begin(chunk)
    const i = this.#mend(chunk, end)
    // A line end that may be a fold waits for the byte after it.
    const isHeld = this.#state === VALUE_END || this.#state === NEXT_LINE
    splice.give(isHeld ? this.#held - splice.before : i)
    if (this.#state === DONE && !this.error) return this.#finish(chunk, i)
    if (end < chunk.length) splice.refuse('HEAD_TOO_LARGE', splice.before + end)
    splice.end(end)
    return this.error ? 'invalid' : 'more'
  }

  /**
   * The bytes end here: what there is of a head is refused as `INCOMPLETE`.
   * @throws {Error} after 'head', without a `reset()`
   */
  end(): HeadError {
    if (this.head) throw new Error('LenientScanner: end() after the head; call reset() first')
    return this.#splice.refuse('INCOMPLETE', this.#splice.before)
  }

  /** Goes from state to state until the bytes end, the head ends, or it is refused. */
  #mend(chunk: Uint8Array, end: number): number {
    let i = 0
    while (i < end && !this.error) {
      // biome-ignore format: a state a line
      switch (this.#state) {
        case START: i = this.#dropLineEnds(chunk, i, end); break
        case START_LINE: i = this.#mendStartLine(chunk, i); break
        case START_LINE_END: i = this.#endStartLine(i); break
        case FIELD_START: i = this.#startLine(chunk, i); break
        case NAME: i = this.#passName(chunk, i, end); break
        case NAME_END: i = this.#dropBlanks(chunk, i, end); break
        case VALUE: i = this.#mendValue(chunk, i, end); break
        case VALUE_END: i = this.#endValue(chunk, i); break
        case NEXT_LINE: i = this.#nextLine(chunk, i); break
        case HEAD_END: i = this.#endHead(i); break
        default: return i // DONE: nothing more to look at
      }
    }
    return i
  }

  // RFC 9112 2.2 has a server drop them before a request; before a response they are left of the one before it.
  #dropLineEnds(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      if (byte === CR || byte === LF) continue
      this.#splice.drop(i)
      this.#state = START_LINE
      return this.#mendStartLine(chunk, i)
    }
    this.#splice.drop(end)
    return end
  }

  #mendStartLine(chunk: Uint8Array, i: number): number {
    const byte = chunk[i]!
    const column = this.#column++
    if (byte === CR || byte === LF) {
      // The strict scanner takes it without the space, too: this alone makes no head a mended one.
      if (column === STATUS_END) this.#splice.insert(i, SPACE)
      this.#state = START_LINE_END
      if (byte === CR) return i + 1
      this.#splice.replace(i, CRLF)
      return this.#endStartLine(i)
    }
    if (column === MAJOR && CLASS[byte]! & DIGIT) {
      this.#major = byte - DIGIT_0
      if (this.#major !== 1) this.#splice.replace(i, ONE)
    } else if (column === MINOR && CLASS[byte]! & DIGIT) {
      const minor = this.#major === 0 || (this.#major === 1 && byte === DIGIT_0) ? ZERO : ONE
      if (byte !== minor[0]) this.#splice.replace(i, minor)
    } else if (column > STATUS_END && !(CLASS[byte]! & TEXT)) {
      this.#splice.replace(i, SPACE)
    }
    return i + 1
  }

  // What stands here in the place of an LF, the strict scanner judges.
  #endStartLine(i: number): number {
    this.#marks.push(VERSION_END, STATUS_END, this.#splice.offsetOf(i + 1) - CRLF.length)
    this.#state = FIELD_START
    return i + 1
  }

  /** At the start of a line that is no part of the line before it. */
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
    this.#lines.push(this.#splice.before + i)
    this.#marks.push(this.#splice.offsetOf(i))
    this.#state = NAME
    if (CLASS[byte]! & TOKEN) return i + 1
    // RFC 9112 2.2: a line before the first field that starts with white space is none.
    return CLASS[byte]! & BLANK ? this.#judge(i) : this.#endName(i, byte)
  }

  #passName(chunk: Uint8Array, from: number, end: number): number {
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
      this.#splice.give(i)
      this.#splice.drop(i + 1)
    } else if (byte === LF) {
      this.#splice.replace(i, CRLF)
    } else {
      this.#judge(i)
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
      else this.#splice.replace(i, SPACE) // and what has white space in its name is refused
      return i + 1
    }
    this.#splice.drop(end)
    return end
  }

  #mendValue(chunk: Uint8Array, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = chunk[i]!
      if (CLASS[byte]! & TEXT) continue
      if (byte === CR || byte === LF) {
        this.#held = this.#splice.before + i
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
    if (this.#held < this.#splice.before) this.#splice.add(CRLF.subarray(0, 1), this.#held)
    return this.#judge(i)
  }

  #nextLine(chunk: Uint8Array, i: number): number {
    const splice = this.#splice
    const held = this.#held - splice.before
    if (CLASS[chunk[i]!]! & BLANK) {
      splice.give(held)
      splice.drop(i)
      this.#replaceInValue(i)
      this.#state = VALUE
      return i + 1
    }
    if (i - held === 1) {
      splice.give(held)
      splice.add(CRLF, this.#held, LF)
      splice.drop(i)
      splice.isChanged = true
    } else if (held < 0) {
      splice.add(CRLF.subarray(0, -held), this.#held)
    }
    return this.#startLine(chunk, i)
  }

  // RFC 9110 5.5 has a space in the place of NUL, and lets it stand in that of other control characters; RFC 9112 5.2
  // has one in the place of a fold.
  #replaceInValue(i: number): void {
    this.#splice.replace(i, SPACE)
    this.#mended.add(this.#marks.length - 1)
  }

  // What stands here in the place of an LF, the strict scanner judges.
  #endHead(i: number): number {
    this.#state = DONE
    return i + 1
  }

  /** Byte i is one that the strict scanner refuses. */
  #judge(i: number): number {
    this.#splice.give(i + 1)
    return i + 1
  }

  /** The last LF is there. */
  #finish(chunk: Uint8Array, i: number): Verdict {
    const splice = this.#splice
    const fault = splice.isChanged ? checkMended(this.head!.bytes(), this.#marks, this.#mended) : undefined
    if (fault) {
      const k = this.#marks.findLastIndex((mark) => mark <= fault.at)
      splice.refuse(fault.code, this.#lines[k - FIRST_FIELD]!, 'Rules')
      return 'invalid'
    }
    splice.end(i)
    if (i < chunk.length) this.#rest = Buffer.from(chunk.buffer, chunk.byteOffset + i, chunk.length - i)
    return 'head'
  }
}
