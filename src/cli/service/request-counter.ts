import type { Connection, ConnectionEvents } from '../../index.ts'
import { subscribe } from '../../proxy/index.ts'
import { isTunnel } from '../../tunnel.ts'
import { countStatus, noRequests, observe, type RequestCounts } from '../request-counts.ts'
import type { Place, Pools } from './pools.ts'

type Counted = Omit<Place, 'id'> & { readonly id?: string }

/** No backend was reached. */
const NONE: Counted = { pool: '', backend: '' }
/** A user's own Dest. */
const OWN: Counted = { pool: '', backend: 'own' }

/** Counts the requests of each backend while it is on, by listening to the proxy's diagnostics channels. */
export class RequestCounter {
  readonly #pools: Pools
  readonly #isOurs: (connection: Connection) => boolean
  /** Connections whose request under way opened a backend connection. */
  readonly #connecting = new WeakSet<Connection>()
  #all = new Map<Counted, RequestCounts>()
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

  /** What it has counted since the last call. A backend that was removed and added again may be listed twice. */
  take(): RequestCounts[] {
    const all = [...this.#all.values()]
    this.#all = new Map()
    return all
  }

  readonly #ended = ({ connection, head, dest, status, times }: ConnectionEvents['end']): void => {
    const isNew = this.#connecting.delete(connection)
    if (!this.#isOurs(connection)) return
    const { connect, firstByte, total } = times
    const counts = this.#countsOf(connect === undefined ? NONE : (this.#pools.find(dest) ?? OWN))
    countStatus(counts, status)
    if (isNew && connect !== undefined) observe(counts, 0, connect)
    if (firstByte !== undefined) observe(counts, 1, firstByte)
    // A tunnel lasts as long as its connection.
    if (!isTunnel(head.method, status)) observe(counts, 2, total)
  }

  #countsOf(counted: Counted): RequestCounts {
    let counts = this.#all.get(counted)
    if (!counts) {
      counts = noRequests(counted.pool, counted.backend, counted.id)
      this.#all.set(counted, counts)
    }
    return counts
  }
}
