import type { BackendStatus, Counters } from '../../index.ts'
import { type Config, ConfigError } from '../config/index.ts'
import type { Company } from '../service/index.ts'

/** What can be sent of a config: the hooks are functions. */
export interface Settings {
  /** Each port is known, and there is no admin page: that shows all workers, and is the primary's. */
  readonly config: Omit<Config, 'hooks'>
  /** Then the worker runs the config module for itself. */
  readonly hasHooks: boolean
}

export interface Start extends Settings, Company {
  /** From 1 to `count`. */
  readonly number: number
  readonly count: number
}

/** What a worker knows of itself, since it started. */
export interface Report {
  readonly counters: Readonly<Counters>
  readonly backends: readonly BackendStatus[]
  readonly metrics: string | undefined
}

/** What the primary has a worker do. */
export interface Orders {
  /** Resolves when it serves. */
  start(given: Start): void
  /** Does all of a reload that may fail. Then comes one of the next two. */
  prepare(given: Settings): void
  commit(): void
  abort(): void
  /** Resolves when the names of the DNS have been looked up. */
  resolve(): void
  /** Lets what is open end within so many ms, and ends. */
  drain(ms: number): void
  /** Does it to a backend, where it has one with that id. Returns how many connections were reset. */
  act(given: { action: Action; id: string }): number
  report(given: { withMetrics: boolean }): Report | undefined
}

export type Action = 'drain' | 'ready' | 'kill'
export type Kind = keyof Orders
export type Given<K extends Kind> = Parameters<Orders[K]>[0]
export type Result<K extends Kind> = ReturnType<Orders[K]>

export type Order = { [K in Kind]: { id: number; kind: K; given: Given<K> } }[Kind]

/** What a worker sends. */
export type Message =
  /** It takes orders from now on. */
  | { kind: 'ready' }
  | { kind: 'done'; id: number; result: unknown }
  | { kind: 'failed'; id: number; failure: Failure }
  | { kind: 'say'; line: string; about: string | undefined }
  /** Somebody has told it to end: it waits for the primary to say when. */
  | { kind: 'told' }
  /** Its last. */
  | { kind: 'report'; report: Report }

/** An error as it can be sent. */
export interface Failure {
  message: string
  isOfConfig: boolean
}

export function failureOf(error: unknown): Failure {
  const isOfConfig = error instanceof ConfigError || error instanceof TypeError
  return { message: error instanceof Error ? error.message : String(error), isOfConfig }
}

export function errorOf({ message, isOfConfig }: Failure): Error {
  return isOfConfig ? new ConfigError(message.split('\n')) : new Error(message)
}
