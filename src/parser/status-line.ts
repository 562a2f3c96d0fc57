import * as BYTES from './bytes.ts'
import type { Splice } from './splice.ts'

// V8 inlines constants of this module, but looks up imported ones on each read.
const { BLANK, CLASS, DIGIT, DIGIT_0, VISIBLE } = BYTES
const TEXT = VISIBLE | BLANK

const SPACE = Buffer.from(' ')
const ZERO = Buffer.from('0')
const ONE = Buffer.from('1')

/** Columns of the status line: the version's digits, and the spaces around the status (RFC 9112 4). */
const MAJOR = 5
const MINOR = 7
export const VERSION_END = 8
export const STATUS_END = 12

/** Repairs a status line: its version, control characters in the reason phrase, and a missing space at the end. */
export class StatusLine {
  readonly #splice: Splice
  /** Length of the line so far, in bytes. */
  #column = 0
  /** The version's major digit. */
  #major = 0

  constructor(splice: Splice) {
    this.#splice = splice
  }

  reset(): void {
    this.#column = 0
  }

  /** Repairs byte i of the chunk, which is neither CR nor LF. */
  repair(byte: number, i: number): void {
    const column = this.#column++
    if (column === MAJOR && CLASS[byte]! & DIGIT) {
      this.#major = byte - DIGIT_0
      if (this.#major !== 1) this.#splice.replace(i, ONE)
    } else if (column === MINOR && CLASS[byte]! & DIGIT) {
      const minor = this.#major === 0 || (this.#major === 1 && byte === DIGIT_0) ? ZERO : ONE
      if (byte !== minor[0]) this.#splice.replace(i, minor)
    } else if (column > STATUS_END && !(CLASS[byte]! & TEXT)) {
      this.#splice.replace(i, SPACE)
    }
  }

  /** Ends the line before byte i of the chunk. */
  end(i: number): void {
    // The strict scanner accepts the line without the space too.
    if (this.#column === STATUS_END) this.#splice.insert(i, SPACE)
  }
}
