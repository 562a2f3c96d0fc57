import { AsyncLocalStorage } from 'node:async_hooks'
import type net from 'node:net'
import type tls from 'node:tls'
import type { ProxyHeader } from '../../parser/index.ts'
import { capture, markAsUnix } from '../client-info.ts'
import type { ProxyErrorCode } from '../error.ts'

/** Why a PROXY header was refused. */
export interface Refusal {
  readonly code: ProxyErrorCode
  readonly cause: unknown
}

/** The PROXY header of a connection, or why it was refused. */
export type HeaderResult = ProxyHeader | Refusal

const results = new WeakMap<net.Socket, HeaderResult>()

/** What a TLS socket needs to know of the socket below it. */
interface Underlying {
  readonly header: ProxyHeader | undefined
  readonly isUnix: boolean
}

/** Links a TLS socket to the socket below it during the handshake. Node has no public property for that. */
const underlying = new AsyncLocalStorage<Underlying>()

/** Stores the result of reading a socket's PROXY header, for the `handler` that gets the socket. */
export function setHeaderResult(socket: net.Socket, result: HeaderResult): void {
  results.set(socket, result)
}

export function headerResultOf(socket: net.Socket): HeaderResult | undefined {
  return results.get(socket)
}

/** Runs `handOver`, which may start TLS on the socket. Keeps the header that an earlier server has read. */
export function runLinked(socket: net.Socket, header: ProxyHeader | undefined, handOver: () => void): void {
  const isUnix = capture(socket).info.transport === 'unix'
  if (header || isUnix) underlying.run({ header: header ?? underlying.getStore()?.header, isUnix }, handOver)
  else handOver()
}

/** A listener of 'secureConnection' that copies what is known of the underlying socket to the TLS socket. */
export function link(socket: tls.TLSSocket): void {
  const { header, isUnix } = underlying.getStore() ?? {}
  if (isUnix) markAsUnix(socket)
  // The header's bytes did not come through TLS, so its length does not count there.
  if (header) setHeaderResult(socket, { ...header, length: 0 })
}

/** Makes a listener that starts TLS on sockets. A `handler` of the server sees the client of the PROXY header. */
export function tlsListener(server: tls.Server): (socket: net.Socket) => void {
  server.prependListener('secureConnection', link)
  return (socket) => runLinked(socket, undefined, () => server.emit('connection', socket))
}
