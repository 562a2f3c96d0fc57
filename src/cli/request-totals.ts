import type { BackendStatus } from '../index.ts'
import type { RequestCounts } from './request-counts.ts'

/** ms that the counts of a removed backend stay after its last request, so that Prometheus gets the last ones. */
const KEPT_MS = 600_000
/** ms between looks at the backends, which may be thousands. */
const PRUNE_MS = 60_000

interface Total {
  readonly counts: RequestCounts
  /** When its backend was last there, or ended a request. */
  seen: number
}

/** Adds up what processes counted since their last reports. */
export class RequestTotals {
  readonly #now: () => number
  readonly #totals = new Map<string, Total>()
  #pruned: number

  /** `now` returns monotonic ms. */
  constructor(now = () => performance.now()) {
    this.#now = now
    this.#pruned = now()
  }

  add(all: readonly RequestCounts[]): void {
    const seen = this.#now()
    for (const { figures, ...of } of all) {
      const key = `${of.pool}\0${of.backend}`
      const known = this.#totals.get(key)
      if (!known) {
        this.#totals.set(key, { counts: { ...of, figures: [...figures] }, seen })
        continue
      }
      known.seen = seen
      const sums = known.counts.figures
      for (const [i, figure] of figures.entries()) sums[i]! += figure
    }
  }

  /** Forgets backends that were removed a while ago. Call it from time to time with the present ones. */
  prune(backends: () => readonly BackendStatus[]): void {
    const now = this.#now()
    if (now - this.#pruned < PRUNE_MS) return
    this.#pruned = now
    const present = new Set(backends().map(({ id }) => id))
    for (const [key, total] of this.#totals) {
      const { id } = total.counts
      if (id === undefined || present.has(id)) total.seen = now
      else if (now - total.seen > KEPT_MS) this.#totals.delete(key)
    }
  }

  get all(): RequestCounts[] {
    return [...this.#totals.values()].map(({ counts }) => counts)
  }
}
