import type { BackendStatus, Counters } from '../../index.ts'
import { addUp } from '../../proxy/index.ts'
import type { Member } from './member.ts'
import type { Report } from './messages.ts'

type Counts = Pick<BackendStatus, 'connections' | 'total' | 'failures' | 'bytesRead' | 'bytesWritten'>

const NOTHING: Counts = { connections: 0, total: 0, failures: 0, bytesRead: 0, bytesWritten: 0 }

/** The reports of several workers as that of one. What was counted by those that are gone stays counted. */
export class Tally {
  readonly #last = new Map<Member, Report>()
  #gone: Counters = addUp([])
  readonly #goneOfBackends = new Map<string, Counts>()
  /** What was known last, for when no worker is there. */
  #known: BackendStatus[] = []

  update(member: Member, report: Report): void {
    this.#last.set(member, report)
    const current = this.#current
    // Who leaves may have backends that are of the config before.
    if (current.length > 0) this.#known = mergeAll(current.map(({ backends }) => backends))
  }

  /** It is gone: nothing is open there, and it counts no more. */
  retire(member: Member): void {
    const last = this.#last.get(member)
    this.#last.delete(member)
    if (!last) return
    this.#gone = addUp([this.#gone, { ...last.counters, open: 0 }])
    for (const backend of last.backends) {
      const key = keyOf(backend)
      this.#goneOfBackends.set(key, addCounts(this.#goneOfBackends.get(key) ?? NOTHING, { ...backend, connections: 0 }))
    }
    const known = new Set(this.#known.map(keyOf))
    for (const key of this.#goneOfBackends.keys()) if (!known.has(key)) this.#goneOfBackends.delete(key)
  }

  get counters(): Counters {
    return addUp([this.#gone, ...[...this.#last.values()].map(({ counters }) => counters)])
  }

  get backends(): BackendStatus[] {
    const reports = [...this.#last.values()]
    return this.#known.map((status) => {
      const key = keyOf(status)
      const all = reports.flatMap(({ backends }) => backends.filter((one) => keyOf(one) === key))
      return { ...status, ...all.reduce<Counts>(addCounts, this.#goneOfBackends.get(key) ?? NOTHING) }
    })
  }

  /** Of the workers that take clients. */
  get #current(): Report[] {
    return [...this.#last]
      .filter(([member]) => !member.isLeaving)
      .sort(([a], [b]) => a.number - b.number)
      .map(([, report]) => report)
  }
}

/** The same backend, with the same counts. */
function keyOf({ id, address }: BackendStatus): string {
  return `${id}\0${address}`
}

function addCounts(a: Counts, b: Counts): Counts {
  return {
    connections: a.connections + b.connections,
    total: a.total + b.total,
    failures: a.failures + b.failures,
    bytesRead: a.bytesRead + b.bytesRead,
    bytesWritten: a.bytesWritten + b.bytesWritten,
  }
}

function mergeAll(lists: readonly (readonly BackendStatus[])[]): BackendStatus[] {
  const merged = new Map<string, BackendStatus>()
  for (const status of lists.flat()) {
    const before = merged.get(status.id)
    merged.set(status.id, before ? merge(before, status) : status)
  }
  return [...merged.values()]
}

/**
 * Down where one worker says so: that one tries again until it is up, while one that says 'up' may have had no client to
 * find out with.
 */
function merge(a: BackendStatus, b: BackendStatus): BackendStatus {
  const isSame = a.state === b.state
  const told = isSame ? (a.since <= b.since ? a : b) : a.state === 'down' ? a : b
  const errors = [a.lastError, b.lastError].filter((error) => error !== undefined)
  return {
    ...told,
    // Each has its share.
    maxConnections: a.maxConnections + b.maxConnections,
    draining: a.draining || b.draining,
    lastError: errors.sort((one, other) => other.at - one.at)[0],
  }
}
