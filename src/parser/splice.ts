import { HeadError, type HeadErrorCode } from './error.ts'
import type { HeadScanner } from './scanner.ts'

const NOTHING = new Uint8Array(0)

/**
 * Hands a stream on to a scanner with some of its bytes replaced, and tells the scanner's error in the offsets of the
 * stream. What is left as it is goes on in pieces as large as can be: a chunk of which nothing is replaced, as it came.
 */
export class Splice {
  readonly #scanner: HeadScanner
  /** Whether bytes of the stream were replaced or left out. */
  isChanged = false
  #error: HeadError | undefined
  #chunk: Uint8Array = NOTHING
  /** Bytes of the stream before this chunk. */
  #before = 0
  /** From here on the chunk is still to be handed on. */
  #from = 0
  /** Bytes handed on. */
  #given = 0

  constructor(scanner: HeadScanner) {
    this.#scanner = scanner
  }

  /** What the scanner refused, or `refuse` did. From then on nothing is handed on. */
  get error(): HeadError | undefined {
    return this.#error
  }

  /** Bytes of the stream before this chunk. */
  get before(): number {
    return this.#before
  }

  /** The next chunk; the one before is done with, up to its byte `end`. */
  begin(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#from = 0
  }

  /** The chunk is done with: so many of its bytes were of the stream. */
  end(count: number): void {
    this.#before += count
    this.#chunk = NOTHING
  }

  reset(): void {
    this.#scanner.reset()
    this.#error = undefined
    this.isChanged = false
    this.#chunk = NOTHING
    this.#before = this.#from = this.#given = 0
  }

  /** How many bytes the scanner has been given when it gets to byte i of the chunk. */
  offsetOf(i: number): number {
    return this.#given + i - this.#from
  }

  /** Hands the chunk on up to its byte `to`. */
  give(to: number): void {
    const from = this.#from
    if (to <= from) return
    const chunk = this.#chunk
    this.add(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to), this.#before + from)
    this.#from = to
  }

  /** Hands the chunk on up to its byte i, then other bytes. */
  insert(i: number, bytes: Uint8Array): void {
    this.give(i)
    this.add(bytes, this.#before + i, this.#chunk[i])
  }

  /** Hands the chunk on up to its byte i, and other bytes in place of that. */
  replace(i: number, by: Uint8Array): void {
    this.insert(i, by)
    this.drop(i + 1)
  }

  /** Leaves out what of the chunk is still to be handed on before byte `to`. */
  drop(to: number): void {
    if (to > this.#from) this.isChanged = true
    this.#from = to
  }

  /** Hands on bytes which the stream has at `at`, or in whose place it has the byte `instead` there. */
  add(bytes: Uint8Array, at: number, instead?: number): void {
    if (this.#error) return
    if (this.#scanner.push(bytes) === 'invalid') {
      const { code, offset, state, byte } = this.#scanner.error!
      if (instead === undefined) this.#fail(new HeadError(code, at + offset - this.#given, state, byte))
      else this.#fail(new HeadError(code, at, state, byte === undefined ? undefined : instead))
    }
    this.#given += bytes.length
  }

  /** Refuses what the scanner would go on with. */
  refuse(code: HeadErrorCode, offset: number, state?: string): HeadError {
    return this.#error ?? this.#fail(new HeadError(code, offset, state ?? this.#scanner.end().state))
  }

  #fail(error: HeadError): HeadError {
    this.#error = error
    this.#scanner.reset()
    return error
  }
}
