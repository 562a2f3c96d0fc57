import type { BackendStatus } from './backend.ts'

/** What a balancer tells: once for each change. */
export interface BalancerEvents {
  /** A backend that was down can be reached again. */
  up: [status: BackendStatus]
  /** A backend cannot be reached. */
  down: [status: BackendStatus, error: Error]
  /** A backend takes no new clients from now on. */
  drain: [status: BackendStatus]
  /** A backend that was draining takes new clients again. */
  ready: [status: BackendStatus]
  /** A backend has come: by `add`, `update` or the DNS. */
  add: [status: BackendStatus]
  /** A backend has gone; what it has open stays open. */
  remove: [status: BackendStatus]
  /** A name of the DNS has been found to stand for so many backends: others than before, or the first after a failure. */
  resolved: [name: string, count: number]
  /** A name of the DNS could not be looked up: what was found last stays. Not again until it can. */
  unresolved: [name: string, error: Error]
}

export type Tell = <K extends keyof BalancerEvents>(name: K, ...values: BalancerEvents[K]) => void
