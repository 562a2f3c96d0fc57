import type { AdminStatus } from '../admin/index.ts'
import { addUpServices, type ServiceCounters } from '../counters.ts'
import type { RequestCounts } from '../request-counts.ts'
import { RequestTotals } from '../request-totals.ts'
import type { Member } from './member.ts'
import type { Report } from './messages.ts'

type Counts = Pick<AdminStatus, 'connections' | 'total' | 'failures' | 'ejections' | 'bytesRead' | 'bytesWritten'>

const NOTHING: Counts = { connections: 0, total: 0, failures: 0, ejections: 0, bytesRead: 0, bytesWritten: 0 }

/** Merges the reports of all workers. The counts of workers that have ended are kept. */
export class FleetStats {
  readonly #last = new Map<Member, Report>()
  #gone: ServiceCounters = addUpServices([])
  readonly #goneOfBackends = new Map<string, Counts>()
  /** The last merged list, used while no worker runs. */
  #known: AdminStatus[] = []
  readonly #requests = new RequestTotals()
  /** A report has arrived since the last merge. The merge waits until somebody reads the list. */
  #isStale = false

  update(member: Member, report: Report): void {
    this.#requests.add(report.requests)
    this.#last.set(member, report)
    this.#isStale = true
  }

  /** The worker has ended: none of its connections is open any more. */
  retire(member: Member): void {
    this.#merge()
    const last = this.#last.get(member)
    this.#last.delete(member)
    if (!last) return
    this.#gone = addUpServices([this.#gone, { ...last.counters, open: 0, queued: 0 }])
    for (const backend of last.backends) addTo(this.#goneOfBackends, { ...backend, connections: 0 })
    const known = new Set(this.#known.map(keyOf))
    for (const key of this.#goneOfBackends.keys()) if (!known.has(key)) this.#goneOfBackends.delete(key)
  }

  get counters(): ServiceCounters {
    return addUpServices([this.#gone, ...[...this.#last.values()].map(({ counters }) => counters)])
  }

  /** The requests that all workers have counted. */
  get requests(): RequestCounts[] {
    return this.#requests.all
  }

  /** Forgets the requests of backends that were removed a while ago. */
  prune(): void {
    this.#requests.prune(() => this.backends)
  }

  get backends(): AdminStatus[] {
    this.#merge()
    const counts = new Map(this.#goneOfBackends)
    for (const { backends } of this.#last.values()) for (const one of backends) addTo(counts, one)
    return this.#known.map((status) => ({ ...status, ...(counts.get(keyOf(status)) ?? NOTHING) }))
  }

  /** Removed backends that still have open connections in some worker, perhaps one with an older config. */
  get removed(): AdminStatus[] {
    this.#merge()
    const known = new Set(this.#known.map(keyOf))
    const found = new Map<string, AdminStatus>()
    const counts = new Map<string, Counts>()
    for (const { backends, removed } of this.#last.values()) {
      const open = backends.filter((one) => one.connections > 0 && !known.has(keyOf(one)))
      for (const one of [...removed, ...open]) {
        found.set(keyOf(one), one)
        addTo(counts, one)
      }
    }
    return [...found].map(([key, status]) => ({ ...status, ...counts.get(key) }))
  }

  #merge(): void {
    if (!this.#isStale) return
    this.#isStale = false
    // A leaving worker may still report the old config's backends.
    const current = [...this.#last].filter(([member]) => !member.isLeaving).sort(([a], [b]) => a.number - b.number)
    if (current.length > 0) this.#known = mergeAll(current.map(([, { backends }]) => backends))
  }
}

/** Counts with the same key belong together. */
function keyOf({ id, address }: AdminStatus): string {
  return `${id}\0${address}`
}

function addTo(sums: Map<string, Counts>, backend: AdminStatus): void {
  const key = keyOf(backend)
  sums.set(key, addCounts(sums.get(key) ?? NOTHING, backend))
}

function addCounts(a: Counts, b: Counts): Counts {
  return {
    connections: a.connections + b.connections,
    total: a.total + b.total,
    failures: a.failures + b.failures,
    ejections: a.ejections + b.ejections,
    bytesRead: a.bytesRead + b.bytesRead,
    bytesWritten: a.bytesWritten + b.bytesWritten,
  }
}

function mergeAll(lists: readonly (readonly AdminStatus[])[]): AdminStatus[] {
  const merged = new Map<string, AdminStatus>()
  for (const status of lists.flat()) {
    const before = merged.get(status.id)
    merged.set(status.id, before ? merge(before, status) : status)
  }
  return [...merged.values()]
}

/**
 * One backend as two workers see it. It is down if either says so: that worker retries until it is up, while the other
 * may have had no client that would have noticed.
 */
function merge(a: AdminStatus, b: AdminStatus): AdminStatus {
  const isSame = a.state === b.state
  const told = isSame ? (a.since <= b.since ? a : b) : a.state === 'down' ? a : b
  const drains = [a, b].flatMap(({ drainingSince }) => drainingSince ?? [])
  const ejections = [a, b].flatMap(({ ejectedUntil }) => ejectedUntil ?? [])
  const errors = [a.lastError, b.lastError].filter((error) => error !== undefined)
  return {
    ...told,
    // Each worker has a share of the limit.
    maxConnections: a.maxConnections + b.maxConnections,
    draining: a.draining || b.draining,
    drainedBy: [...new Set([...a.drainedBy, ...b.drainedBy])],
    drainingSince: drains.length > 0 ? Math.min(...drains) : undefined,
    ejectedUntil: ejections.length > 0 ? Math.max(...ejections) : undefined,
    lastError: errors.sort((one, other) => other.at - one.at)[0],
  }
}
