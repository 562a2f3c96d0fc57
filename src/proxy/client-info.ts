import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { normalize } from '../ip.ts'

/** The client of a connection: the peer, or the client that its PROXY header names. */
export interface ClientInfo {
  /**
   * 'tcp', 'unix' (a Unix socket or a Windows named pipe), or 'other' for a stream of your own. 'unix' and 'other' have
   * no address.
   */
  readonly transport: 'tcp' | 'unix' | 'other'
  /** The client's IP address. IPv4 clients of an IPv6 listener have an IPv4 address ('10.0.0.1') too. */
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly localPort: number | undefined
  /** Whether this process terminated TLS for the connection. */
  readonly encrypted: boolean
}

/** The addresses of a socket, captured at accept, because a socket forgets the peer's address after a reset. */
export interface Accepted {
  readonly info: ClientInfo
  readonly localAddress: string | undefined
  /** The peer has already reset the connection. */
  readonly hasLeft: boolean
}

/** The TLS socket of each client that has one. */
const tlsSockets = new WeakMap<ClientInfo, tls.TLSSocket>()

/** The TLS socket that a client's requests come from. Undefined: no TLS. */
export function tlsSocketOf(client: ClientInfo): tls.TLSSocket | undefined {
  return tlsSockets.get(client)
}

/** TLS sockets over Unix sockets. They have no property that shows it. */
const overUnix = new WeakSet<Duplex>()

export function markAsUnix(socket: tls.TLSSocket): void {
  overUnix.add(socket)
}

/** Marks a TLS socket if the server that emitted it listens on a Unix socket. */
export function markIfUnix(server: unknown, socket: Duplex): void {
  const isOverUnix = server instanceof tls.Server && typeof server.address() === 'string'
  if (isOverUnix && socket instanceof tls.TLSSocket) markAsUnix(socket)
}

/** The client's name in messages. */
export function peerName({ remoteAddress, transport }: Pick<ClientInfo, 'remoteAddress' | 'transport'>): string {
  return remoteAddress ?? (transport === 'unix' ? 'the client of a Unix socket' : 'a client without an address')
}

/** Captures a socket's addresses. Call it right after accept. */
export function capture(socket: Duplex): Accepted {
  const { remoteAddress, remotePort, localAddress, localPort, encrypted } = socket as Partial<tls.TLSSocket>
  const info: ClientInfo = {
    transport: transportOf(socket, remoteAddress ?? localPort),
    remoteAddress: remoteAddress === undefined ? undefined : unmapped(remoteAddress),
    remotePort,
    localPort,
    encrypted: encrypted === true,
  }
  if (socket instanceof tls.TLSSocket) tlsSockets.set(info, socket)
  return { info, localAddress, hasLeft: socket.destroyed || (info.transport === 'tcp' && !remoteAddress) }
}

/** `known` is an address or port of either end. A TCP socket keeps its local port after the peer has gone. */
function transportOf(socket: Duplex, known: unknown): ClientInfo['transport'] {
  if (known !== undefined) return 'tcp'
  if (overUnix.has(socket)) return 'unix'
  if (!(socket instanceof net.Socket) || socket instanceof tls.TLSSocket || socket.pending) return 'other'
  return isUnix(socket) ? 'unix' : 'tcp'
}

function isUnix(socket: net.Socket): boolean {
  // Linux always knows the local end of a TCP socket. Other systems may forget it after a reset.
  return process.platform === 'linux' || refusesReset(socket)
}

/** Node can only reset TCP sockets. A TCP socket without an address has already been reset, so this does no harm. */
export function refusesReset(socket: net.Socket): boolean {
  try {
    socket.resetAndDestroy()
    return false
  } catch {
    return true
  }
}

/** IPv6 sockets show IPv4 clients as '::ffff:10.0.0.1' (RFC 4291 2.5.5.2). */
function unmapped(address: string): string {
  return /^::ffff:/i.test(address) ? normalize(address) : address
}
