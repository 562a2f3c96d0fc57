/** The first piece of a cut head gets at least so many bytes to grow into: most heads need no more. */
const SMALLEST = 1024
const NOTHING = Buffer.alloc(0)

/**
 * Where a chunk stands in the stream, and what has come of a head before it.
 *
 * The pieces of a head that is cut are joined as they come, in one buffer of at most `maxHeadBytes`. It grows by
 * doubling, so that each byte is copied a few times at most, however small the pieces are.
 */
export class Intake {
  /** Bytes of the head before this chunk; below 0 where the chunk has bytes before the head. */
  before = 0
  /** Bytes of the stream before the head: those of the dropped empty line. */
  begin = 0
  readonly #maxHeadBytes: number
  #joined = NOTHING

  constructor(maxHeadBytes: number) {
    this.#maxHeadBytes = maxHeadBytes
  }

  /** The head begins only after so many bytes of the stream. */
  drop(count: number): void {
    this.begin = count
    this.before -= count
  }

  /** The stream's offset of byte i of the chunk. */
  offset(i: number): number {
    return this.begin + this.before + i
  }

  /** Index of the first byte of the chunk that cannot be the head's: past the chunk, or past the limit. */
  end(chunk: Uint8Array): number {
    return Math.min(chunk.length, this.#maxHeadBytes - this.before)
  }

  /** Keeps the chunk up to its byte `end`: it is of the head or before it, and within the limit. */
  keep(chunk: Uint8Array, end: number): void {
    const before = this.before
    this.before = before + end
    if (before + end > this.#joined.length) this.#grow(Math.max(0, before))
    if (end === 1 && before >= 0) {
      // A head that comes byte by byte: a call of `set` would cost more than all else there is to do for a byte.
      this.#joined[before] = chunk[0]!
    } else {
      const start = Math.max(0, -before)
      this.#joined.set(chunk.subarray(start, end), before + start)
    }
  }

  /** The bytes of the head, which ends at byte `end` of the chunk: a view on the chunk, where it began in it too. */
  take(chunk: Buffer, end: number): Buffer {
    if (this.#joined.length === 0) {
      const start = -this.before
      return start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end)
    }
    this.keep(chunk, end)
    return this.#joined.subarray(0, this.before)
  }

  /** Makes room for twice the bytes that there are to be, and takes along the first `count`. */
  #grow(count: number): void {
    // Not of Buffer's pool: the smallest piece would hold a whole slab of it.
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#maxHeadBytes, Math.max(SMALLEST, 2 * this.before)))
    if (count > 0) this.#joined.copy(larger, 0, 0, count)
    this.#joined = larger
  }
}
