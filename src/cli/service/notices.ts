import type { Balancer, Connection, ProxyErrorCode } from '../../index.ts'
import { peerName, subscribe } from '../../proxy/index.ts'
import { messageOf } from '../../show.ts'
import { type Io, throttled } from '../output.ts'

/**
 * Prints a line for each change of a backend, except those that an operator makes: the admin server says who did that.
 * `prefix` comes before each name.
 */
export function announceBackends(balancer: Balancer, prefix: string, say: Io['say']): void {
  balancer.on('up', ({ id }) => say(`backend ${prefix}${id} is up`, `health of ${prefix}${id}`))
  balancer.on('down', ({ id }, error) =>
    say(`backend ${prefix}${id} is down: ${messageOf(error)}`, `health of ${prefix}${id}`),
  )
  balancer.on('eject', ({ id, ejectedUntil }, error) => {
    const seconds = Math.round((ejectedUntil! - Date.now()) / 100) / 10
    say(`backend ${prefix}${id} is ejected for ${seconds} s: ${messageOf(error)}`, `ejection of ${prefix}${id}`)
  })
  balancer.on('uneject', ({ id }) => say(`backend ${prefix}${id} is no longer ejected`, `ejection of ${prefix}${id}`))
  const sayOfDrain = (id: string, by: 'operator' | 'check', news: string) => {
    if (by === 'check') say(`backend ${prefix}${id} ${news}`, `drain of ${prefix}${id}`)
  }
  balancer.on('drain', ({ id }, by) => sayOfDrain(id, by, 'is draining: it gets no new clients'))
  balancer.on('ready', ({ id }, by) => sayOfDrain(id, by, 'gets new clients again'))
  balancer.on('add', ({ id, draining }) =>
    say(`backend ${prefix}${id} was added${draining ? ' (draining)' : ''}`, `${prefix}${id}`),
  )
  balancer.on('remove', ({ id }) => say(`backend ${prefix}${id} was removed`, `${prefix}${id}`))
  balancer.on('resolved', (name, count) =>
    say(`${prefix}${name} resolved to ${count} ${count === 1 ? 'backend' : 'backends'}`, `${prefix}${name}`),
  )
  balancer.on('unresolved', (name, error) =>
    say(`${prefix}${name} did not resolve: ${messageOf(error)}`, `${prefix}${name}`),
  )
}

const REFUSALS: ReadonlySet<ProxyErrorCode> = new Set(['UNTRUSTED_PROXY', 'BAD_PROXY_HEADER', 'PROXY_HEADER_TIMEOUT'])

/**
 * Reports connections refused for their PROXY header, at most one line in 10 s: all clients of a misconfigured proxy are
 * refused. Returns a function that stops the reports.
 */
export function reportRefusals(isOurs: (connection: Connection) => boolean, say: Io['say']): () => void {
  const tell = throttled(say)
  return subscribe('error', ({ connection, error }) => {
    if (!REFUSALS.has(error.code) || !isOurs(connection)) return
    tell(`refused ${peerName(connection.client)}: ${error.message}`)
  })
}
