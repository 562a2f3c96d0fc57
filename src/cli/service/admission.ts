import type net from 'node:net'
import type { Config } from '../config/index.ts'
import type { Io } from '../output.ts'
import { Capacity } from './capacity.ts'
import type { Certificates } from './certificates.ts'
import { handshakeReporter } from './handshake.ts'
import { TlsTerminator } from './tls-terminator.ts'

/** Admits accepted clients: checks the connection limit and terminates TLS, then hands them to `serve`. */
export class Admission {
  readonly #serve: (socket: net.Socket) => void
  readonly #capacity: Capacity
  readonly #terminator: TlsTerminator
  #handshakeFailures = 0

  constructor(serve: (socket: net.Socket) => void, say: Io['say'], ticketKeys: Buffer | undefined) {
    this.#serve = serve
    this.#capacity = new Capacity(say)
    const tell = handshakeReporter(say)
    const failed = (reason: string, socket: net.Socket) => {
      this.#handshakeFailures++
      tell(reason, socket)
    }
    this.#terminator = new TlsTerminator({ accept: serve, failed }, ticketKeys)
  }

  get counters(): { handshakeFailures: number; turnedAway: number } {
    return { handshakeFailures: this.#handshakeFailures, turnedAway: this.#capacity.turnedAway }
  }

  /** Settings for clients accepted from now on. */
  use(certificates: Certificates | undefined, { limits, proxyProtocol, maxConnections }: Config): void {
    const before = { headTimeout: limits.headTimeout, proxyProtocol }
    this.#terminator.use(certificates, before)
    this.#capacity.use(maxConnections, certificates, before)
  }

  /** `isTls`: the client speaks TLS. */
  take(socket: net.Socket, isTls: boolean): void {
    if (!this.#capacity.take(socket, isTls)) return
    if (isTls) this.#terminator.take(socket)
    else this.#serve(socket)
  }

  /** Resolves when no handshake is under way, or after `ms`. */
  async settled(ms: number): Promise<void> {
    await this.#terminator.settled(ms)
  }

  /** Destroys all handshakes, 503 answers and TLS connections. */
  destroy(): void {
    this.#terminator.destroy()
    this.#capacity.destroy()
  }
}
