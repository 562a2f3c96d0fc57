import type net from 'node:net'
import type { Config } from '../config/index.ts'
import type { ServiceCounters } from '../counters.ts'
import type { Io } from '../output.ts'
import { Capacity } from './capacity.ts'
import type { Certificates } from './certificates.ts'
import type { ClientLimits } from './client-limits.ts'
import { handshakeReporter } from './handshake.ts'
import { HeaderStage } from './header-stage.ts'
import { TlsTerminator } from './tls-terminator.ts'

/** Where admitted clients go, and the limits for each of them. */
export interface AdmissionContext {
  serve(socket: net.Socket): void
  limits: ClientLimits
  say: Io['say']
  ticketKeys: Buffer | undefined
}

/** Admits accepted clients: checks the limits on connections and terminates TLS, then hands them to `serve`. */
export class Admission {
  readonly #serve: (socket: net.Socket) => void
  readonly #limits: ClientLimits
  readonly #capacity: Capacity
  readonly #headers: HeaderStage
  readonly #terminator: TlsTerminator
  /** There is a limit for each client. */
  #countsClients = false
  #handshakeFailures = 0

  constructor({ serve, limits, say, ticketKeys }: AdmissionContext) {
    this.#serve = serve
    this.#limits = limits
    this.#capacity = new Capacity(say)
    this.#headers = new HeaderStage(serve)
    const tell = handshakeReporter(say)
    const failed = (reason: string, client: string) => {
      this.#handshakeFailures++
      tell(reason, client)
    }
    this.#terminator = new TlsTerminator({ accept: serve, failed }, ticketKeys)
  }

  get counters(): Pick<ServiceCounters, 'handshakeFailures' | 'turnedAway'> {
    return { handshakeFailures: this.#handshakeFailures, turnedAway: this.#capacity.turnedAway }
  }

  /** Settings for clients accepted from now on. */
  use(certificates: Certificates | undefined, config: Config): void {
    const { limits, proxyProtocol, maxConnections, maxConnectionsPerClient } = config
    const { headTimeout } = limits
    this.#countsClients = maxConnectionsPerClient !== undefined
    this.#headers.use(proxyProtocol, headTimeout)
    this.#terminator.use(certificates, { headTimeout })
    this.#capacity.use(maxConnections, certificates, proxyProtocol)
    this.#limits.use(certificates, config)
  }

  /** `isTls`: the client speaks TLS. */
  take(socket: net.Socket, isTls: boolean): void {
    if (!this.#capacity.take(socket, isTls)) return
    const next = () => {
      if (!this.#limits.takeConnection(socket, isTls)) return
      if (isTls) this.#terminator.take(socket)
      else this.#serve(socket)
    }
    // Without TLS, the proxy reads the header, unless the client must be known before.
    if (isTls || this.#countsClients) this.#headers.take(socket, next)
    else next()
  }

  /** Resolves when no PROXY header and no handshake is under way, or after `ms`. */
  async settled(ms: number): Promise<void> {
    const start = performance.now()
    await this.#headers.settled(ms)
    await this.#terminator.settled(Math.max(0, ms - (performance.now() - start)))
  }

  /** Destroys all connections with an unread PROXY header, handshakes, refused clients and TLS connections. */
  destroy(): void {
    this.#headers.destroy()
    this.#terminator.destroy()
    this.#capacity.destroy()
    this.#limits.destroy()
  }
}
