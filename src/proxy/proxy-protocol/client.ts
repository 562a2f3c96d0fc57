import type net from 'node:net'
import type { ClientInfo } from '../options.ts'
import { clientInfo } from '../socket.ts'
import type { ProxyHeader } from './scanner.ts'
import type { Announced } from './writer.ts'

/** Whose a connection is: the peer's, or that of the client which its PROXY header names. */
export class Client {
  /** The same object all the time: whoever has heard of the connection keeps it. */
  readonly info: ClientInfo
  readonly #socket: net.Socket
  #header: ProxyHeader | undefined

  constructor(socket: net.Socket) {
    this.#socket = socket
    this.info = clientInfo(socket)
  }

  /** Takes on what a header says. */
  learn(header: ProxyHeader): void {
    this.#header = header
    const { from } = header
    if (from === 'own') return
    const { address, port } = from === 'unix' ? {} : from.source
    Object.assign(this.info, { remoteAddress: address, remotePort: port })
  }

  /** Bytes of the header, of those that were read of the socket. */
  get headerBytes(): number {
    return this.#header?.length ?? 0
  }

  /** What a PROXY header to a backend says of the connection. */
  get ends(): Announced {
    const { from = 'own' } = this.#header ?? {}
    if (from !== 'own') return from === 'unix' ? 'unknown' : from
    const { remoteAddress, remotePort } = this.info
    const { localAddress, localPort } = this.#socket
    // Of a Unix socket, nothing is there.
    if (!remoteAddress || !remotePort || !localAddress || !localPort) return 'unknown'
    return {
      source: { address: remoteAddress, port: remotePort },
      destination: { address: localAddress, port: localPort },
    }
  }
}
