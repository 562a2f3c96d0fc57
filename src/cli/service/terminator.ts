import { randomBytes } from 'node:crypto'
import type net from 'node:net'
import tls from 'node:tls'
import { behindProxy } from '../../index.ts'
import type { Certificates } from './certificates.ts'

/** What the sessions that clients keep are sealed with: who has the same can resume them. */
export function makeTicketKeys(): Buffer {
  return randomBytes(48)
}

/** What is to come before a handshake, and how soon. */
interface Before {
  headTimeout?: number | undefined
  proxyProtocol?: readonly string[] | undefined
}

/** Ends the TLS of accepted sockets, and gives on those whose handshake was done, and those whose PROXY header was refused. */
export class Terminator {
  readonly #accept: (socket: net.Socket) => void
  /** The same for all servers, so that a client's session outlives a change of certificates. */
  readonly #ticketKeys: Buffer
  /** Gives a socket to where its TLS ends. */
  #begin: ((socket: net.Socket) => void) | undefined
  /** Sockets under TLS; those of `#secure` too. */
  readonly #sockets = new Set<net.Socket>()
  readonly #secure = new Set<tls.TLSSocket>()
  readonly #whenSettled = new Set<() => void>()

  constructor(accept: (socket: net.Socket) => void, ticketKeys = makeTicketKeys()) {
    this.#accept = accept
    this.#ticketKeys = ticketKeys
  }

  /**
   * Handshakes that come later get these certificates; `headTimeout` in ms, 0: Node's own, two minutes. None: no TLS.
   * `proxyProtocol`: whose PROXY headers come before.
   */
  use(certificates: Certificates | undefined, { headTimeout, proxyProtocol }: Before = {}): void {
    this.#begin = undefined
    if (!certificates) return
    const server = this.#create(certificates, headTimeout ?? 0)
    this.#begin = proxyProtocol
      ? behindProxy(server, { proxyProtocol, headTimeout, refused: (socket) => this.#accept(socket) })
      : (socket) => server.emit('connection', socket)
  }

  /** Whether the socket is taken: not where there is no TLS. */
  take(socket: net.Socket): boolean {
    if (!this.#begin) return false
    this.#sockets.add(socket)
    socket.once('close', () => this.#left(this.#sockets, socket))
    // A client that ends its side before its handshake is done is gone. Whoever gets the TLS socket allows it again.
    socket.allowHalfOpen = false
    this.#begin(socket)
    return true
  }

  /** Resolves when no handshake is under way, and after so many ms at the latest. */
  async settled(ms: number): Promise<void> {
    if (!this.#isBusy) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#whenSettled.add(resolve)
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
  }

  /** Breaks off all there is, and what is in its handshake with it. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** A TLS socket and the one under it have no public link, but both close: the difference is what shakes hands. */
  get #isBusy(): boolean {
    return this.#sockets.size > this.#secure.size
  }

  #create(certificates: Certificates, timeout: number): tls.Server {
    const server = tls.createServer({
      ...certificates.first,
      ticketKeys: this.#ticketKeys,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: timeout,
      SNICallback: (host, done) => done(null, certificates.contextFor(host)),
    })
    server.on('secureConnection', (socket) => {
      this.#secure.add(socket)
      socket.once('close', () => this.#left(this.#secure, socket))
      this.#tell()
      this.#accept(socket)
    })
    // A scanner, or a client that does not know our issuer: nothing to tell of. Node leaves those that are late open.
    server.on('tlsClientError', (_, socket) => socket.destroy())
    return server
  }

  #left<T>(sockets: Set<T>, socket: T): void {
    sockets.delete(socket)
    this.#tell()
  }

  #tell(): void {
    if (this.#isBusy) return
    for (const tell of this.#whenSettled) tell()
    this.#whenSettled.clear()
  }
}
