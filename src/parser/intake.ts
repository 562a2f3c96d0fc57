/** The first piece of a cut head gets at least so many bytes to grow into: most heads need no more. */
const SMALLEST = 1024

/**
 * Where a chunk stands in the stream, and what has come of a head before it.
 *
 * The pieces of a head that is cut are joined as they come, in one buffer of at most `maxHeadBytes`. It grows by
 * doubling, so that each byte is copied a few times at most, however small the pieces are.
 */
export class Intake {
  /** Bytes of the stream before this chunk. */
  base = 0
  /** Bytes of the stream before the head: those of the dropped empty line. */
  begin = 0
  readonly #maxHeadBytes: number
  #joined: Buffer | undefined
  #joinedLength = 0

  constructor(maxHeadBytes: number) {
    this.#maxHeadBytes = maxHeadBytes
  }

  /** The head's own offset of byte i of the chunk. */
  mark(i: number): number {
    return this.base + i - this.begin
  }

  /** Index of the first byte of the chunk that cannot be the head's: past the chunk, or past the limit. */
  end(chunk: Buffer): number {
    return Math.min(chunk.length, this.#maxHeadBytes + this.begin - this.base)
  }

  /** Keeps the chunk, all of which is of an unfinished head or before it, and within the limit. */
  keep(chunk: Buffer): void {
    const start = this.#start()
    this.base += chunk.length
    if (start < chunk.length) this.#join(chunk, start, chunk.length)
  }

  /** The bytes of the head, which ends at byte `end` of the chunk: a view on the chunk, where it began in it too. */
  take(chunk: Buffer, end: number): Buffer {
    const start = this.#start()
    if (!this.#joined) return start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end)
    this.#join(chunk, start, end)
    return this.#joined.subarray(0, this.#joinedLength)
  }

  /** Where in the chunk the head begins, or goes on. */
  #start(): number {
    return Math.max(0, this.begin - this.base)
  }

  #join(chunk: Buffer, start: number, end: number): void {
    const length = this.#joinedLength + end - start
    if (!this.#joined || this.#joined.length < length) {
      // Not of Buffer's pool: the smallest piece would hold a whole slab of it.
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#maxHeadBytes, Math.max(SMALLEST, 2 * length)))
      this.#joined?.copy(larger, 0, 0, this.#joinedLength)
      this.#joined = larger
    }
    chunk.copy(this.#joined, this.#joinedLength, start, end)
    this.#joinedLength = length
  }
}
