import { FIGURES, type RequestCounts } from '../request-counts.ts'

/** Tells what totals of requests grew by. */
export class RequestGrowth {
  /** The totals as of the last update. */
  readonly #last = new Map<string, Float64Array>()
  /** One array for all, as there may be thousands of backends. */
  readonly #grown = new Float64Array(FIGURES)

  /** Calls back for each backend with new requests. `grown` is valid during the call. */
  update(all: readonly RequestCounts[], call: (of: RequestCounts, grown: Float64Array) => void): void {
    for (const one of all) if (this.#grow(one)) call(one, this.#grown)
    if (this.#last.size > all.length) this.#forget(all)
  }

  /** Returns whether anything grew. */
  #grow(counts: RequestCounts): boolean {
    const key = keyOf(counts)
    const last = this.#last.get(key) ?? new Float64Array(FIGURES)
    this.#last.set(key, last)
    let isMore = false
    for (let i = 0; i < FIGURES; i++) {
      const now = counts.figures[i]!
      // Totals that were forgotten begin again from 0. What they lost is unknown.
      this.#grown[i] = Math.max(0, now - last[i]!)
      isMore ||= now > last[i]!
      last[i] = now
    }
    return isMore
  }

  /** Forgets backends that are not among these. */
  #forget(all: readonly RequestCounts[]): void {
    const present = new Set(all.map(keyOf))
    for (const key of this.#last.keys()) if (!present.has(key)) this.#last.delete(key)
  }
}

function keyOf({ pool, backend }: RequestCounts): string {
  return `${pool}\0${backend}`
}
