import type { Writable } from 'node:stream'

/** Longest time in ms for a write to a sink that keeps up. */
const SLOW_MS = 50

/** A sink keeps up once it has accepted this many bytes, which is more than the kernel buffers for a stalled client. */
const PROVEN_BYTES = 16_777_216

/** A source that can wait for its sink. */
export interface Pausable {
  pause(): unknown
  resume(): unknown
}

/** Writes bytes to a sink, and pauses their source while the sink is full. */
export abstract class PacedWriter<S extends Pausable> {
  protected readonly source: S
  protected readonly sink: Writable
  #isReleased = false
  #isBorrowing = false
  #pausedAt = 0
  /** Bytes written since the sink was last slow. */
  #proven = 0
  /** Made on demand, because most writers never wait and many are idle for long. */
  #drained: (() => void) | undefined

  constructor(source: S, sink: Writable) {
    this.source = source
    this.sink = sink
  }

  /** Called when a full sink accepts bytes again, before the source resumes. */
  protected abstract accepted(): void

  /** Whether the sink has accepted much without being slow. */
  get keepsUp(): boolean {
    return this.#proven >= PROVEN_BYTES
  }

  /** Whether a lent buffer is still being written. */
  get isBorrowing(): boolean {
    return this.#isBorrowing
  }

  /** Pauses the source until the sink wants more. Does nothing after `release`. */
  wait(): void {
    if (this.#isReleased) return
    this.#pause()
    if (this.#drained) return
    this.#drained = () => this.#resume()
    this.sink.on('drain', this.#drained)
  }

  /** Writes bytes. Returns false if the sink is full. */
  protected write(bytes: Uint8Array): boolean {
    this.#proven += bytes.length
    return this.sink.write(bytes)
  }

  /** Writes bytes of a buffer that its owner reuses after `done`. The source waits until then. */
  protected lend(bytes: Uint8Array, done: () => void): void {
    this.#proven += bytes.length
    // Use the callback, because 'drain' is not emitted below the high-water mark.
    this.sink.write(bytes, () => {
      done()
      if (this.#isBorrowing) this.#resume()
    })
    if (this.sink.writableLength === 0) return
    this.#isBorrowing = true
    this.#pause()
  }

  /** Leaves the source to others: it is neither paused nor resumed from now on. */
  protected release(): void {
    this.#isReleased = true
    if (this.#drained) this.sink.off('drain', this.#drained)
    this.#drained = undefined
  }

  #pause(): void {
    this.#pausedAt = performance.now()
    this.source.pause()
  }

  #resume(): void {
    this.#isBorrowing = false
    if (this.#isReleased) return
    if (performance.now() - this.#pausedAt > SLOW_MS) this.#proven = 0
    this.accepted()
    this.source.resume()
  }
}
