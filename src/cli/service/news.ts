import type { Balancer, Connection, ProxyErrorCode } from '../../index.ts'
import { hear, messageOf } from '../../proxy/index.ts'
import { type Io, sparingly } from './output.ts'

/** Tells people, in a line each, what becomes of the backends. */
export function tellOf(balancer: Balancer, say: Io['say']): void {
  balancer.on('up', ({ id }) => say(`backend ${id} is up`, `health of ${id}`))
  balancer.on('down', ({ id }, error) => say(`backend ${id} is down: ${messageOf(error)}`, `health of ${id}`))
  balancer.on('drain', ({ id }) => say(`backend ${id} drains: it takes no new clients`, `drain of ${id}`))
  balancer.on('ready', ({ id }) => say(`backend ${id} takes new clients again`, `drain of ${id}`))
  balancer.on('add', ({ id, draining }) => say(`backend ${id} has come${draining ? ', and drains' : ''}`, id))
  balancer.on('remove', ({ id }) => say(`backend ${id} has gone`, id))
  balancer.on('resolved', (name, count) => say(`${name} is ${count} ${count === 1 ? 'backend' : 'backends'}`, name))
  balancer.on('unresolved', (name, error) => say(`${name} cannot be looked up: ${messageOf(error)}`, name))
}

const REFUSALS: ReadonlySet<ProxyErrorCode> = new Set(['UNTRUSTED_PROXY', 'BAD_PROXY_HEADER', 'PROXY_HEADER_TIMEOUT'])

/**
 * Tells people, in a line now and then, of connections that are refused for want of a right PROXY header: a peer that is
 * set up in another way than `proxyProtocol` says has nobody served. Until what is returned is called.
 */
export function tellOfRefusals(isOurs: (connection: Connection) => boolean, say: Io['say']): () => void {
  const tell = sparingly(say)
  return hear('error', ({ connection, error }) => {
    if (!REFUSALS.has(error.code) || !isOurs(connection)) return
    tell(`refused ${connection.client.remoteAddress ?? 'the client of a Unix socket'}: ${error.message}`)
  })
}
