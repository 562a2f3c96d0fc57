import type { Duplex } from 'node:stream'
import type { BodyError, BodyScanner } from '../parser/index.ts'
import { DropPace, PacedWriter, type Pausable } from './tunnel/index.ts'

/** Pieces of data that are shorter than this on average, in bytes, are cheaper to copy than to write one by one. */
const SMALL_BYTES = 1_024

/**
 * Moves the body of one message to a sink, and reads only its framing. The source is paused while the sink is full.
 */
export class BodyFlow extends PacedWriter<Pausable> {
  readonly #scanner: BodyScanner
  readonly #moved: () => void
  /** The sink gets the data of chunks without their framing. */
  readonly #isDataOnly: boolean
  /** The bytes are dropped. */
  #drop: DropPace | undefined

  /** `moved` is called when a full sink wants more. */
  constructor(source: Pausable, sink: Duplex, scanner: BodyScanner, moved: () => void, isDataOnly = false) {
    super(source, sink)
    this.#scanner = scanner
    this.#moved = moved
    this.#isDataOnly = isDataOnly
  }

  get state(): BodyScanner['state'] {
    return this.#scanner.state
  }

  get error(): BodyError | undefined {
    return this.#scanner.error
  }

  /** Moves the bytes of the body, and returns how many there are. Calls `done` when it no longer uses a lent buffer. */
  push(bytes: Buffer, done?: () => void): number {
    const pieces: Uint8Array[] | undefined = this.#isDataOnly ? [] : undefined
    const count = this.#scanner.push(bytes, pieces)
    const isSent = count > 0 && !this.#drop && this.#scanner.state !== 'invalid'
    if (!isSent) {
      done?.()
      if (this.#scanner.state === 'more') this.#drop?.dropped(count)
      return count
    }
    if (pieces) this.#sendPieces(pieces, count, done)
    else this.#send(count === bytes.length ? bytes : bytes.subarray(0, count), done)
    return count
  }

  #send(bytes: Uint8Array, done?: () => void): void {
    if (done) this.lend(bytes, done)
    else if (!this.write(bytes) && this.#scanner.state === 'more') this.wait()
  }

  /** Sends the data of `length` bytes of body. */
  #sendPieces(data: Uint8Array[], length: number, done?: () => void): void {
    const pieces = length < data.length * SMALL_BYTES ? [Buffer.concat(data)] : data
    const last = pieces.pop()
    if (!last) return done?.()
    this.sink.cork()
    for (const bytes of pieces) this.write(bytes)
    this.#send(last, done)
    this.sink.uncork()
  }

  /** Call this when the source ends. Returns the error of an incomplete body. */
  end(): BodyError | undefined {
    return this.#scanner.end()
  }

  /** Reads the rest of the body and drops it, slowly if it is long. */
  discard(): void {
    this.#drop = new DropPace(this.source)
    this.release()
    this.source.resume()
  }

  /** Releases source and sink. */
  stop(): void {
    this.#drop?.stop()
    this.release()
  }

  protected override accepted(): void {
    this.#moved()
  }
}
