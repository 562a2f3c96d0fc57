import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { behindProxy } from '../../index.ts'
import { clientOf, handOver, peerName, tlsListener } from '../../proxy/index.ts'
import type { AlpnOptions } from './alpn.ts'
import type { Certificates } from './certificates.ts'
import { type ClientRules, checkClient } from './client-certificates.ts'
import { fixedAnswer } from './fixed-answer.ts'
import { invalidCertificate, PLAIN_HTTP, reasonOf } from './handshake.ts'

/** Default ms for the first byte of a client, like Node's handshakeTimeout. */
const HANDSHAKE_MS = 120_000

/** Keys for TLS session tickets. Processes with the same keys can resume each other's sessions. */
export function makeTicketKeys(): Buffer {
  return randomBytes(48)
}

export interface HandshakeOptions {
  /** ms for the handshake, 0 for Node's 2 minutes. */
  headTimeout?: number | undefined
  /** Peers that send a PROXY header first. */
  proxyProtocol?: readonly string[] | undefined
  /** In place of those of the certificates. */
  protocols?: AlpnOptions | undefined
}

export interface TlsTerminatorEvents {
  /** A decrypted socket, or a plain one whose PROXY header was refused. */
  accept(socket: net.Socket): void
  /** A handshake failed. `client`: its name in messages. */
  failed(reason: string, client: string): void
}

/**
 * The names of clients, captured before their handshakes: a TLS socket forgets the address when its client leaves, and
 * does not know the client of a PROXY header.
 */
const clients = new AsyncLocalStorage<string>()

/** Terminates the TLS of accepted sockets. */
export class TlsTerminator {
  readonly #events: TlsTerminatorEvents
  /** The same for all servers, so that sessions survive a change of certificates. */
  readonly #ticketKeys: Buffer
  /** What is asked of clients now. Handshakes under way may have begun with other rules. */
  #clients: ClientRules | undefined
  /** Passes a socket to the current TLS server. */
  #begin: ((socket: net.Socket) => void) | undefined
  /** Raw sockets, including those below `#secure`. */
  readonly #sockets = new Set<net.Socket>()
  readonly #secure = new Set<tls.TLSSocket>()
  readonly #whenSettled = new Set<() => void>()

  constructor(events: TlsTerminatorEvents, ticketKeys = makeTicketKeys()) {
    this.#events = events
    this.#ticketKeys = ticketKeys
  }

  /** Sets the certificates for later handshakes. */
  use(certificates: Certificates | undefined, options: HandshakeOptions = {}): void {
    const { headTimeout, proxyProtocol, protocols = certificates?.protocols } = options
    this.#begin = undefined
    this.#clients = certificates?.clients
    if (!certificates) return
    const server = this.#create(certificates, { ...protocols, handshakeTimeout: headTimeout ?? 0 })
    const look = this.#lookAt(server, headTimeout || HANDSHAKE_MS)
    const refused = (socket: net.Socket) => this.#events.accept(socket)
    this.#begin = proxyProtocol ? behindProxy(net.createServer(look), { proxyProtocol, headTimeout, refused }) : look
  }

  /** Begins the handshake. Without certificates, as at a new address before a reload is done, it ends the connection. */
  take(socket: net.Socket): void {
    if (!this.#begin) return void socket.destroy()
    this.#sockets.add(socket)
    socket.once('close', () => this.#left(this.#sockets, socket))
    // A client that half-closes during its handshake has left. The TLS socket allows half-open again.
    socket.allowHalfOpen = false
    const client = peerName(clientOf(socket))
    // Node closes the TLS socket in a listener of the same event, outside of the context of the handshake.
    socket.once('close', () => clients.enterWith(client))
    clients.run(client, this.#begin, socket)
  }

  /** Resolves when no handshake is under way, or after `ms`. */
  async settled(ms: number): Promise<void> {
    if (!this.#isBusy) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#whenSettled.add(resolve)
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
  }

  /** Destroys all sockets. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** A TLS socket has no public link to its raw socket, but both close: the difference is the handshakes under way. */
  get #isBusy(): boolean {
    return this.#sockets.size > this.#secure.size
  }

  /** Tells TLS from plain HTTP by the first byte. A client of plain HTTP gets a readable 400. */
  #lookAt(server: tls.Server, timeout: number): (socket: net.Socket) => void {
    const secure = net.createServer(tlsListener(server))
    const plain = fixedAnswer({
      status: '400 Bad Request',
      why: 'this port speaks TLS; use https://',
      headTimeout: timeout,
    })
    return (socket) => {
      // A health check that sends nothing is not a failure.
      const timer = setTimeout(() => socket.destroy(), timeout)
      const stop = () => clearTimeout(timer)
      const ended = () => socket.destroy()
      // The client's name and its PROXY header are bound to this async context.
      const giveOn = AsyncResource.bind((bytes: Buffer) => {
        const isPlain = isLetter(bytes[0])
        if (isPlain) this.#report(PLAIN_HTTP)
        handOver(socket, isPlain ? plain : secure, () => [bytes])
      })
      socket.on('error', () => undefined)
      socket.once('close', stop)
      socket.once('end', ended)
      socket.once('data', (bytes: Buffer) => {
        stop()
        socket.off('close', stop)
        socket.off('end', ended)
        socket.pause()
        giveOn(bytes)
      })
    }
  }

  #fail(reason: string, socket: tls.TLSSocket): void {
    this.#report(reason)
    socket.destroy()
  }

  #report(reason: string): void {
    this.#events.failed(reason, clients.getStore() ?? 'a client')
  }

  #create(certificates: Certificates, options: tls.TlsOptions): tls.Server {
    const server = tls.createServer({
      ...certificates.first,
      ...options,
      ticketKeys: this.#ticketKeys,
      SNICallback: (host, done) => done(null, certificates.contextFor(host)),
    })
    server.on('secureConnection', (socket) => {
      this.#secure.add(socket)
      socket.once('close', () => this.#left(this.#secure, socket))
      this.#tell()
      const refusal = this.#refusalOf(socket, certificates.clients)
      if (refusal === undefined) this.#events.accept(socket)
      else this.#fail(refusal, socket)
    })
    // Node does not close sockets after a handshake timeout.
    server.on('tlsClientError', (error, socket) => {
      this.#fail(socket.authorizationError ? invalidCertificate(socket) : reasonOf(error), socket)
    })
    return server
  }

  /** Why a client is refused after its handshake, in which it was `asked` for a certificate. */
  #refusalOf(socket: tls.TLSSocket, asked: ClientRules | undefined): string | undefined {
    const rules = this.#clients
    if (!rules) return undefined
    return asked?.ca.equals(rules.ca) ? checkClient(socket, rules) : 'the client CA changed during the handshake'
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

/** A request begins with its method, a handshake with 0x16 (RFC 8446 5.1). */
function isLetter(byte = 0): boolean {
  return /[a-z]/i.test(String.fromCharCode(byte))
}
