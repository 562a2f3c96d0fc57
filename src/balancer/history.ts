import { messageOf } from '../show.ts'
import type { BackendStatus } from './backend-status.ts'

/** How many of each a backend keeps. */
const MOST_CHECKS = 10
const MOST_TRANSITIONS = 20

/** A finished health check of a backend, or a probe while it is down. */
export interface BackendCheck {
  /** When it ended, in ms since 1970. */
  at: number
  /** ms from its start. */
  duration: number
  passed: boolean
  /** The status of the response, if it is an HTTP check that got one. */
  status: number | undefined
  /** Why it failed. */
  error: string | undefined
}

/** A change of a backend's state, drain, ejection or weight. */
export interface BackendTransition {
  /** In ms since 1970. */
  at: number
  to: 'up' | 'down' | 'draining' | 'ready' | 'ejected' | 'returned' | 'weight'
  /**
   * The error for 'down' and 'ejected'. Who did it for the others: 'operator' or 'check' for 'draining' and 'ready',
   * 'operator' or 'options' for 'weight'.
   */
  cause: string | undefined
  /** The weight in force after a change of it. */
  weight: number | undefined
}

/** What happened to a backend. The newest comes first. */
export interface BackendHistory {
  /** The last 10 checks. */
  checks: BackendCheck[]
  /** The last 20 transitions. */
  transitions: BackendTransition[]
}

/** Keeps the last checks, transitions and error of a backend. */
export class History {
  #lastError: BackendStatus['lastError']
  readonly #checks: BackendCheck[] = []
  readonly #transitions: BackendTransition[] = []

  checked(check: Omit<BackendCheck, 'at'>): void {
    keep(this.#checks, { at: Date.now(), ...check }, MOST_CHECKS)
  }

  turned(to: BackendTransition['to'], by?: Error | string, weight?: number): void {
    const cause = by === undefined ? undefined : messageOf(by)
    keep(this.#transitions, { at: Date.now(), to, cause, weight }, MOST_TRANSITIONS)
  }

  /** A connect or a check failed. */
  failed(cause: Error): void {
    this.#lastError = { message: messageOf(cause), at: Date.now() }
  }

  /** A copy. */
  get lastError(): BackendStatus['lastError'] {
    return this.#lastError && { ...this.#lastError }
  }

  /** A copy. */
  get all(): BackendHistory {
    const copy = <T extends object>(entries: readonly T[]): T[] => entries.map((entry) => ({ ...entry }))
    return { checks: copy(this.#checks), transitions: copy(this.#transitions) }
  }
}

/** Adds an entry in front, and forgets the oldest of more than `most`. */
function keep<T>(entries: T[], entry: T, most: number): void {
  entries.unshift(entry)
  if (entries.length > most) entries.pop()
}
