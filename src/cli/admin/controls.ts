import type { BackendCheck, BackendStatus, BackendTransition } from '../../index.ts'

/** A backend as the page shows it. `id` names the pool too, unless it is the default pool. */
export interface AdminStatus extends BackendStatus {
  /** The name of its pool. */
  readonly pool: string
}

/** The number of the worker process, if there are several. */
interface OfWorker {
  readonly worker?: number
}

/** What happened to a backend, in every process. The newest comes first. */
export interface BackendDetails {
  readonly id: string
  readonly pool: string
  readonly checks: readonly (BackendCheck & OfWorker)[]
  readonly transitions: readonly (BackendTransition & OfWorker)[]
}

/** No worker has answered in time: all are stopped or busy. */
export class NoAnswer extends Error {}

/**
 * What the page can do with a balancer. Its methods throw a RangeError for an unknown id, and may throw a
 * NoAnswer.
 */
export interface Controls {
  readonly backends: readonly AdminStatus[]
  /** Removed backends that still have open connections. */
  readonly removed: readonly AdminStatus[]
  drain(id: string): void | Promise<void>
  ready(id: string): void | Promise<void>
  kill(id: string): number | Promise<number>
  /** `undefined` takes the operator's weight away. */
  setWeight(id: string, weight: number | undefined): void | Promise<void>
  details(id: string): BackendDetails | Promise<BackendDetails>
}

/** The worker processes. Their figures are as of the last `refresh`. */
export interface Workers {
  /** Number of workers that serve now. */
  readonly count: number
  /** Number of workers that replaced another. */
  readonly restarts: number
  refresh(): Promise<void>
  /** The metrics of all processes, labelled by `worker`, as Prometheus text. */
  metrics(): Promise<string>
}
