/** A request as the admin page shows it. Durations in ms. */
export interface RequestEntry {
  /** ms since 1970 when it ended. */
  readonly at: number
  /** The client's address, as in the access log. */
  readonly client: string
  readonly method: string
  /** Without the query, escaped. */
  readonly path: string
  readonly status?: number | undefined
  /** The last error, unless a backend was reached after it. */
  readonly code?: string | undefined
  /** Empty if no backend of a pool was chosen. */
  readonly pool: string
  readonly backend: string
  readonly connect?: number | undefined
  readonly firstByte?: number | undefined
  readonly total: number
  readonly worker?: number | undefined
}

export interface RequestLists {
  /** The slowest first. */
  readonly slowest: readonly RequestEntry[]
  /** The newest first. */
  readonly failed: readonly RequestEntry[]
}

const KEPT_MS = 5 * 60_000
const MINUTE_MS = 60_000
const SLOWEST_OF_MINUTE = 20
const MOST_SLOWEST = 50
const MOST_FAILED = 100

interface Kept {
  readonly entry: RequestEntry
  readonly at: number
}

/** The slowest and the failed requests of the last five minutes, at most 220 of them. */
export class RecentRequests {
  readonly #now: () => number
  /** The slowest of each minute, the slowest first. */
  readonly #minutes = new Map<number, Kept[]>()
  /** The oldest first. */
  readonly #failed: Kept[] = []

  /** `now` returns monotonic ms. */
  constructor(now = () => performance.now()) {
    this.#now = now
  }

  /** Whether a request that took so many ms is one of the slowest of its minute. */
  isSlow(total: number): boolean {
    const kept = this.#minutes.get(this.#minute) ?? []
    return kept.length < SLOWEST_OF_MINUTE || total > kept.at(-1)!.entry.total
  }

  addSlow(entry: RequestEntry): void {
    const minute = this.#minute
    const kept = [...(this.#minutes.get(minute) ?? []), { entry, at: this.#now() }]
    this.#minutes.set(minute, kept.sort((a, b) => b.entry.total - a.entry.total).slice(0, SLOWEST_OF_MINUTE))
    // Five whole minutes, and this one.
    for (const one of this.#minutes.keys()) if (one < minute - KEPT_MS / MINUTE_MS) this.#minutes.delete(one)
  }

  addFailed(entry: RequestEntry): void {
    this.#failed.push({ entry, at: this.#now() })
    if (this.#failed.length > MOST_FAILED) this.#failed.shift()
  }

  get lists(): RequestLists {
    const from = this.#now() - KEPT_MS
    const recent = (all: readonly Kept[]) => all.filter(({ at }) => at >= from).map(({ entry }) => entry)
    return mergeRecent([
      { slowest: recent([...this.#minutes.values()].flat()), failed: recent(this.#failed).reverse() },
    ])
  }

  get #minute(): number {
    return Math.floor(this.#now() / MINUTE_MS)
  }
}

/** Joins the lists of several processes. */
export function mergeRecent(processes: readonly RequestLists[]): RequestLists {
  const slowest = processes.flatMap((one) => one.slowest).sort((a, b) => b.total - a.total)
  const failed = processes.flatMap((one) => one.failed).sort((a, b) => b.at - a.at)
  return { slowest: slowest.slice(0, MOST_SLOWEST), failed: failed.slice(0, MOST_FAILED) }
}
