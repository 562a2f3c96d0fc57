/** A time in which a backend was not there. Times are those of the clock of `performance`. */
interface Outage {
  backend: string
  /** When it was told to end: from then on its connections may break off. */
  from: number
  /** When it had ended. */
  ended: number
  /** When the next one listened. */
  back: number
}

/** ms after which one that is back is known to be: some checks of its health. */
export const SETTLED_MS = 4_000

/** Who was up when: what the clients saw is held against it. */
export class History {
  readonly #outages: Outage[] = []
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** A backend is about to be ended. What is returned is called when it has ended, and when its successor listens. */
  begin(backend: string): { ended(): void; back(): void } {
    const outage = { backend, from: this.#now(), ended: Infinity, back: Infinity }
    this.#outages.push(outage)
    return {
      ended: () => {
        outage.ended = this.#now()
      },
      back: () => {
        outage.back = this.#now()
      },
    }
  }

  /** Whether any backend, or this one, broke its connections off within that time. */
  hasBroken(from: number, to: number, backend?: string): boolean {
    return this.#outages.some(
      (outage) => (backend ?? outage.backend) === outage.backend && outage.from <= to && outage.ended >= from,
    )
  }

  /** Whether the backend was known to be up all that time. */
  wasUp(backend: string, from: number, to: number): boolean {
    return !this.#outages.some((one) => one.backend === backend && one.from <= to && one.back + SETTLED_MS >= from)
  }
}
