import { HeadError, type HeadErrorCode } from './error.ts'
import type { HeadScanner } from './scanner.ts'

const NOTHING = new Uint8Array(0)

/**
 * Feeds a stream to a scanner with some bytes replaced, and converts the offset of the scanner's error to the original
 * stream. Unchanged bytes are forwarded in pieces as large as possible; an unchanged chunk is forwarded as it is.
 */
export class Splice {
  readonly #scanner: HeadScanner
  #error: HeadError | undefined
  #chunk: Uint8Array = NOTHING
  #before = 0
  /** Offset in the chunk of the first byte that is not forwarded yet. */
  #from = 0
  /** Bytes forwarded since the last reset. */
  #forwarded = 0

  constructor(scanner: HeadScanner) {
    this.#scanner = scanner
  }

  /** The error of the scanner or of `refuse()`. Nothing is forwarded after it. */
  get error(): HeadError | undefined {
    return this.#error
  }

  /** Offset of the chunk in the stream. */
  get before(): number {
    return this.#before
  }

  /** Starts the next chunk. */
  begin(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#from = 0
  }

  /** Ends the chunk. `count` of its bytes were used. */
  end(count: number): void {
    this.#before += count
    this.#chunk = NOTHING
  }

  reset(): void {
    this.#scanner.reset()
    this.#error = undefined
    this.#chunk = NOTHING
    this.#before = this.#from = this.#forwarded = 0
  }

  /** Returns the scanner's offset of byte i of the chunk. */
  offsetOf(i: number): number {
    return this.#forwarded + i - this.#from
  }

  /** Forwards the chunk up to byte `to`. */
  forward(to: number): void {
    const from = this.#from
    if (to <= from) return
    const chunk = this.#chunk
    this.add(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to), this.#before + from)
    this.#from = to
  }

  /** Forwards the chunk up to byte i, then `bytes`. */
  insert(i: number, bytes: Uint8Array): void {
    this.forward(i)
    this.add(bytes, this.#before + i, this.#chunk[i])
  }

  /** Forwards the chunk up to byte i, then `by` in place of that byte. */
  replace(i: number, by: Uint8Array): void {
    this.insert(i, by)
    this.drop(i + 1)
  }

  /** Drops the bytes before `to` that were not forwarded. */
  drop(to: number): void {
    this.#from = to
  }

  /** Forwards bytes. The stream has them at `at`, or has the byte `original` there instead. */
  add(bytes: Uint8Array, at: number, original?: number): void {
    if (this.#error) return
    if (this.#scanner.push(bytes) === 'invalid') {
      const { code, offset, state, byte } = this.#scanner.error!
      if (original === undefined) this.#fail(new HeadError(code, at + offset - this.#forwarded, state, byte))
      else this.#fail(new HeadError(code, at, state, byte === undefined ? undefined : original))
    }
    this.#forwarded += bytes.length
  }

  /** Refuses a head that the scanner accepts. */
  refuse(code: HeadErrorCode, offset: number, state?: string): HeadError {
    return this.#error ?? this.#fail(new HeadError(code, offset, state ?? this.#scanner.end().state))
  }

  #fail(error: HeadError): HeadError {
    this.#error = error
    this.#scanner.reset()
    return error
  }
}
