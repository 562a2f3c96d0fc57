import { delayAfter } from '../../backoff.ts'

/** ms of uptime below which a worker counts as failing. */
const YOUNG_MS = 10_000
/** ms before a replacement starts: after one failure, and after many. */
const LIMITS = { min: 100, max: 10_000 }

/** Delays the replacement of workers that keep failing. */
export class RestartBackoff {
  /** Failures in a row, by worker number. */
  readonly #failures = new Map<number, number>()

  /** Returns the delay in ms after a worker ended. `uptime`: how long it ran, in ms. */
  delayAfter(number: number, uptime: number): number {
    const failures = uptime < YOUNG_MS ? (this.#failures.get(number) ?? 0) + 1 : 0
    this.#failures.set(number, failures)
    // Without jitter: the workers of one machine do not wait for each other.
    return failures === 0 ? 0 : delayAfter(failures, LIMITS, () => 1)
  }
}
