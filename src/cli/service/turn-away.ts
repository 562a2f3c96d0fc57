import type net from 'node:net'
import { reset } from '../../proxy/index.ts'
import { READABLE } from './alpn.ts'
import type { Certificates } from './certificates.ts'
import { type Answer, fixedAnswer } from './fixed-answer.ts'
import { TlsTerminator } from './tls-terminator.ts'

/** Clients that get the answer at the same time. Others are reset. */
const MOST_ANSWERED = 64
/** ms for each of them from accept to close: handshake, request and answer. */
const ANSWER_MS = 5_000

/** Gives clients that are not served an answer, over TLS too, and closes them. */
export class TurnAway {
  /** Clients turned away so far. */
  count = 0
  readonly #answer: Omit<Answer, 'headTimeout' | 'proxyProtocol'>
  #answering: net.Server
  readonly #answered = new Set<net.Socket>()
  /** Separate from the terminator of served clients: a drain does not wait for it, and its failures are not reported. */
  readonly #terminator = new TlsTerminator({ accept: (socket) => this.#send(socket), failed: () => undefined })

  constructor(answer: Omit<Answer, 'headTimeout' | 'proxyProtocol'>) {
    this.#answer = answer
    this.#answering = fixedAnswer({ ...answer, headTimeout: ANSWER_MS })
  }

  /** `proxyProtocol`: peers whose sockets still begin with a PROXY header. */
  use(certificates: Certificates | undefined, proxyProtocol: readonly string[] | undefined): void {
    this.#answering = fixedAnswer({ ...this.#answer, headTimeout: ANSWER_MS, proxyProtocol })
    const protocols = certificates?.protocols.ALPNCallback ? READABLE : undefined
    this.#terminator.use(certificates, { headTimeout: ANSWER_MS, proxyProtocol, protocols })
  }

  take(socket: net.Socket, isTls: boolean): void {
    this.count++
    socket.on('error', () => undefined)
    if (this.#answered.size >= MOST_ANSWERED) return reset(socket)
    this.#answered.add(socket)
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS)
    socket.once('close', () => {
      clearTimeout(timer)
      this.#answered.delete(socket)
    })
    if (isTls) this.#terminator.take(socket)
    else this.#send(socket)
  }

  /** Destroys the connections that are being answered. */
  destroy(): void {
    for (const socket of this.#answered) socket.destroy()
  }

  #send(socket: net.Socket): void {
    this.#answering.emit('connection', socket)
  }
}
