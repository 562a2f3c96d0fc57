import { isError, messageOf } from '../../show.ts'
import type { AdminStatus, BackendDetails, ProcessMetrics } from '../admin/index.ts'
import type { CertificateStatus } from '../certificate-status.ts'
import { type Config, ConfigError } from '../config/index.ts'
import type { ServiceCounters } from '../counters.ts'
import type { RequestLists } from '../recent-requests.ts'
import type { RequestCounts } from '../request-counts.ts'
import type { SharedContext } from '../service/index.ts'

/** A config without its hooks: functions cannot be sent. */
export interface Settings {
  /** With concrete ports, and without the admin page, which belongs to the primary. */
  readonly config: Omit<Config, 'hooks'>
  /** If true, the worker loads the config module itself. */
  readonly hasHooks: boolean
}

export interface Start extends Settings, SharedContext {
  /** From 1 to `count`. */
  readonly number: number
  readonly count: number
  /** ms for the config to load. */
  readonly loadMs: number
}

/** What a worker has counted since it started, but for its requests. */
export interface Report {
  readonly counters: Readonly<ServiceCounters>
  readonly backends: readonly AdminStatus[]
  /** Removed backends that still have open connections. */
  readonly removed: readonly AdminStatus[]
  /** What it has counted since its last report. */
  readonly requests: readonly RequestCounts[]
}

/** The orders that the primary sends to a worker. */
export interface Orders {
  /** Resolves when the worker serves. */
  start(given: Start): void
  /** Does the part of a reload that may fail. `commit` or `abort` follows. */
  prepare(given: Settings): void
  commit(): void
  abort(): void
  /** Resolves when each DNS name has been looked up. */
  resolve(): void
  /** Drains for up to so many ms, then ends the worker. */
  drain(ms: number): void
  /** Applies an action to a backend, if the worker has one with that id. Returns the number of connections reset. */
  act(given: Action): number
  /** Null if the worker has no backend with that id. */
  details(id: string): BackendDetails | null
  /** Undefined until the worker serves. */
  report(): Report | undefined
  /** The metrics of its process. */
  metrics(): ProcessMetrics
  /** The certificates that the worker uses. */
  certificates(): readonly CertificateStatus[]
  /** Its slowest and failed requests, if it records them. */
  recent(): RequestLists | undefined
  /** Opens the file of the access log again. */
  reopenLog(): void
  /** Answered at once unless the event loop is blocked. */
  ping(): void
}

export type Action =
  | { action: 'drain' | 'ready' | 'kill'; id: string }
  | { action: 'setWeight'; id: string; weight: number | undefined }
export type Kind = keyof Orders
export type Given<K extends Kind> = Parameters<Orders[K]>[0]
export type Result<K extends Kind> = ReturnType<Orders[K]>

export type Order = { [K in Kind]: { id: number; kind: K; given: Given<K> } }[Kind]

/** The messages that a worker sends. */
export type Message =
  /** The worker accepts orders from now on. */
  | { kind: 'ready' }
  | { kind: 'done'; id: number; result: unknown }
  | { kind: 'failed'; id: number; failure: Failure }
  | { kind: 'say'; line: string; about: string | undefined }
  /** The worker got a SIGTERM, and waits for the primary's order to drain. */
  | { kind: 'terminated' }
  /** The last report before it ends. */
  | { kind: 'report'; report: Report }

/** An error in a form that can be sent. */
export interface Failure {
  message: string
  isOfConfig: boolean
  isPortTaken: boolean
}

/** A worker cannot listen, because another program uses the port. */
export class PortTaken extends Error {}

export function failureOf(error: unknown): Failure {
  const isOfConfig = error instanceof ConfigError || error instanceof TypeError
  const isPortTaken = isError(error) && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE'
  return { message: messageOf(error), isOfConfig, isPortTaken }
}

export function errorOf({ message, isOfConfig, isPortTaken }: Failure): Error {
  if (isPortTaken) return new PortTaken(message)
  return isOfConfig ? new ConfigError(message.split('\n')) : new Error(message)
}
