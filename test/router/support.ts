import { parseHead } from '../../src/parser/index.ts'
import { createRouter, type RouteOptions, type RouterPool } from '../../src/router/index.ts'
import { CLIENT } from '../balancer/support.ts'

export { CLIENT }

/** A request head; `lines` are its fields, with Host. */
export function requestHead(first = 'GET / HTTP/1.1', ...lines: string[]) {
  return parseHead(
    Buffer.from([first, ...(lines.length > 0 ? lines : ['Host: a']), '', ''].join('\r\n'), 'latin1'),
    'request',
  )
}

/** A pool whose Dest has this path of a Unix socket, so that a test sees which pool was asked. */
export function poolTo(path: string): RouterPool {
  return { lookup: () => ({ path }) }
}

/** Names the pool that gets a request, or the status of the response. */
export async function choose(routes: readonly RouteOptions[], first: string, ...lines: string[]) {
  const names = routes.flatMap(({ pool }) => pool ?? [])
  const router = createRouter({ pools: Object.fromEntries(names.map((name) => [name, poolTo(name)])), routes })
  const result = await router.lookup(requestHead(first, ...lines), CLIENT)
  if (result instanceof Response) return result.status
  return result && 'path' in result ? result.path : undefined
}
