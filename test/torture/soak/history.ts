/** A time in which a backend was down. Times are those of `performance.now()`. */
interface Outage {
  backend: string
  /** When it was told to end. Its connections may break from then on. */
  from: number
  /** When the process had ended. */
  ended: number
  /** When its successor listened. */
  back: number
}

/** ms after which a restarted backend is known to be up: some health checks. */
export const SETTLED_MS = 4_000

/** Which backend was up when. */
export class History {
  readonly #outages: Outage[] = []
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Call it before a backend is ended; call `ended` when its process has ended, and `back` when its successor listens. */
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

  /** Whether this backend (or, without a name, any) broke its connections between the two times. */
  hasBroken(from: number, to: number, backend?: string): boolean {
    return this.#outages.some(
      (outage) => (backend ?? outage.backend) === outage.backend && outage.from <= to && outage.ended >= from,
    )
  }

  /** Whether the backend was known to be up all the time between the two. */
  wasUp(backend: string, from: number, to: number): boolean {
    return !this.#outages.some((one) => one.backend === backend && one.from <= to && one.back + SETTLED_MS >= from)
  }
}
