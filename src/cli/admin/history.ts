import type { ServiceCounters } from '../counters.ts'
import type { RequestCounts } from '../request-counts.ts'
import type { AdminStatus } from './controls.ts'
import { CountedSeries, type Counts } from './counted-series.ts'
import { RequestGrowth } from './request-growth.ts'
import { KEPT, Series } from './series.ts'

/** ms between samples. */
export const INTERVAL_MS = 2_000
/** If samples are further apart than this, there is a gap: the process was busy, stopped or suspended. */
const GAP_MS = 5_000

/** What a sample is taken of. */
export interface Figures {
  readonly counters: Pick<ServiceCounters, 'open' | 'accepted' | 'bytesRead' | 'bytesWritten'>
  readonly backends: readonly Status[]
  readonly removed: readonly Status[]
  readonly requests: readonly RequestCounts[]
}

type Status = Counts & Pick<AdminStatus, 'id' | 'pool'>

/** Monotonic ms, and ms since 1970. */
export interface Clock {
  now(): number
  date(): number
}

const SYSTEM: Clock = { now: () => performance.now(), date: () => Date.now() }

/** The samples of the last five minutes. */
export class History {
  readonly all = new CountedSeries(0)
  /** By name. Removed ones stay until their last sample is too old. */
  readonly pools = new Map<string, Series>()
  /** By id, as pools. */
  readonly backends = new Map<string, CountedSeries>()
  /** The number of the next sample. */
  #next = 0
  /** The first sample of the present clock: it may have been set back. */
  #start = 0
  readonly #times = new Float64Array(KEPT * 2)
  readonly #clock: Clock
  /** Monotonic ms of the last sample. */
  #at: number | undefined
  readonly #growth = new RequestGrowth()

  constructor(clock = SYSTEM) {
    this.#clock = clock
  }

  /** Adds a sample. */
  add(figures: Figures): void {
    const [now, date] = [this.#clock.now(), this.#clock.date()]
    this.#makeGap(now, date)
    const { open, accepted, bytesRead, bytesWritten } = figures.counters
    this.all.add({ connections: open, total: accepted, bytesRead, bytesWritten })
    this.all.settle()
    // A backend that was removed and added again is in both lists. Its counts add up.
    const statuses = [...figures.backends, ...figures.removed]
    for (const one of statuses) this.#backend(one).add(one)
    for (const one of this.backends.values()) one.settle(one.isPresent ? this.#pool(one.pool) : undefined)
    this.#addRequests(figures.requests)
    this.#end(date, this.#at === undefined ? undefined : (now - this.#at) / 1_000)
    this.#at = now
  }

  /** Numbers of the samples to show: from `from`, up to but without `to`. `since`: only those later than this. */
  range(since = 0): { from: number; to: number } {
    const to = this.#next
    const oldest = Math.max(this.#start, to - KEPT)
    // The caller's last sample is of before the clock was set back.
    if (since > this.timeOf(to - 1)) return { from: oldest, to }
    let from = to
    while (from > oldest && this.timeOf(from - 1) > since) from--
    return { from, to }
  }

  /** ms since 1970. */
  timeOf(n: number): number {
    return this.#times[n % this.#times.length]!
  }

  /** Adds a sample without figures if the last one is long ago. */
  #makeGap(now: number, date: number): void {
    if (this.#at === undefined) return
    const last = this.timeOf(this.#next - 1)
    if (date <= last) {
      // The clock was set back: older samples have no place on the axis.
      this.#start = this.#next
    } else if (date - last > GAP_MS || now - this.#at > GAP_MS) {
      this.#end((last + date) / 2, undefined)
      for (const one of this.#series()) one.clearRecent()
    }
  }

  #backend({ id, pool }: Status): CountedSeries {
    const known = this.backends.get(id)
    if (known) return known
    const series = new CountedSeries(this.#next, pool)
    this.backends.set(id, series)
    return series
  }

  #pool(name: string): Series {
    const known = this.pools.get(name)
    if (known) return known
    const series = new Series(this.#next)
    this.pools.set(name, series)
    return series
  }

  #addRequests(requests: readonly RequestCounts[]): void {
    this.#growth.update(requests, ({ pool, id }, grown) => {
      // Before the first sample, the time in which they were counted is unknown.
      if (this.#at === undefined) return
      this.all.addRequests(this.#next, grown)
      this.pools.get(pool)?.addRequests(this.#next, grown)
      if (id !== undefined) this.backends.get(id)?.addRequests(this.#next, grown)
    })
  }

  /** `seconds` since the sample before. */
  #end(date: number, seconds: number | undefined): void {
    const n = this.#next++
    this.#times[n % this.#times.length] = Math.round(date)
    for (const one of this.#series()) one.end(n, seconds)
    for (const some of [this.pools, this.backends]) {
      for (const [key, { last }] of some) if (n - last >= KEPT) some.delete(key)
    }
  }

  *#series(): Generator<Series> {
    yield this.all
    yield* this.pools.values()
    yield* this.backends.values()
  }
}
