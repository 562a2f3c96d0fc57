import type { Connection, ConnectionEvents, Dest } from '../../index.ts'
import { subscribe } from '../../proxy/index.ts'
import { countStatus, noRequests, observe, type RequestCounts } from '../request-counts.ts'
import type { Pools } from './pools.ts'

/** Counts the requests of each backend while it is on, by listening to the proxy's diagnostics channels. */
export class RequestCounter {
  readonly #pools: Pools
  readonly #isOurs: (connection: Connection) => boolean
  /** Connections whose request under way opened a backend connection. */
  readonly #connecting = new WeakSet<Connection>()
  #all = new Map<string, RequestCounts>()
  /** The same by the `backend` of a Dest. */
  #byBackend = new WeakMap<object, RequestCounts>()
  #stops: readonly (() => void)[] = []

  constructor(pools: Pools, isOurs: (connection: Connection) => boolean) {
    this.#pools = pools
    this.#isOurs = isOurs
  }

  use(isOn: boolean): void {
    const wasOn = this.#stops.length > 0
    if (isOn === wasOn) return
    for (const stop of this.#stops) stop()
    this.#stops = isOn
      ? [subscribe('connecting', ({ connection }) => this.#connecting.add(connection)), subscribe('end', this.#ended)]
      : []
  }

  /** What it has counted since the last call. */
  take(): RequestCounts[] {
    const all = [...this.#all.values()]
    this.#all = new Map()
    this.#byBackend = new WeakMap()
    return all
  }

  readonly #ended = ({ connection, dest, status, times }: ConnectionEvents['end']): void => {
    const isNew = this.#connecting.delete(connection)
    if (!this.#isOurs(connection)) return
    const { connect, firstByte, total } = times
    const counts = connect === undefined ? this.#countsOf('', '') : this.#of(dest)
    countStatus(counts, status)
    if (isNew && connect !== undefined) observe(counts, 0, connect)
    if (firstByte !== undefined) observe(counts, 1, firstByte)
    // A tunnel lasts as long as its connection.
    if (status !== 101) observe(counts, 2, total)
  }

  #of(dest: Dest | undefined): RequestCounts {
    const key = backendIn(dest)
    const known = key && this.#byBackend.get(key)
    if (known) return known
    const found = this.#pools.find(dest)
    const counts = found ? this.#countsOf(found.pool, found.backend, found.id) : this.#countsOf('', 'own')
    if (key) this.#byBackend.set(key, counts)
    return counts
  }

  #countsOf(pool: string, backend: string, id?: string): RequestCounts {
    const key = `${pool}\0${backend}`
    const counts = this.#all.get(key) ?? noRequests(pool, backend, id)
    this.#all.set(key, counts)
    return counts
  }
}

/** An object that stands for the Dests of one backend. */
function backendIn(dest: Dest | undefined): object | undefined {
  try {
    const { backend } = dest as { backend?: unknown }
    return typeof backend === 'object' && backend !== null ? backend : undefined
  } catch {
    // A user's Dest may throw.
    return undefined
  }
}
