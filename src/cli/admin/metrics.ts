import { Counter, Gauge, Registry } from 'prom-client'
import type { BackendStatus, Counters } from '../../index.ts'

/** What the metrics tell of, as of now. */
export interface Snapshot {
  version: string
  draining: boolean
  /** Processes that serve. */
  workers: number
  restarts: number
  counters: Readonly<Counters>
  backends: readonly BackendStatus[]
}

type Kind = typeof Counter | typeof Gauge
type Row<T> = [name: string, kind: Kind, help: string, read: (from: T) => number]

const TOTALS: Row<Snapshot>[] = [
  ['badass_draining', Gauge, '1 while no new clients are taken.', ({ draining }) => Number(draining)],
  ['badass_workers', Gauge, 'Processes that serve.', ({ workers }) => workers],
  ['badass_worker_restarts_total', Counter, 'Workers that took the place of others.', ({ restarts }) => restarts],
  ['badass_connections_open', Gauge, 'Client connections open now.', ({ counters }) => counters.open],
  ['badass_connections_accepted_total', Counter, 'Client connections accepted.', ({ counters }) => counters.accepted],
  ['badass_connections_connected_total', Counter, 'Backends reached.', ({ counters }) => counters.connected],
  ['badass_bad_heads_total', Counter, 'Request heads refused.', ({ counters }) => counters.badHeads],
  ['badass_connect_failures_total', Counter, 'Backends not reached.', ({ counters }) => counters.connectFailures],
  ['badass_bytes_read_total', Counter, 'Bytes received from clients.', ({ counters }) => counters.bytesRead],
  ['badass_bytes_written_total', Counter, 'Bytes sent to clients.', ({ counters }) => counters.bytesWritten],
]

const EACH: Row<BackendStatus>[] = [
  ['badass_backend_up', Gauge, '1 if the backend is up.', ({ state }) => Number(state === 'up')],
  ['badass_backend_draining', Gauge, '1 if it takes no new clients.', ({ draining }) => Number(draining)],
  ['badass_backend_backup', Gauge, '1 if taken only where no other can be.', ({ backup }) => Number(backup)],
  ['badass_backend_weight', Gauge, 'Its share.', ({ weight }) => weight],
  ['badass_backend_connections', Gauge, 'Its connections open now.', ({ connections }) => connections],
  ['badass_backend_connections_max', Gauge, 'Most connections at a time.', ({ maxConnections }) => maxConnections],
  ['badass_backend_connections_total', Counter, 'Connections that reached it.', ({ total }) => total],
  ['badass_backend_connect_failures_total', Counter, 'Connects that failed.', ({ failures }) => failures],
  ['badass_backend_bytes_read_total', Counter, 'Bytes received from its clients.', ({ bytesRead }) => bytesRead],
  ['badass_backend_bytes_written_total', Counter, 'Bytes sent to its clients.', ({ bytesWritten }) => bytesWritten],
]

/** The text that Prometheus reads, of one proxy. */
export class Metrics {
  static readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #registry = new Registry()
  readonly #take: () => Promise<Snapshot>
  readonly #ofProcesses: () => Promise<string>
  readonly #fill: ((from: Snapshot) => void)[] = []

  /** `ofProcesses` gives the text on CPU, memory and the like. */
  constructor(take: () => Promise<Snapshot>, ofProcesses: () => Promise<string>) {
    this.#take = take
    this.#ofProcesses = ofProcesses
    const info = this.#metric('badass_info', Gauge, 'Always 1; the version.', ['version'])
    this.#fill.push(({ version }) => info.inc({ version }, 1))
    for (const [name, kind, help, read] of TOTALS) {
      const metric = this.#metric(name, kind, help, [])
      this.#fill.push((snapshot) => metric.inc(read(snapshot)))
    }
    for (const [name, kind, help, read] of EACH) {
      const metric = this.#metric(name, kind, help, ['id', 'address'])
      this.#fill.push(({ backends }) => {
        for (const backend of backends) metric.inc({ id: backend.id, address: backend.address }, read(backend))
      })
    }
  }

  async text(): Promise<string> {
    const [snapshot, ofProcesses] = await Promise.all([this.#take(), this.#ofProcesses()])
    this.#registry.resetMetrics()
    for (const fill of this.#fill) fill(snapshot)
    return (await this.#registry.metrics()) + ofProcesses
  }

  #metric<L extends string>(name: string, Kind: Kind, help: string, labelNames: L[]): Counter<L> | Gauge<L> {
    return new Kind({ name, help, labelNames, registers: [this.#registry] })
  }
}
