import type { History } from './history.ts'
import { Mismatch } from './pattern.ts'

/**
 * What came of an exchange. `complete`: all of it, and right. `aborted`: the client left, and it was right up to there.
 * `rejected`: a bad head, which got its 4xx. `broken`: broken off by the end of a backend, and right up to there.
 * `unavailable`: a 502 or 503, while backends were ended.
 */
export const OUTCOMES = ['complete', 'aborted', 'rejected', 'broken', 'unavailable'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** The connection was reset, or ended before all was there. */
export class BrokenOff extends Error {
  override readonly name = 'BrokenOff'
}

/** An answer of another status than the one that was asked for. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number

  constructor(status: number) {
    super(`status ${status}`)
    this.status = status
  }
}

/** What a client saw: times as of `performance`. */
export interface Failure {
  /** When it began to connect. */
  from: number
  /** When it failed. */
  to: number
  /** Who answered, where that is known. */
  backend?: string | undefined
  error: unknown
}

/** What a failure is: an outcome that the history accounts for, or (with a reason) a fault. */
export function judge(failure: Failure, history: History, backends: readonly string[]): Outcome | { fault: string } {
  const { from, to, backend, error } = failure
  if (error instanceof Mismatch) return { fault: `${error}` }
  const by = backend === undefined ? '' : `, by ${backend}`
  const isNobodyThere = () => backends.every((one) => !history.wasUp(one, from, to))
  if (error instanceof BrokenOff) {
    if (history.hasBroken(from, to, backend)) return 'broken'
    // The 503 to an upload may be lost with the reset that follows it.
    if (backend === undefined && isNobodyThere()) return 'broken'
  }
  if (error instanceof Refused && backend === undefined) {
    // It was sent to one that ended.
    if (error.status === 502 && history.hasBroken(from, to)) return 'unavailable'
    // Nobody is said to be there: that has to be true.
    if (error.status === 503 && isNobodyThere()) return 'unavailable'
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return { fault: `${what}${by}, after ${Math.round(to - from)} ms` }
}
