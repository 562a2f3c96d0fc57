import type { Balancer } from '../../index.ts'
import { messageOf } from '../../proxy/index.ts'

/** Tells people, in a line each, what becomes of the backends. */
export function tellOf(balancer: Balancer, say: (line: string) => void): void {
  balancer.on('up', ({ id }) => say(`backend ${id} is up`))
  balancer.on('down', ({ id }, error) => say(`backend ${id} is down: ${messageOf(error)}`))
  balancer.on('drain', ({ id }) => say(`backend ${id} drains: it takes no new clients`))
  balancer.on('ready', ({ id }) => say(`backend ${id} takes new clients again`))
  balancer.on('add', ({ id, draining }) => say(`backend ${id} has come${draining ? ', and drains' : ''}`))
  balancer.on('remove', ({ id }) => say(`backend ${id} has gone`))
  balancer.on('resolved', (name, count) => say(`${name} is ${count} ${count === 1 ? 'backend' : 'backends'}`))
  balancer.on('unresolved', (name, error) => say(`${name} cannot be looked up: ${messageOf(error)}`))
}
