import { CODES, FIGURES, HISTOGRAMS, STARTS } from '../request-counts.ts'
import { quantile } from './quantile.ts'

/** Samples that are shown: five minutes. */
export const KEPT = 150
/** A few more: one that is being shown must not be overwritten while an answer is written in slices. */
const ROWS = KEPT + 10
/** Rows are allocated in blocks: all of them at once, for 1,000 backends, would take too long. */
const ROWS_PER_BLOCK = 32
/** Samples whose requests the percentiles are of: in one sample there may be too few. */
const WINDOW = 5

export const PERCENTILES = [0.5, 0.95, 0.99] as const
/** The histograms that percentiles are taken of: first byte and whole request. */
const SHOWN = [1, 2] as const

/** Where the figures of a row begin. */
export const AT = { open: 0, rate: 1, in: 2, out: 3, codes: 4, firstByte: 10, duration: 13 } as const
const ROW = 16

/** The buckets of a histogram over the window. One array for all, as a sample may be of thousands of backends. */
const counts = new Float64Array(Math.max(...HISTOGRAMS.map(({ bounds }) => bounds.length + 1)))

/** What moved between two samples. */
export interface Moved {
  total: number
  read: number
  written: number
}

/**
 * The samples of a service, a pool or a backend. First `add...` what is known of a sample, then `end` it.
 *
 * Memory: 160 rows of 16 figures in 4 bytes each, 5 rows of 39 figures for the percentiles, and some 1,000 bytes around
 * them. That is 12 KB for a busy backend, and 12 MB for 1,000 of them.
 */
export class Series {
  readonly #blocks: Float32Array[] = []
  /** What was counted about requests in the last few samples. */
  #recent: Float32Array | undefined
  /** Numbers of its first and its last sample. */
  readonly first: number
  last: number
  /** The last sample with a request. */
  #busy = Number.NEGATIVE_INFINITY
  #open: number | undefined
  #moved: Moved | undefined

  /** `n`: the number of its first sample. */
  constructor(n: number) {
    this.first = n
    this.last = n
  }

  addOpen(count: number): void {
    this.#open = (this.#open ?? 0) + count
  }

  addMoved({ total, read, written }: Moved): void {
    this.#moved ??= { total: 0, read: 0, written: 0 }
    this.#moved.total += total
    this.#moved.read += read
    this.#moved.written += written
  }

  /** Adds what was counted about requests since the sample before `n`. */
  addRequests(n: number, figures: ArrayLike<number>): void {
    this.#recent ??= new Float32Array(WINDOW * FIGURES)
    this.#busy = n
    const start = (n % WINDOW) * FIGURES
    for (let i = 0; i < FIGURES; i++) this.#recent[start + i]! += figures[i]!
  }

  /** `seconds` since the sample before, or undefined in a gap. */
  end(n: number, seconds: number | undefined): void {
    const block = this.#blockOf(n)
    const row = startOf(n)
    block.fill(Number.NaN, row, row + ROW)
    if (this.#open !== undefined) {
      this.last = n
      block[row + AT.open] = this.#open
      if (seconds !== undefined) this.#write(block, row, n, seconds)
    }
    this.#open = undefined
    this.#moved = undefined
    // Make room for the next sample.
    const next = ((n + 1) % WINDOW) * FIGURES
    this.#recent?.fill(0, next, next + FIGURES)
  }

  /** Forgets the requests of earlier samples: they are not of the last few seconds any more. */
  clearRecent(): void {
    this.#recent?.fill(0)
  }

  /** NaN if unknown. */
  get(n: number, figure: number): number {
    if (n < this.first || n > this.last) return Number.NaN
    return this.#blockOf(n)[startOf(n) + figure]!
  }

  #blockOf(n: number): Float32Array {
    const block = Math.floor((n % ROWS) / ROWS_PER_BLOCK)
    this.#blocks[block] ??= new Float32Array(ROWS_PER_BLOCK * ROW)
    return this.#blocks[block]
  }

  #write(block: Float32Array, row: number, n: number, seconds: number): void {
    if (this.#moved) {
      const { total, read, written } = this.#moved
      block[row + AT.rate] = total / seconds
      block[row + AT.in] = read / seconds
      block[row + AT.out] = written / seconds
    }
    const recent = n - this.#busy < WINDOW ? this.#recent : undefined
    const now = (n % WINDOW) * FIGURES
    for (let i = 0; i < CODES.length; i++) block[row + AT.codes + i] = (recent?.[now + i] ?? 0) / seconds
    if (recent) writePercentiles(block, row, recent)
  }
}

/** Where the row of a sample starts in its block. */
function startOf(n: number): number {
  return ((n % ROWS) % ROWS_PER_BLOCK) * ROW
}

function writePercentiles(block: Float32Array, row: number, recent: Float32Array): void {
  let at = row + AT.firstByte
  for (const index of SHOWN) {
    const { bounds } = HISTOGRAMS[index]
    addUp(recent, STARTS[index]!, bounds.length + 1)
    for (const q of PERCENTILES) block[at++] = quantile(q, counts, bounds)
  }
}

/** Adds up the buckets of a histogram over the window. */
function addUp(recent: Float32Array, start: number, buckets: number): void {
  counts.fill(0)
  for (let from = start; from < WINDOW * FIGURES; from += FIGURES) {
    for (let i = 0; i < buckets; i++) counts[i]! += recent[from + i]!
  }
}
