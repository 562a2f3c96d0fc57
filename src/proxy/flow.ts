import type { Readable, Writable } from 'node:stream'
import { bytesOf } from './socket.ts'

// The states of one direction.
//   open     its source may send more
//   ended    the source has sent its last byte, and the sink is told to end after it
//   flushed  the sink has passed on every byte, and its FIN
export type FlowState = 'open' | 'ended' | 'flushed'

/**
 * Moves bytes from a source to a sink, unread. While the sink holds more than it wants, the source is paused: one read
 * and the sink's high-water mark are the most that is held.
 */
export class Flow {
  readonly #source: Readable
  readonly #sink: Writable
  readonly #onBytes: (count: number) => void
  readonly #onState: () => void
  #state: FlowState = 'open'
  #isDiscarding = false

  /** `onBytes` is called for what moves, and with 0 when the sink wants more; `onState` after each change of `state`. */
  constructor(source: Readable, sink: Writable, onBytes: (count: number) => void, onState: () => void) {
    this.#source = source
    this.#sink = sink
    this.#onBytes = onBytes
    this.#onState = onState
  }

  get state(): FlowState {
    return this.#state
  }

  start(): void {
    this.#source.on('data', this.#move)
    this.#source.once('end', this.#ended)
    this.#sink.on('drain', this.#drained)
    // A source that was paused may have told of its end when nobody listened.
    if (this.#source.readableEnded) this.#end()
    else if (!this.#sink.writableNeedDrain) this.#source.resume()
  }

  /** Lets go of both; the source stays paused. */
  stop(): void {
    this.#source.off('data', this.#move)
    this.#source.off('end', this.#ended)
    this.#sink.off('drain', this.#drained)
    this.#sink.off('finish', this.#flushed)
    this.#source.pause()
  }

  /**
   * The sink is gone, while what it sent is still on its way to the source's side. What the source sends now is read
   * and dropped: if it were closed with bytes unread, the kernel would reset it, and the answer with it.
   */
  discard(): void {
    if (this.#state === 'ended') this.#flushed()
    else if (this.#state === 'open') {
      this.#isDiscarding = true
      this.#source.resume()
    }
  }

  readonly #move = (chunk: unknown): void => {
    if (this.#isDiscarding) return
    const bytes = bytesOf(chunk, this.#source)
    if (!bytes) return
    this.#onBytes(bytes.length)
    if (!this.#sink.write(bytes)) this.#source.pause()
  }

  readonly #drained = (): void => {
    this.#onBytes(0)
    this.#source.resume()
  }

  readonly #ended = (): void => {
    // Whoever heard of the end before may have known better: then an error follows it.
    if (!this.#source.errored) this.#end()
  }

  #end(): void {
    if (this.#isDiscarding) return this.#flushed()
    this.#state = 'ended'
    this.#sink.once('finish', this.#flushed)
    this.#sink.end()
    this.#onState()
  }

  readonly #flushed = (): void => {
    if (this.#state === 'flushed') return
    this.#state = 'flushed'
    this.#onState()
  }
}
