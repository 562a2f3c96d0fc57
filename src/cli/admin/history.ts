import type { ServiceCounters } from '../counters.ts'
import type { RequestCounts } from '../request-counts.ts'
import type { AdminStatus } from './controls.ts'
import { RequestGrowth } from './request-growth.ts'
import { KEPT, Series } from './series.ts'

/** ms between samples. */
export const INTERVAL_MS = 2_000
/** If samples are further apart than this, there is a gap: the process was busy, stopped or suspended. */
const GAP_MS = 5_000

/** What a sample is taken of. Counts since the start, which a restarted worker or a new backend may set back. */
export interface Figures {
  readonly counters: Pick<ServiceCounters, 'open' | 'accepted' | 'bytesRead' | 'bytesWritten'>
  readonly backends: readonly Status[]
  readonly removed: readonly Status[]
  readonly requests: readonly RequestCounts[]
}

type Status = Pick<AdminStatus, 'id' | 'address' | 'pool' | 'connections' | 'total' | 'bytesRead' | 'bytesWritten'>

/** Figures as of a sample, for the differences to the next one. */
interface Before {
  /** Monotonic ms. */
  readonly at: number
  readonly counters: Figures['counters']
  readonly statuses: ReadonlyMap<string, Status>
}

/** Monotonic ms, and ms since 1970. */
export interface Clock {
  now(): number
  date(): number
}

const SYSTEM: Clock = { now: () => performance.now(), date: () => Date.now() }

/** The samples of the last five minutes. */
export class History {
  readonly all = new Series(0)
  /** By name. Removed ones stay until their last sample is too old. */
  readonly pools = new Map<string, Series>()
  /** By id, as pools. */
  readonly backends = new Map<string, Series>()
  /** The number of the next sample. */
  #next = 0
  /** The first sample of the present clock: it may have been set back. */
  #start = 0
  readonly #times = new Float64Array(KEPT * 2)
  readonly #clock: Clock
  #before: Before | undefined
  readonly #growth = new RequestGrowth()

  constructor(clock = SYSTEM) {
    this.#clock = clock
  }

  /** Adds a sample. */
  add(figures: Figures): void {
    const [now, date] = [this.#clock.now(), this.#clock.date()]
    const before = this.#before
    this.#makeGap(now, date)
    const after: Before = {
      at: now,
      counters: { ...figures.counters },
      statuses: byPlace([...figures.removed, ...figures.backends]),
    }
    this.#addCounters(figures.counters, before)
    for (const [key, status] of after.statuses) this.#addStatus(status, before?.statuses.get(key))
    this.#addRequests(figures.requests, before !== undefined)
    this.#end(date, before && (now - before.at) / 1_000)
    this.#before = after
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
    if (!this.#before) return
    const last = this.timeOf(this.#next - 1)
    if (date <= last) {
      // The clock was set back: older samples have no place on the axis.
      this.#start = this.#next
    } else if (date - last > GAP_MS || now - this.#before.at > GAP_MS) {
      this.#end((last + date) / 2, undefined)
      for (const one of this.#series()) one.clearRecent()
    }
  }

  #addCounters(counters: Figures['counters'], before: Before | undefined): void {
    const { open, accepted, bytesRead, bytesWritten } = counters
    this.all.addOpen(open)
    if (!before) return
    const { counters: then } = before
    this.all.addMoved({
      total: sinceThen(accepted, then.accepted),
      read: sinceThen(bytesRead, then.bytesRead),
      written: sinceThen(bytesWritten, then.bytesWritten),
    })
  }

  #addStatus(status: Status, before: Status | undefined): void {
    for (const one of [seriesOf(this.pools, status.pool, this.#next), seriesOf(this.backends, status.id, this.#next)]) {
      one.addOpen(status.connections)
      if (!before) continue
      one.addMoved({
        total: sinceThen(status.total, before.total),
        read: sinceThen(status.bytesRead, before.bytesRead),
        written: sinceThen(status.bytesWritten, before.bytesWritten),
      })
    }
  }

  /** `isKnown`: there is a sample before, so that what was counted is of the time since. */
  #addRequests(requests: readonly RequestCounts[], isKnown: boolean): void {
    this.#growth.update(requests, ({ pool, id }, grown) => {
      if (!isKnown) return
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

/** A backend that was removed and added again is listed twice. Its figures add up. */
function byPlace(all: readonly Status[]): Map<string, Status> {
  const found = new Map<string, Status>()
  for (const one of all) {
    const key = `${one.id}\0${one.address}`
    const same = found.get(key)
    found.set(key, same ? sumOf(one, same) : one)
  }
  return found
}

function sumOf(a: Status, b: Status): Status {
  return {
    ...a,
    connections: a.connections + b.connections,
    total: a.total + b.total,
    bytesRead: a.bytesRead + b.bytesRead,
    bytesWritten: a.bytesWritten + b.bytesWritten,
  }
}

/** A count that went down began again. What it lost is unknown, so nothing is added. */
function sinceThen(now: number, then: number): number {
  return Math.max(0, now - then)
}

function seriesOf(all: Map<string, Series>, key: string, n: number): Series {
  const known = all.get(key)
  if (known) return known
  const series = new Series(n)
  all.set(key, series)
  return series
}
