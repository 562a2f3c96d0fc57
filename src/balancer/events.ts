import type { EventEmitter } from 'node:events'
import type { BackendStatus } from './backend-status.ts'
import type { Drainer } from './drain.ts'

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
  /** A backend began to drain: by `drain()` ('operator'), or because its health checks say so ('check'). */
  drain: [status: BackendStatus, by: Drainer]
  /** A drain ended: the backend accepts new clients again. `by`: the last one that ended its drain. */
  ready: [status: BackendStatus, by: Drainer]
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

/**
 * Makes a function that emits events. An exception in a listener is rethrown in the next tick, as an uncaught exception:
 * it must not interrupt the code that emits.
 */
export function emitOn(emitter: EventEmitter<BalancerEvents>): Emit {
  return (name, ...values) => {
    try {
      ;(emitter as EventEmitter).emit(name, ...values)
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }
}
