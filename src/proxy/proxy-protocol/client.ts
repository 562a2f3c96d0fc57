import type net from 'node:net'
import type { Announced, ProxyHeader } from '../../parser/index.ts'
import { type Accepted, type ClientInfo, capture } from '../client-info.ts'
import type { Settings } from '../options.ts'
import { unshift } from '../socket.ts'
import { headerResultOf, type Refusal } from './header-results.ts'
import { type ReceiverEvents, receiveProxyHeader } from './receive.ts'

interface HeaderEvents extends Pick<ReceiverEvents, 'refused' | 'ended'> {
  /** `timeout` is the rest of `headTimeout` in ms, for the request head. */
  done(timeout: number): void
}

/** The client of a socket: the peer, or the client that a PROXY header names, if an earlier server has read it. */
export function clientOf(socket: net.Socket): ClientInfo {
  return new Client(socket).info
}

/** The client of a connection, with what its PROXY header says. */
export class Client {
  readonly #accepted: Accepted
  #header: ProxyHeader | undefined
  /** Why an earlier server refused the PROXY header. */
  readonly refusal: Refusal | undefined

  constructor(socket: net.Socket) {
    this.#accepted = capture(socket)
    const result = headerResultOf(socket)
    if (!result) return
    if ('code' in result) this.refusal = result
    else this.#learn(result)
  }

  /** Always the same object, so that subscribers can keep it. */
  get info(): ClientInfo {
    return this.#accepted.info
  }

  /** The peer left before its address was known. */
  get hasLeft(): boolean {
    return this.#accepted.hasLeft
  }

  /** A PROXY header was read, by an earlier server too. */
  get hasHeader(): boolean {
    return this.#header !== undefined
  }

  /** Reads the PROXY header from the socket, and leaves it paused. */
  receiveHeader(
    socket: net.Socket,
    { proxyProtocol, headTimeout }: Settings,
    { done, refused, ended }: HeaderEvents,
  ): { stop(): void } | undefined {
    const start = performance.now()
    return receiveProxyHeader(socket, this, proxyProtocol!, headTimeout, {
      done: (header, rest) => {
        this.#learn(header)
        unshift(socket, rest)
        done(headTimeout && Math.max(1, headTimeout - (performance.now() - start)))
      },
      refused,
      ended,
    })
  }

  /** Applies the PROXY header to `info`. */
  #learn(header: ProxyHeader): void {
    this.#header = header
    const { from } = header
    if (from === 'own') return
    const { address, port } = from === 'unix' ? {} : from.source
    const transport: ClientInfo['transport'] = from === 'unix' ? 'unix' : 'tcp'
    Object.assign(this.info, { transport, remoteAddress: address, remotePort: port })
  }

  /** Length of the PROXY header that was read from the socket, in bytes. */
  get headerBytes(): number {
    return this.#header?.length ?? 0
  }

  /** The addresses for a PROXY header to a backend. */
  get ends(): Announced {
    const { from = 'own' } = this.#header ?? {}
    if (from !== 'own') return from === 'unix' ? 'unknown' : from
    const { localAddress } = this.#accepted
    const { remoteAddress, remotePort, localPort } = this.info
    // A Unix socket has no addresses.
    if (!remoteAddress || !remotePort || !localAddress || !localPort) return 'unknown'
    return {
      source: { address: remoteAddress, port: remotePort },
      destination: { address: localAddress, port: localPort },
    }
  }
}
