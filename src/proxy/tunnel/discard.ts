import type { Readable } from 'node:stream'
import { bytesOf } from '../socket.ts'

/** Unwanted bytes are dropped at full speed up to this count. After that the sender is slowed down. */
export const DROP_FREELY_BYTES = 16_777_216

/** ms per read or write after that. */
export const DROP_EVERY_MS = 10

/**
 * Reads a stream and drops the bytes. Closing a socket with unread bytes would reset it, and its peer could lose the
 * last bytes sent to it. An endless sender is slowed down. Returns a function that stops this and pauses the stream.
 */
export function discard(source: Readable): () => void {
  let dropped = 0
  let timer: NodeJS.Timeout | undefined
  const drop = (chunk: unknown) => {
    dropped += bytesOf(chunk, source)?.length ?? 0
    if (dropped < DROP_FREELY_BYTES) return
    source.pause()
    clearTimeout(timer)
    timer = setTimeout(() => source.resume(), DROP_EVERY_MS)
  }
  source.on('data', drop)
  source.resume()
  return () => {
    clearTimeout(timer)
    source.off('data', drop)
    source.pause()
  }
}
