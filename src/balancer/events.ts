import type { BackendStatus } from './backend-status.ts'

/** Events of a `Balancer`, one per change. */
export interface BalancerEvents {
  /** A backend that was down is up again. */
  up: [status: BackendStatus]
  /** A backend is down. `error` is the failed connect or check. */
  down: [status: BackendStatus, error: Error]
  /** A backend was ejected after failures in a row. `error` is the last one. */
  eject: [status: BackendStatus, error: Error]
  /** An ejection is over. */
  uneject: [status: BackendStatus]
  /** A backend began to drain: by `drain()`, or because its health checks say so. */
  drain: [status: BackendStatus]
  /** A drain ended: the backend accepts new clients again. */
  ready: [status: BackendStatus]
  /** A backend was added, by `add`, `update` or the DNS. */
  add: [status: BackendStatus]
  /** A backend was removed. Its open connections stay open. */
  remove: [status: BackendStatus]
  /**
   * A DNS name resolved to `count` backends: a changed list, the first answer after a failure, or 0 when none are left.
   */
  resolved: [name: string, count: number]
  /**
   * A DNS look-up failed. The last backends stay; if the DNS says that there are none, for `dns.hold` ms. Emitted once
   * until the next success.
   */
  unresolved: [name: string, error: Error]
}

export type Emit = <K extends keyof BalancerEvents>(name: K, ...values: BalancerEvents[K]) => void
