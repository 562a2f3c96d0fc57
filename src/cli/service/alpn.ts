import { constants } from 'node:crypto'
import type tls from 'node:tls'
import { byServerName } from '../../router/index.ts'
import { type AlpnName, type Config, offersHttp2, type PoolSettings, poolsOf } from '../config/index.ts'

/** Options of a TLS server that choose the protocol of a connection (RFC 7301). */
export type AlpnOptions = Pick<tls.TlsOptions, 'ALPNProtocols' | 'ALPNCallback' | 'secureOptions'>

export const HTTP_1_1: AlpnOptions = { ALPNProtocols: ['http/1.1'] }

/** For clients that get an answer of HTTP/1.1 here. Others can at least finish their handshake. */
export const READABLE: AlpnOptions = { ALPNProtocols: ['http/1.1', 'h2'] }

/**
 * Chooses the first protocol of `alpn` that the client offers and a backend for its server name speaks: browsers offer
 * HTTP/2 to each name, and would get no answer from a name without a backend for it.
 */
export function alpnOptions(config: Config): AlpnOptions {
  const { alpn, routing, tlsMinVersion } = config
  if (!alpn || !offersHttp2(config)) return HTTP_1_1
  const spoken = spokenByHost(config)
  // If a client resumes a session of TLS 1.2, Node does not tell its server name.
  const losesNames = routing !== undefined && tlsMinVersion !== '1.3'
  return {
    ...(losesNames && { secureOptions: constants.SSL_OP_NO_TICKET }),
    ALPNCallback: ({ servername, protocols }) => {
      const possible = spoken(servername || '')
      return alpn.find((name) => protocols.includes(name) && possible.has(name))
    },
  }
}

/** Returns the protocols that the backends for a server name speak. */
function spokenByHost(config: Config): (serverName: string) => ReadonlySet<AlpnName> {
  const pools = new Map(poolsOf(config).map((pool) => [pool.name, spokenBy(pool)]))
  const { routing } = config
  if (!routing) {
    const [only] = pools.values()
    return () => only!
  }
  const routeOf = byServerName(routing.routes)
  return (serverName) => pools.get(routeOf(serverName)?.pool ?? '') ?? ANSWERED
}

/** What badass answers itself. */
const ANSWERED: ReadonlySet<AlpnName> = new Set(['http/1.1'])

function spokenBy({ backends }: PoolSettings): ReadonlySet<AlpnName> {
  const all = backends.flatMap(({ protocol = 'both' }): AlpnName[] => {
    return protocol === 'both' ? ['h2', 'http/1.1'] : [protocol === 'h2' ? 'h2' : 'http/1.1']
  })
  return new Set(all)
}
