import type { Readable } from 'node:stream'
import { bytesOf } from '../socket.ts'
import type { Pausable } from './paced-writer.ts'

/** Unwanted bytes are dropped at full speed up to this count. After that the sender is slowed down. */
export const DROP_FREELY_BYTES = 16_777_216

/** ms per read or write after that. */
export const DROP_EVERY_MS = 10

/** Slows down a source whose bytes are dropped. */
export class DropPace {
  readonly #source: Pausable
  #dropped = 0
  #timer: NodeJS.Timeout | undefined

  constructor(source: Pausable) {
    this.#source = source
  }

  /** `count` more bytes were read and dropped. May pause the source for a while. */
  dropped(count: number): void {
    this.#dropped += count
    if (this.#dropped < DROP_FREELY_BYTES) return
    this.#source.pause()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#source.resume(), DROP_EVERY_MS)
  }

  /** Leaves the source as it is, perhaps paused. */
  stop(): void {
    clearTimeout(this.#timer)
  }
}

/**
 * Reads a stream and drops the bytes. Closing a socket with unread bytes would reset it, and its peer could lose the
 * last bytes sent to it. An endless sender is slowed down. Returns a function that stops this and pauses the stream.
 */
export function discard(source: Readable): () => void {
  const pace = new DropPace(source)
  const drop = (chunk: unknown) => pace.dropped(bytesOf(chunk, source)?.length ?? 0)
  source.on('data', drop)
  source.resume()
  return () => {
    pace.stop()
    source.off('data', drop)
    source.pause()
  }
}
