import type net from 'node:net'
import { reset } from '../../proxy/index.ts'
import { type Io, RepeatFilter } from '../output.ts'
import type { Certificates } from './certificates.ts'
import { fixedAnswer } from './fixed-answer.ts'
import { type HandshakeOptions, TlsTerminator } from './tls-terminator.ts'

/** Clients over the limit that get a 503 at the same time. Others are reset. */
const MOST_ANSWERED = 64
/** ms for each of them from accept to close: handshake, request and answer. */
const ANSWER_MS = 5_000

const FULL = {
  status: '503 Service Unavailable',
  why: 'too many connections',
  fields: ['Retry-After: 1'],
  headTimeout: ANSWER_MS,
}

/** Limits the number of open client connections. Clients over the limit get a 503. */
export class Capacity {
  /** Clients over the limit so far. */
  turnedAway = 0
  #limit = Number.POSITIVE_INFINITY
  #open = 0
  #full = fixedAnswer(FULL)
  readonly #answered = new Set<net.Socket>()
  /** Separate from the terminator of served clients: a drain does not wait for it, and its failures are not reported. */
  readonly #terminator = new TlsTerminator({ accept: (socket) => this.#answer(socket), failed: () => undefined })
  readonly #lines: RepeatFilter

  constructor(say: Io['say']) {
    this.#lines = new RepeatFilter(say)
  }

  /** Sets the limit. Open connections stay. */
  use(
    limit = Number.POSITIVE_INFINITY,
    certificates: Certificates | undefined,
    { proxyProtocol }: HandshakeOptions,
  ): void {
    this.#limit = limit
    if (limit === Number.POSITIVE_INFINITY) return
    this.#full = fixedAnswer({ ...FULL, proxyProtocol })
    this.#terminator.use(certificates, { headTimeout: ANSWER_MS, proxyProtocol })
  }

  /** Counts a client until it closes. Returns false if it is over the limit: then it is answered here. */
  take(socket: net.Socket, isTls: boolean): boolean {
    if (this.#open >= this.#limit) {
      this.#turnAway(socket, isTls)
      return false
    }
    this.#open++
    socket.once('close', () => this.#open--)
    return true
  }

  /** Destroys the connections that are being answered. */
  destroy(): void {
    for (const socket of this.#answered) socket.destroy()
  }

  #turnAway(socket: net.Socket, isTls: boolean): void {
    this.turnedAway++
    this.#lines.say('full', `max-connections: the limit of ${this.#limit} is reached; new clients get a 503`)
    socket.on('error', () => undefined)
    if (this.#answered.size >= MOST_ANSWERED) return reset(socket)
    this.#answered.add(socket)
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS)
    socket.once('close', () => {
      clearTimeout(timer)
      this.#answered.delete(socket)
    })
    if (isTls) this.#terminator.take(socket)
    else this.#answer(socket)
  }

  #answer(socket: net.Socket): void {
    this.#full.emit('connection', socket)
  }
}
