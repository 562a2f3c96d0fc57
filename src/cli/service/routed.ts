import { createRouter, type Dest, type Head, type Hooks, type RouterPool } from '../../index.ts'
import { after } from '../../proxy/index.ts'
import { StickyCookie } from '../../sticky/index.ts'
import { type Config, poolsOf, type Routing } from '../config/index.ts'
import type { Pools } from './pools.ts'

/** Hooks that send each request to the pool of its route. */
export interface RoutedHooks {
  readonly lookup: Hooks['lookup']
  readonly errback: NonNullable<Hooks['errback']>
  /** Puts Location and cookies right, then calls the user's hook, then sets the sticky cookie. */
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
  const own = config.hooks.modify
  /** The Dests of the pools. Others are those of the user's hooks. */
  const known = new WeakSet<object>()
  const note = <T>(result: T): T => {
    if (typeof result === 'object' && result !== null) known.add(result)
    return result
  }
  const hooksOf = (name: string): RouterPool => {
    const cookie = cookies.get(name)
    const answer = (head: Head, dest: Dest, request: Head) =>
      cookie?.answer(head, (dest as { sticky?: string }).sticky, request, config.requests === 'every')
    return {
      lookup: (head, client) => {
        const value = cookie?.read(head)
        hideCookies(head, cookie)
        return after(pools.get(name).lookup(head, value, client), note)
      },
      errback: (error, dest, head) => after(pools.get(name).errback(error, dest, head), note),
      modify:
        cookie || own
          ? (head, dest, request) => after(own?.(head, dest, request), () => answer(head, dest, request))
          : undefined,
    }
  }
  const hooks = Object.fromEntries(all.map(({ name }) => [name, hooksOf(name)]))
  const { lookup, errback, modify } = createRouter({ pools: hooks, routes, unsafePaths })
  const modifyAll: Hooks['modify'] = (head, dest, request) => (known.has(dest) ? modify : own)?.(head, dest, request)
  return { lookup, errback, modify: modify || own ? modifyAll : undefined, hideCookies }
}
