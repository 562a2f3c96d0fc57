import type { BackendStatus } from '../../index.ts'
import type { CertificateStatus } from '../certificate-status.ts'
import type { ServiceCounters } from '../counters.ts'
import type { RequestCounts } from '../request-counts.ts'
import { certificateMetrics } from './certificate-metrics.ts'
import { requestMetrics } from './request-metrics.ts'
import { about, type Kind, labelsOf, sample, writeInSlices } from './text-format.ts'

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
  certificates: readonly CertificateStatus[]
}

type Row<T> = [name: string, kind: Kind, help: string, read: (from: T) => number]

const TOTALS: Row<Snapshot>[] = [
  ['badass_draining', 'gauge', '1 while the service drains.', ({ draining }) => Number(draining)],
  ['badass_workers', 'gauge', 'Processes that serve.', ({ workers }) => workers],
  ['badass_worker_restarts_total', 'counter', 'Workers that replaced another.', ({ restarts }) => restarts],
  ['badass_connections_open', 'gauge', 'Client connections open now.', ({ counters }) => counters.open],
  ['badass_connections_accepted_total', 'counter', 'Client connections accepted.', ({ counters }) => counters.accepted],
  ['badass_connections_connected_total', 'counter', 'Backends reached.', ({ counters }) => counters.connected],
  ['badass_requests_total', 'counter', 'Requests routed.', ({ counters }) => counters.requests],
  ['badass_requests_queued', 'gauge', 'Requests that wait for a backend.', ({ counters }) => counters.queued],
  ['badass_connections_reused_total', 'counter', 'Requests on a reused connection.', ({ counters }) => counters.reuses],
  ['badass_retries_total', 'counter', 'Requests sent again on another connection.', ({ counters }) => counters.retries],
  ['badass_bad_heads_total', 'counter', 'Request heads refused.', ({ counters }) => counters.badHeads],
  ['badass_connect_failures_total', 'counter', 'Backends not reached.', ({ counters }) => counters.connectFailures],
  [
    'badass_tls_handshake_failures_total',
    'counter',
    'TLS handshakes failed.',
    ({ counters }) => counters.handshakeFailures,
  ],
  [
    'badass_connections_turned_away_total',
    'counter',
    'Clients over max-connections.',
    ({ counters }) => counters.turnedAway,
  ],
  [
    'badass_connections_limited_total',
    'counter',
    'Connections over max-connections-per-client.',
    ({ counters }) => counters.limitedConnections,
  ],
  [
    'badass_requests_limited_total',
    'counter',
    'Requests that got a 429, because their client was over a limit.',
    ({ counters }) => counters.limitedRequests,
  ],
  ['badass_bytes_read_total', 'counter', 'Bytes received from clients.', ({ counters }) => counters.bytesRead],
  ['badass_bytes_written_total', 'counter', 'Bytes sent to clients.', ({ counters }) => counters.bytesWritten],
]

const OUTCOMES_HELP = 'Closed client connections, by outcome: ok, silent (no request), or an error code.'

const EACH: Row<BackendStatus>[] = [
  ['badass_backend_up', 'gauge', '1 if the backend is up.', ({ state }) => Number(state === 'up')],
  [
    'badass_backend_ejected',
    'gauge',
    '1 if the backend is ejected.',
    ({ ejectedUntil }) => Number(ejectedUntil !== undefined),
  ],
  ['badass_backend_draining', 'gauge', '1 if the backend drains.', ({ draining }) => Number(draining)],
  [
    'badass_backend_backup',
    'gauge',
    '1 if it is used only when all others are unavailable.',
    ({ backup }) => Number(backup),
  ],
  ['badass_backend_weight', 'gauge', 'Its weight in force.', ({ weight }) => weight],
  [
    'badass_backend_effective_weight',
    'gauge',
    'Its weight now, less in a slow start.',
    ({ effectiveWeight }) => effectiveWeight,
  ],
  ['badass_backend_connections_max', 'gauge', 'Its limit of open connections.', ({ maxConnections }) => maxConnections],
]

/** Shown for removed backends too, while they have open connections. */
const COUNTS: Row<BackendStatus>[] = [
  ['badass_backend_connections', 'gauge', 'Its open connections.', ({ connections }) => connections],
  ['badass_backend_connections_total', 'counter', 'Connections made to it.', ({ total }) => total],
  ['badass_backend_connect_failures_total', 'counter', 'Connects that failed.', ({ failures }) => failures],
  ['badass_backend_ejections_total', 'counter', 'Times that it was ejected.', ({ ejections }) => ejections],
  ['badass_backend_bytes_read_total', 'counter', 'Bytes received from its clients.', ({ bytesRead }) => bytesRead],
  ['badass_backend_bytes_written_total', 'counter', 'Bytes sent to its clients.', ({ bytesWritten }) => bytesWritten],
]

/** The metrics of one service, as Prometheus text. */
export class Metrics {
  readonly #take: () => Promise<Snapshot>
  readonly #ofProcesses: () => Promise<string>

  /** `ofProcesses` returns the text of the process metrics (CPU, memory, event loop). */
  constructor(take: () => Promise<Snapshot>, ofProcesses: () => Promise<string>) {
    this.#take = take
    this.#ofProcesses = ofProcesses
  }

  /** Clients are served meanwhile, however many backends there are. */
  async text(): Promise<readonly Buffer[]> {
    const [snapshot, ofProcesses] = await Promise.all([this.#take(), this.#ofProcesses()])
    return writeInSlices(allMetrics(snapshot, ofProcesses))
  }
}

/** The text in small parts. */
function* allMetrics(snapshot: Snapshot, ofProcesses: string): Generator<string> {
  const { version, counters, backends, removed, requests, certificates } = snapshot
  yield about('badass_info', 'gauge', 'Always 1; the version.')
  yield sample('badass_info', labelsOf({ version }), 1)
  for (const [name, kind, help, read] of TOTALS) yield about(name, kind, help) + sample(name, '', read(snapshot))
  yield about('badass_connections_total', 'counter', OUTCOMES_HELP)
  for (const [outcome, count] of Object.entries(counters.outcomes)) {
    yield sample('badass_connections_total', labelsOf({ outcome }), count)
  }
  yield* backendMetrics(EACH, backends)
  yield* backendMetrics(COUNTS, [...backends, ...removed])
  yield* requestMetrics(requests)
  yield certificateMetrics(certificates)
  yield ofProcesses
}

function* backendMetrics(rows: readonly Row<BackendStatus>[], all: readonly BackendStatus[]): Generator<string> {
  const byLabels = new Map<string, BackendStatus[]>()
  for (const one of all) {
    const labels = labelsOf({ id: one.id, address: one.address })
    // A backend that was removed and added again is listed twice. Its figures add up.
    byLabels.set(labels, [...(byLabels.get(labels) ?? []), one])
    yield ''
  }
  for (const [name, kind, help, read] of rows) {
    yield about(name, kind, help)
    for (const [labels, same] of byLabels) {
      const value = same.reduce((sum, one) => sum + read(one), 0)
      yield sample(name, labels, value)
    }
  }
}
