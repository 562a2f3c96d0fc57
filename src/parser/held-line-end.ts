import { LF } from './bytes.ts'
import type { Splice } from './splice.ts'

const CRLF = Buffer.from('\r\n')

/** A line end after a value. It is held back until the next byte tells whether the line is folded. */
export class HeldLineEnd {
  readonly #splice: Splice
  /** Offset in the stream. */
  #at = 0

  constructor(splice: Splice) {
    this.#splice = splice
  }

  /** Holds the line end that starts with byte i of the chunk. */
  hold(i: number): void {
    this.#at = this.#splice.before + i
  }

  /** Forwards the chunk up to the line end. */
  forwardBefore(): void {
    this.#splice.forward(this.#at - this.#splice.before)
  }

  /** Drops the line end. Byte i of the chunk follows it. */
  drop(i: number): void {
    this.forwardBefore()
    this.#splice.drop(i)
  }

  /** Forwards the line end, with a CR if it lacks one. Byte i of the chunk follows it. */
  forward(i: number): void {
    const held = this.#at - this.#splice.before
    if (i - held > 1) return this.#forwardEarlier(-held)
    this.forwardBefore()
    this.#splice.add(CRLF, this.#at, LF)
    this.#splice.drop(i)
  }

  /** Forwards a CR that no LF follows. */
  forwardCr(): void {
    this.#forwardEarlier(Math.min(1, this.#splice.before - this.#at))
  }

  /** Forwards the bytes of the line end that were in an earlier chunk. */
  #forwardEarlier(count: number): void {
    if (count > 0) this.#splice.add(CRLF.subarray(0, count), this.#at)
  }
}
