import type { Drainer } from './drain.ts'

/** A snapshot of a backend's state and counters. */
export interface BackendStatus {
  id: string
  /** 'host:port', '[::1]:port' or 'unix:/path'. */
  address: string
  /** The DNS name that it came from, as in 'dns:app.internal:3000' or 'srv:_http._tcp.app.internal'. */
  source: string | undefined
  state: 'up' | 'down'
  draining: boolean
  /** When the drain began, in ms since 1970; undefined when it is not draining. */
  drainingSince: number | undefined
  /** Who drains it: 'operator' by `drain()`, 'check' by its health checks (`drainStatus`). */
  drainedBy: Drainer[]
  backup: boolean
  /** The weight in force: that of `setWeight()`, or else `configuredWeight`. */
  weight: number
  /** The weight of its options; of a backend that came from SRV records, multiplied by the record's. */
  configuredWeight: number
  /** Less than `weight` during a slow start. */
  effectiveWeight: number
  maxConnections: number
  /** Open connections. With `requests: 'every'`: exchanges under way, and tunnels. */
  connections: number
  /** Connections established so far. */
  total: number
  /** Failed connects for clients. */
  failures: number
  /** When its ejection ends, in ms since 1970; undefined if it is not ejected. */
  ejectedUntil: number | undefined
  /** How often it was ejected. */
  ejections: number
  /** Bytes received from its clients, open connections included. */
  bytesRead: number
  /** Bytes sent to its clients, open connections included. */
  bytesWritten: number
  /** When `state` last changed, in ms since 1970. */
  since: number
  /** When a backend that is down is probed next, in ms since 1970. */
  retryAt: number | undefined
  /** The last failed connect or health check; `at` is in ms since 1970. */
  lastError: { message: string; at: number } | undefined
}
