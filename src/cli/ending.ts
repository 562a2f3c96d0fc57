import { exitBySignal } from './exit.ts'
import type { Io } from './output.ts'

/** The part of a service that ends it. */
interface Ends {
  /** ms to go on accepting clients after a signal. */
  readonly shutdownDelay: number
  /** ms that open connections have to end during a drain. */
  readonly grace: number
  /** Reports on /healthz that the process is about to end. Clients are still accepted. */
  announceEnd(): void
  drain(): Promise<void>
  /** Ends everything at once. */
  stop(): void
}

export interface EndingEvents {
  say: Io['say']
  drained(): void
  failed(error: unknown): void
}

/** Ends a service in steps: the delay, the drain, the end of the process. Each signal skips to the next step. */
export class Ending {
  readonly #events: EndingEvents
  #delay: NodeJS.Timeout | undefined
  #isDraining = false

  constructor(events: EndingEvents) {
    this.#events = events
  }

  /** `service` is undefined during the start: the process then ends at once. */
  signal(service: Ends | undefined, name: NodeJS.Signals): void {
    if (!service || this.#isDraining) {
      service?.stop()
      return exitBySignal(name)
    }
    const { shutdownDelay } = service
    if (shutdownDelay === 0 || this.#delay) return this.#drain(service, name)
    service.announceEnd()
    this.#events.say(`${name}: draining in ${shutdownDelay / 1000} s; repeat to drain now`)
    this.#delay = setTimeout(() => this.#drain(service, `after ${shutdownDelay / 1000} s`), shutdownDelay)
  }

  #drain(service: Ends, why: string): void {
    clearTimeout(this.#delay)
    this.#isDraining = true
    service.drain().then(this.#events.drained, this.#events.failed)
    this.#events.say(`${why}: draining for up to ${service.grace / 1000} s; repeat to end at once`)
  }
}
