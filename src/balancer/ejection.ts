import { delayAfter } from '../backoff.ts'
import type { EjectSettings } from './eject-options.ts'

export interface EjectionEvents {
  /** Whether the backend may be ejected now: enough others are left. */
  mayEject(): boolean
  ejected(cause: Error): void
  /** The ejection is over. */
  returned(): void
}

/** Ejects a backend for a while after failures in a row. The time doubles until the backend serves for long. */
export class Ejection {
  readonly #events: EjectionEvents
  readonly #random: () => number
  #settings: EjectSettings | undefined
  /** Failures in a row. */
  #failures = 0
  /** Ejections, each soon after the one before. */
  #repeats = 0
  /** When the last one ended, on the monotonic clock (ms). */
  #returnedAt = Number.NEGATIVE_INFINITY
  /** When the current one ends, in ms since 1970. */
  #until: number | undefined
  #total = 0
  #timer: NodeJS.Timeout | undefined

  constructor(events: EjectionEvents, random: () => number = Math.random) {
    this.#events = events
    this.#random = random
  }

  /** When the current ejection ends, in ms since 1970; undefined if there is none. */
  get until(): number | undefined {
    return this.#until
  }

  /** Number of ejections so far. */
  get total(): number {
    return this.#total
  }

  /** Sets the options. Without any, an ejection ends at once. */
  use(settings: EjectSettings | undefined): void {
    this.#settings = settings
    if (!settings) this.#return()
  }

  passed(): void {
    this.#failures = 0
  }

  failed(cause: Error): void {
    if (!this.#settings || this.#until !== undefined || ++this.#failures < this.#settings.failures) return
    this.#failures = 0
    if (!this.#events.mayEject()) return
    const { min, max } = this.#settings
    if (performance.now() - this.#returnedAt > max) this.#repeats = 0
    const ms = delayAfter(++this.#repeats, { min, max }, this.#random)
    this.#total++
    this.#until = Date.now() + ms
    this.#timer = setTimeout(() => this.#return(), ms).unref()
    this.#events.ejected(cause)
  }

  /** Ends the ejection without an event. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#until = undefined
    this.#failures = 0
  }

  #return(): void {
    if (this.#until === undefined) return
    this.stop()
    this.#returnedAt = performance.now()
    this.#events.returned()
  }
}
