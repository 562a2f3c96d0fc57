import type net from 'node:net'
import { type Io, RepeatFilter } from '../output.ts'
import type { Certificates } from './certificates.ts'
import { TurnAway } from './turn-away.ts'

/** Limits the number of open client connections. Clients over the limit get a 503. */
export class Capacity {
  #limit = Number.POSITIVE_INFINITY
  #open = 0
  readonly #full = new TurnAway({
    status: '503 Service Unavailable',
    why: 'too many connections',
    fields: ['Retry-After: 1'],
  })
  readonly #lines: RepeatFilter

  constructor(say: Io['say']) {
    this.#lines = new RepeatFilter(say)
  }

  /** Clients over the limit so far. */
  get turnedAway(): number {
    return this.#full.count
  }

  /** Sets the limit. Open connections stay. */
  use(
    limit = Number.POSITIVE_INFINITY,
    certificates: Certificates | undefined,
    proxyProtocol: readonly string[] | undefined,
  ): void {
    this.#limit = limit
    if (limit !== Number.POSITIVE_INFINITY) this.#full.use(certificates, proxyProtocol)
  }

  /** Counts a client until it closes. Returns false if it is over the limit: then it is answered here. */
  take(socket: net.Socket, isTls: boolean): boolean {
    if (this.#open >= this.#limit) {
      this.#lines.say('full', `max-connections: the limit of ${this.#limit} is reached; new clients get a 503`)
      this.#full.take(socket, isTls)
      return false
    }
    this.#open++
    socket.once('close', () => this.#open--)
    return true
  }

  /** Destroys the connections that are being answered. */
  destroy(): void {
    this.#full.destroy()
  }
}
