import { equals } from './bytes.ts'

/** The initial capacity in bytes. It is enough for most heads. */
const SMALLEST = 1024
const NOTHING = Buffer.alloc(0)

/**
 * Collects the pieces of a head that spans several chunks, and converts between offsets in the chunk, the head and the
 * stream.
 *
 * The buffer grows by doubling, up to `maxHeadBytes`, so each byte is copied a few times at most.
 */
export class HeadBuffer {
  /** Length of the head before this chunk; negative if the head starts later in the chunk. */
  before = 0
  /** Offset of the head in the stream: 2 after an empty line, otherwise 0. */
  headStart = 0
  readonly #maxHeadBytes: number
  #joined = NOTHING

  constructor(maxHeadBytes: number) {
    this.#maxHeadBytes = maxHeadBytes
  }

  /** Skips the bytes of the stream before the head. */
  skip(count: number): void {
    this.headStart = count
    this.before -= count
  }

  /** Returns the offset in the stream of byte i of the chunk. */
  offset(i: number): number {
    return this.headStart + this.before + i
  }

  /** Returns the end of the chunk, or the first byte beyond the limit. */
  end(chunk: Uint8Array): number {
    return Math.min(chunk.length, this.#maxHeadBytes - this.before)
  }

  /** Whether the head up to byte `end` of the chunk equals `text` (ASCII). */
  equals(text: string, chunk: Uint8Array, end: number): boolean {
    if (this.before + end !== text.length) return false
    const earlier = Math.max(0, this.before)
    return (
      equals(this.#joined, 0, earlier, text.slice(0, earlier)) &&
      equals(chunk, earlier - this.before, end, text.slice(earlier))
    )
  }

  /** Appends the bytes of the chunk up to `end`. */
  append(chunk: Uint8Array, end: number): void {
    const before = this.before
    this.before = before + end
    if (before + end > this.#joined.length) this.#grow(Math.max(0, before))
    if (end === 1 && before >= 0) {
      // For a head that arrives byte by byte, `set` would cost more than the rest of the work for a byte.
      this.#joined[before] = chunk[0]!
    } else {
      const start = Math.max(0, -before)
      this.#joined.set(chunk.subarray(start, end), before + start)
    }
  }

  /** Returns the head, which ends at byte `end` of the chunk. A head that lies in one chunk is a view of it. */
  take(chunk: Buffer, end: number): Buffer {
    if (this.#joined.length === 0) {
      const start = -this.before
      return start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end)
    }
    this.append(chunk, end)
    return this.#joined.subarray(0, this.before)
  }

  /** Forgets the head. */
  clear(): void {
    this.before = this.headStart = 0
    this.#joined = NOTHING
  }

  /** Makes room for twice the bytes of the head so far, and copies the first `count`. */
  #grow(count: number): void {
    // Avoid Buffer's pool: a small piece would keep a whole slab alive.
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#maxHeadBytes, Math.max(SMALLEST, 2 * this.before)))
    if (count > 0) this.#joined.copy(larger, 0, 0, count)
    this.#joined = larger
  }
}
