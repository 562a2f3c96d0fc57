import type net from 'node:net'
import tls from 'node:tls'
import { optionalFunction, validateOptions } from '../../validate.ts'
import { capture } from '../client-info.ts'
import { ProxyError } from '../error.ts'
import { Networks } from '../networks.ts'
import { OPTION_RULES } from '../options.ts'
import { handOver, reset } from '../socket.ts'
import { link, runLinked, setHeaderResult } from './header-results.ts'
import { receiveProxyHeader } from './receive.ts'

/** Options of `behindProxy`. */
export interface BehindProxyOptions {
  /** Peers that must send a PROXY header, as in `createServer`. Other peers are reset. */
  proxyProtocol: readonly string[]
  /** ms from accept to the end of the PROXY header. 0: no limit. Default 30000. */
  headTimeout?: number | undefined
  /** Called before a reset with BAD_PROXY_HEADER, PROXY_HEADER_TIMEOUT, UNTRUSTED_PROXY or CLIENT_RESET. */
  refused?: ((socket: net.Socket, error: ProxyError) => void) | undefined
}

/** The options with their defaults. */
type Settings = BehindProxyOptions & { headTimeout: number }

const { proxyProtocol, headTimeout } = OPTION_RULES
const RULES = {
  proxyProtocol: {
    ...proxyProtocol,
    validate: (value: unknown) => value !== undefined && proxyProtocol.validate(value),
  },
  headTimeout,
  refused: optionalFunction,
}

/**
 * Makes a 'connection' listener for a `net.Server` in front of another server, such as a `tls.Server`. It reads the
 * PROXY header and passes the connection on. A `handler` of that server sees the client that the header names.
 * @throws {TypeError} on an unknown or invalid option
 */
export function behindProxy(server: net.Server, options: BehindProxyOptions): (socket: net.Socket) => void {
  const settings = validateOptions('', RULES, options) as unknown as Settings
  const networks = new Networks('proxyProtocol', settings.proxyProtocol)
  if (server instanceof tls.Server) server.prependListener('secureConnection', link)
  return (socket) => receive(socket, server, networks, settings)
}

function receive(socket: net.Socket, server: net.Server, networks: Networks, { headTimeout, refused }: Settings): void {
  socket.on('error', () => undefined)
  const receiver = receiveProxyHeader(socket, capture(socket), networks, headTimeout, {
    done: (header, rest) => {
      if (receiver) socket.off('close', receiver.stop)
      setHeaderResult(socket, header)
      runLinked(socket, header, () => handOver(socket, server, () => [rest]))
    },
    refused: (code, cause) => {
      setHeaderResult(socket, { code, cause })
      refused?.(socket, new ProxyError(code, 'head', cause))
      reset(socket)
    },
    ended: () => socket.destroy(),
  })
  if (receiver) socket.once('close', receiver.stop)
}
