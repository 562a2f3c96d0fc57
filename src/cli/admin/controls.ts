import type { BackendStatus } from '../../index.ts'

/** A backend as the page shows it. `id` names the pool too, unless it is the default pool. */
export interface AdminStatus extends BackendStatus {
  /** The name of its pool. */
  readonly pool: string
}

/** What the page can do with a balancer. Its methods throw a RangeError for an unknown id. */
export interface Controls {
  readonly backends: readonly AdminStatus[]
  /** Removed backends that still have open connections. */
  readonly removed: readonly AdminStatus[]
  drain(id: string): void | Promise<void>
  ready(id: string): void | Promise<void>
  kill(id: string): number | Promise<number>
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
