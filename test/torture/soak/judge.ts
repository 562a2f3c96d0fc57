import type { History } from './history.ts'
import { Mismatch } from './pattern.ts'

/**
 * How an exchange ended. `complete`: all bytes came and were right. `aborted`: the client left; the bytes up to there were
 * right. `rejected`: a bad head got its 4xx. `broken`: the end of a backend broke the connection; the bytes up to there
 * were right. `unavailable`: a 502 or 503 while backends were down.
 */
const OUTCOMES = ['complete', 'aborted', 'rejected', 'broken', 'unavailable'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** How many exchanges ended in each way. */
export type Counts = Record<Outcome, number>

export function noCounts(): Counts {
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Counts
}

/** The connection was reset, or ended before the answer was complete. */
export class BrokenOff extends Error {
  override readonly name = 'BrokenOff'
}

/** The answer has another status than the expected one. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number

  constructor(status: number) {
    super(`status ${status}`)
    this.status = status
  }
}

/** What a client saw. Times are those of `performance.now()`. */
export interface Failure {
  /** When the client began to connect. */
  from: number
  /** When the exchange failed. */
  to: number
  /** The backend that answered, if any did. */
  backend?: string | undefined
  error: unknown
}

/** The outcome that the history of the backends explains, or a fault with its reason. */
export function judge(failure: Failure, history: History, backends: readonly string[]): Outcome | { fault: string } {
  const { from, to, backend, error } = failure
  if (error instanceof Mismatch) return { fault: `${error}` }
  const areAllDown = () => backends.every((one) => !history.wasUp(one, from, to))
  if (error instanceof BrokenOff) {
    if (history.hasBroken(from, to, backend)) return 'broken'
    // The 503 to an upload can be lost with the reset that follows it.
    if (backend === undefined && areAllDown()) return 'broken'
  }
  if (error instanceof Refused && backend === undefined) {
    if (error.status === 502 && history.hasBroken(from, to)) return 'unavailable'
    if (error.status === 503 && areAllDown()) return 'unavailable'
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const by = backend === undefined ? '' : `, from ${backend}`
  return { fault: `${what}${by}, after ${Math.round(to - from)} ms` }
}
