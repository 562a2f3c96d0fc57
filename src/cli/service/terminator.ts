import { randomBytes } from 'node:crypto'
import type net from 'node:net'
import tls from 'node:tls'
import type { Certificates } from './certificates.ts'

/** What the sessions that clients keep are sealed with: who has the same can resume them. */
export function makeTicketKeys(): Buffer {
  return randomBytes(48)
}

/** Ends the TLS of accepted sockets, and gives on those whose handshake was done. */
export class Terminator {
  readonly #accept: (socket: tls.TLSSocket) => void
  /** The same for all servers, so that a client's session outlives a change of certificates. */
  readonly #ticketKeys: Buffer
  #server: tls.Server | undefined
  /** Sockets under TLS; those of `#secure` too. */
  readonly #sockets = new Set<net.Socket>()
  readonly #secure = new Set<tls.TLSSocket>()
  readonly #whenSettled = new Set<() => void>()

  constructor(accept: (socket: tls.TLSSocket) => void, ticketKeys = makeTicketKeys()) {
    this.#accept = accept
    this.#ticketKeys = ticketKeys
  }

  /** Handshakes that come later get these certificates; `timeout` in ms, 0: Node's own, two minutes. None: no TLS. */
  use(certificates: Certificates | undefined, timeout = 0): void {
    this.#server = certificates && this.#create(certificates, timeout)
  }

  /** Whether the socket is taken: not where there is no TLS. */
  take(socket: net.Socket): boolean {
    if (!this.#server) return false
    this.#sockets.add(socket)
    socket.once('close', () => this.#left(this.#sockets, socket))
    // A client that ends its side before its handshake is done is gone. Whoever gets the TLS socket allows it again.
    socket.allowHalfOpen = false
    this.#server.emit('connection', socket)
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
