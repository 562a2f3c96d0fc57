import { createRouter, type Head, type Hooks, type RouterPool } from '../../index.ts'
import { StickyCookie } from '../../sticky/index.ts'
import { type Config, poolsOf, type Routing } from '../config/index.ts'
import type { Pools } from './pools.ts'

/** Hooks that send each request to the pool of its route. */
export interface RoutedHooks {
  readonly lookup: Hooks['lookup']
  readonly errback: NonNullable<Hooks['errback']>
  readonly modify: Hooks['modify']
  /** Removes the cookies of all pools that hide theirs from backends. */
  hideCookies(head: Head): void
}

export function routedHooks(config: Config, { routes, unsafePaths }: Routing, pools: Pools): RoutedHooks {
  const all = poolsOf(config)
  const cookies = new Map(all.flatMap(({ name, sticky }) => (sticky ? [[name, new StickyCookie(sticky)]] : [])))
  const hideCookies = (head: Head, known?: StickyCookie) => {
    for (const cookie of cookies.values()) if (cookie !== known) cookie.read(head)
  }
  const hooksOf = (name: string): RouterPool => {
    const cookie = cookies.get(name)
    return {
      lookup: (head, client) => {
        const value = cookie?.read(head)
        hideCookies(head, cookie)
        return pools.get(name).lookup(head, value, client)
      },
      errback: (error, dest, head) => pools.get(name).errback(error, dest, head),
      modify:
        cookie &&
        ((head, dest, request) => {
          const { sticky } = dest as { sticky?: string }
          cookie.answer(head, sticky, request, config.requests === 'every')
        }),
    }
  }
  const hooks = Object.fromEntries(all.map(({ name }) => [name, hooksOf(name)]))
  const { lookup, errback, modify } = createRouter({ pools: hooks, routes, unsafePaths })
  return { lookup, errback, modify, hideCookies }
}
