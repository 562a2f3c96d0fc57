import { Counter, Gauge, Registry } from 'prom-client'
import type { BackendStatus } from '../../index.ts'
import type { ServiceCounters } from '../counters.ts'
import type { RequestCounts } from '../request-counts.ts'
import { requestMetrics } from './request-metrics.ts'

/** The state that the metrics show. */
export interface Snapshot {
  version: string
  draining: boolean
  /** Number of processes that serve. */
  workers: number
  restarts: number
  counters: Readonly<ServiceCounters>
  backends: readonly BackendStatus[]
  /** Removed backends that still have open connections. */
  removed: readonly BackendStatus[]
  requests: readonly RequestCounts[]
}

type Kind = typeof Counter | typeof Gauge
type Row<T> = [name: string, kind: Kind, help: string, read: (from: T) => number]

const TOTALS: Row<Snapshot>[] = [
  ['badass_draining', Gauge, '1 while the service drains.', ({ draining }) => Number(draining)],
  ['badass_workers', Gauge, 'Processes that serve.', ({ workers }) => workers],
  ['badass_worker_restarts_total', Counter, 'Workers that replaced another.', ({ restarts }) => restarts],
  ['badass_connections_open', Gauge, 'Client connections open now.', ({ counters }) => counters.open],
  ['badass_connections_accepted_total', Counter, 'Client connections accepted.', ({ counters }) => counters.accepted],
  ['badass_connections_connected_total', Counter, 'Backends reached.', ({ counters }) => counters.connected],
  ['badass_requests_total', Counter, 'Requests routed.', ({ counters }) => counters.requests],
  ['badass_requests_queued', Gauge, 'Requests that wait for a backend.', ({ counters }) => counters.queued],
  ['badass_connections_reused_total', Counter, 'Requests on a reused connection.', ({ counters }) => counters.reuses],
  ['badass_retries_total', Counter, 'Requests sent again on another connection.', ({ counters }) => counters.retries],
  ['badass_bad_heads_total', Counter, 'Request heads refused.', ({ counters }) => counters.badHeads],
  ['badass_connect_failures_total', Counter, 'Backends not reached.', ({ counters }) => counters.connectFailures],
  [
    'badass_tls_handshake_failures_total',
    Counter,
    'TLS handshakes failed.',
    ({ counters }) => counters.handshakeFailures,
  ],
  [
    'badass_connections_turned_away_total',
    Counter,
    'Clients over max-connections.',
    ({ counters }) => counters.turnedAway,
  ],
  [
    'badass_connections_limited_total',
    Counter,
    'Connections over max-connections-per-client.',
    ({ counters }) => counters.limitedConnections,
  ],
  [
    'badass_requests_limited_total',
    Counter,
    'Requests that got a 429, because their client was over a limit.',
    ({ counters }) => counters.limitedRequests,
  ],
  ['badass_bytes_read_total', Counter, 'Bytes received from clients.', ({ counters }) => counters.bytesRead],
  ['badass_bytes_written_total', Counter, 'Bytes sent to clients.', ({ counters }) => counters.bytesWritten],
]

const OUTCOMES_HELP = 'Closed client connections, by outcome: ok, silent (no request), or an error code.'

const EACH: Row<BackendStatus>[] = [
  ['badass_backend_up', Gauge, '1 if the backend is up.', ({ state }) => Number(state === 'up')],
  [
    'badass_backend_ejected',
    Gauge,
    '1 if the backend is ejected.',
    ({ ejectedUntil }) => Number(ejectedUntil !== undefined),
  ],
  ['badass_backend_draining', Gauge, '1 if the backend drains.', ({ draining }) => Number(draining)],
  [
    'badass_backend_backup',
    Gauge,
    '1 if it is used only when all others are unavailable.',
    ({ backup }) => Number(backup),
  ],
  ['badass_backend_weight', Gauge, 'Its weight.', ({ weight }) => weight],
  [
    'badass_backend_effective_weight',
    Gauge,
    'Its weight now, less in a slow start.',
    ({ effectiveWeight }) => effectiveWeight,
  ],
  ['badass_backend_connections_max', Gauge, 'Its limit of open connections.', ({ maxConnections }) => maxConnections],
]

/** Shown for removed backends too, while they have open connections. */
const COUNTS: Row<BackendStatus>[] = [
  ['badass_backend_connections', Gauge, 'Its open connections.', ({ connections }) => connections],
  ['badass_backend_connections_total', Counter, 'Connections made to it.', ({ total }) => total],
  ['badass_backend_connect_failures_total', Counter, 'Connects that failed.', ({ failures }) => failures],
  ['badass_backend_ejections_total', Counter, 'Times that it was ejected.', ({ ejections }) => ejections],
  ['badass_backend_bytes_read_total', Counter, 'Bytes received from its clients.', ({ bytesRead }) => bytesRead],
  ['badass_backend_bytes_written_total', Counter, 'Bytes sent to its clients.', ({ bytesWritten }) => bytesWritten],
]

/** The metrics of one service, as Prometheus text. */
export class Metrics {
  static readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #registry = new Registry()
  readonly #take: () => Promise<Snapshot>
  readonly #ofProcesses: () => Promise<string>
  readonly #fill: ((from: Snapshot) => void)[] = []

  /** `ofProcesses` returns the text of the process metrics (CPU, memory, event loop). */
  constructor(take: () => Promise<Snapshot>, ofProcesses: () => Promise<string>) {
    this.#take = take
    this.#ofProcesses = ofProcesses
    const info = this.#metric('badass_info', Gauge, 'Always 1; the version.', ['version'])
    this.#fill.push(({ version }) => info.inc({ version }, 1))
    for (const [name, kind, help, read] of TOTALS) {
      const metric = this.#metric(name, kind, help, [])
      this.#fill.push((snapshot) => metric.inc(read(snapshot)))
    }
    const outcomes = this.#metric('badass_connections_total', Counter, OUTCOMES_HELP, ['outcome'])
    this.#fill.push(({ counters }) => {
      for (const [outcome, count] of Object.entries(counters.outcomes)) outcomes.inc({ outcome }, count)
    })
    this.#addEach(EACH, ({ backends }) => backends)
    // A backend that was removed and added again is listed twice. Its figures add up.
    this.#addEach(COUNTS, ({ backends, removed }) => [...backends, ...removed])
  }

  async text(): Promise<string> {
    const [snapshot, ofProcesses] = await Promise.all([this.#take(), this.#ofProcesses()])
    this.#registry.resetMetrics()
    for (const fill of this.#fill) fill(snapshot)
    return `${await this.#registry.metrics()}\n${requestMetrics(snapshot.requests)}\n${ofProcesses}`
  }

  #addEach(rows: Row<BackendStatus>[], listOf: (from: Snapshot) => readonly BackendStatus[]): void {
    for (const [name, kind, help, read] of rows) {
      const metric = this.#metric(name, kind, help, ['id', 'address'])
      this.#fill.push((snapshot) => {
        for (const one of listOf(snapshot)) metric.inc({ id: one.id, address: one.address }, read(one))
      })
    }
  }

  #metric<L extends string>(name: string, Kind: Kind, help: string, labelNames: L[]): Counter<L> | Gauge<L> {
    return new Kind({ name, help, labelNames, registers: [this.#registry] })
  }
}
