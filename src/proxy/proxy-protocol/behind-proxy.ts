import type net from 'node:net'
import tls from 'node:tls'
import { ProxyError, type ProxyErrorCode } from '../error.ts'
import { Networks, type Peer } from '../networks.ts'
import { checkBy, OPTION_RULES, optionalFunction } from '../options.ts'
import { HeadReader } from '../reader.ts'
import { clientInfo, handOver, reset } from '../socket.ts'
import { arrive, link, remember } from './arrivals.ts'
import { ProxyHeaderScanner } from './scanner.ts'

export interface BehindProxyOptions {
  /** Whose PROXY header is taken, as with `createServer`; who else connects is reset. */
  proxyProtocol: readonly string[]
  /** ms from accept to the end of the PROXY header. 0: none. Default 30000. */
  headTimeout?: number | undefined
  /** A connection is about to be reset, for one of BAD_PROXY_HEADER, PROXY_HEADER_TIMEOUT, UNTRUSTED_PROXY, CLIENT_RESET. */
  refused?: ((socket: net.Socket, error: ProxyError) => void) | undefined
}

const { proxyProtocol, headTimeout } = OPTION_RULES
const RULES = {
  proxyProtocol: { ...proxyProtocol, isRight: (value: unknown) => value !== undefined && proxyProtocol.isRight(value) },
  headTimeout,
  refused: optionalFunction,
}

/**
 * Makes a listener for a `net.Server` in front of another server, a `tls.Server` for one: it reads the PROXY header that
 * a connection begins with, before any TLS, and gives the connection on. A `handler` there sees the client of the header.
 * @throws {TypeError} on an option that is unknown or wrong
 */
export function behindProxy(server: net.Server, options: BehindProxyOptions): (socket: net.Socket) => void {
  const settings = checkBy('', RULES, options) as unknown as Required<BehindProxyOptions>
  const networks = new Networks('proxyProtocol', settings.proxyProtocol)
  if (server instanceof tls.Server) server.prependListener('secureConnection', link)
  return (socket) => receive(socket, server, networks, settings)
}

function receive(
  socket: net.Socket,
  server: net.Server,
  networks: Networks,
  { headTimeout, refused }: Required<BehindProxyOptions>,
): void {
  let timer: NodeJS.Timeout | undefined
  let reader: { stop(): void } | undefined
  const stop = () => {
    clearTimeout(timer)
    reader?.stop()
  }
  const refuse = (code: ProxyErrorCode, cause: unknown) => {
    stop()
    remember(socket, { code, cause })
    refused?.(socket, new ProxyError(code, 'head', cause))
    reset(socket)
  }
  socket.on('error', () => undefined)
  const refusal = refusalOf(clientInfo(socket), networks)
  if (refusal) return refuse(refusal.code, refusal.cause)
  if (headTimeout) timer = setTimeout(() => refuse('PROXY_HEADER_TIMEOUT', undefined), headTimeout)
  socket.once('close', stop)
  const scanner = new ProxyHeaderScanner()
  reader = new HeadReader(socket, scanner, {
    done: (header, rest) => {
      clearTimeout(timer)
      socket.off('close', stop)
      remember(socket, header)
      arrive(header, () => handOver(socket, server, () => [rest]))
    },
    invalid: (error) => refuse('BAD_PROXY_HEADER', error),
    ended: () => (socket.bytesRead > 0 ? refuse('BAD_PROXY_HEADER', scanner.end()) : socket.destroy()),
  })
}

/** Why nothing at all is read of a peer; undefined where it may send its header. */
export function refusalOf(peer: Peer, networks: Networks): { code: ProxyErrorCode; cause: unknown } | undefined {
  if (networks.has(peer)) return undefined
  const { remoteAddress, localPort } = peer
  // It has left, and nobody can tell any more who it was.
  if (remoteAddress === undefined && localPort !== undefined) return { code: 'CLIENT_RESET', cause: undefined }
  const who = remoteAddress ?? 'the client of a Unix socket'
  return { code: 'UNTRUSTED_PROXY', cause: new Error(`${who} is not in proxyProtocol`) }
}
