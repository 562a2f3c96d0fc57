import type { BackendStatus } from '../../index.ts'

/** What the page can do with a balancer. Its methods throw a RangeError for an unknown id. */
export interface Controls {
  readonly backends: readonly BackendStatus[]
  /** Removed backends that still have open connections. */
  readonly removed: readonly BackendStatus[]
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
