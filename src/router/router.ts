import { STATUS_CODES } from 'node:http'
import type { Head } from '../parser/index.ts'
import { after, type ClientInfo, type Dest, type Hooks, type ProxyError } from '../proxy/index.ts'
import { splitTarget, type TargetParts } from '../request-target.ts'
import { anObject, flag, type Rules, validateOptions } from '../validate.ts'
import { type CompiledRoute, compileRoute, conditionsOf, Matcher } from './matcher.ts'
import {
  actionOf,
  type RouteOptions,
  type RouteResponse,
  type RouterPool,
  responseOf,
  validatePools,
  validateRoute,
} from './options.ts'
import { PathMapping } from './path-mapping.ts'
import { hostOf, isAmbiguous } from './request-path.ts'

export interface RouterOptions {
  /** Pools by name. */
  pools?: Readonly<Record<string, RouterPool>> | undefined
  routes: readonly RouteOptions[]
  /**
   * Routes requests whose paths servers could read differently. Default false: a path with a dot segment, a backslash,
   * or an encoded slash or backslash gets a 400, because it could reach what belongs to another route.
   */
  unsafePaths?: boolean | undefined
}

type Errback = NonNullable<Hooks['errback']>

const RULES: Rules<keyof RouterOptions> = {
  pools: anObject,
  routes: { expected: 'a list of routes', validate: Array.isArray },
  unsafePaths: flag(false),
}

/** Hooks that choose a pool by host, path, method and fields of a request. Use them with `requests: 'every'`. */
export class Router {
  readonly #matcher: Matcher
  readonly #mappings = new Map<CompiledRoute, PathMapping>()
  readonly #acceptsAll: boolean
  /** The route of each Dest, and of each request without one. */
  readonly #routes = new WeakMap<Dest | Head, CompiledRoute>()
  /**
   * Puts Location and the paths of cookies right where a route changes the path, and calls the pool's `modify`. Leaves
   * responses alone whose Dest comes from another hook. Undefined if no route needs it.
   */
  readonly modify: Hooks['modify']

  /** @throws {TypeError} for an unknown or invalid option, or for two routes with the same conditions */
  constructor(options: RouterOptions) {
    const { pools, routes, unsafePaths } = validateOptions('', RULES, options) as unknown as Required<RouterOptions>
    const known = validatePools(pools!)
    const compiled = [...routes].map((one, i) => {
      const place = `routes[${i}]`
      const route = validateRoute(place, one)
      return compileRoute(route, actionOf(place, route, known))
    })
    checkDistinct(compiled)
    this.#matcher = new Matcher(compiled)
    this.#acceptsAll = unsafePaths!
    for (const route of compiled) {
      const prefix = route.stripPrefix ? route.path! : ''
      if (prefix || route.basePath) this.#mappings.set(route, new PathMapping(prefix, route.basePath))
    }
    const isModified = this.#mappings.size > 0 || [...known.values()].some(({ modify }) => modify)
    this.modify = isModified ? (head, dest, request) => this.#modify(head, dest, request) : undefined
  }

  /** Finds the route of a request. Answers 404 if none matches, and 400 to an ambiguous path. */
  readonly lookup = (head: Head, client: ClientInfo): ReturnType<Hooks['lookup']> => {
    const target = splitTarget(head)
    if (target && !this.#acceptsAll && isAmbiguous(target.path)) return plainAnswer(head, 400, 'ambiguous path')
    const host = hostOf(head, client)
    const route = this.#matcher.find(host, head, target)
    if (!route) return plainAnswer(head, 404, 'no route')
    const { action } = route
    if (action.kind === 'respond') return respond(action.response, head)
    if (action.kind === 'redirect') return redirect(action, head, host, target)
    if (target) this.#mappings.get(route)?.request(head, target)
    this.#routes.set(head, route)
    return after(action.pool.lookup(head, client), (result) => this.#note(result, route))
  }

  /** Asks the errback of the pool that chose `dest`. A pool without one gets the engine's usual answer. */
  readonly errback = (error: ProxyError, dest: Dest | undefined, head: Head): ReturnType<Errback> => {
    const route = this.#routes.get(dest ?? head)
    const pool = poolOf(route)
    if (!pool?.errback) return error.requestSent ? undefined : plainAnswer(head, error.status ?? 502, error.code)
    return after(pool.errback(error, dest, head), (result) => this.#note(result, route!))
  }

  #modify(head: Head, dest: Dest, request: Head): ReturnType<NonNullable<Hooks['modify']>> {
    const route = this.#routes.get(dest)
    if (route) this.#mappings.get(route)?.response(head, request)
    return poolOf(route)?.modify?.(head, dest, request)
  }

  /** Remembers the route of a Dest. Returns a copy if another route's pool has returned the same object. */
  #note<T>(result: T, route: CompiledRoute): T {
    // A Response has no backend.
    if (typeof result !== 'object' || result === null || result instanceof Response) return result
    const known = this.#routes.get(result as unknown as Dest)
    const dest = known === undefined || known === route ? result : { ...result }
    this.#routes.set(dest as unknown as Dest, route)
    return dest
  }
}

function poolOf(route: CompiledRoute | undefined): RouterPool | undefined {
  return route?.action.kind === 'pool' ? route.action.pool : undefined
}

/**
 * Creates a `Router`. Pass its hooks to `createServer`.
 * @throws {TypeError} for an unknown or invalid option, or for two routes with the same conditions
 */
export function createRouter(options: RouterOptions): Router {
  return new Router(options)
}

function checkDistinct(routes: readonly CompiledRoute[]): void {
  const places = new Map<string, number>()
  for (const [i, route] of routes.entries()) {
    const conditions = conditionsOf(route)
    const first = places.get(conditions)
    if (first !== undefined) throw new TypeError(`routes[${i}]: matches the same requests as routes[${first}]`)
    places.set(conditions, i)
  }
}

function respond(response: RouteResponse, head: Head): Response | undefined {
  // RFC 9110 9.3.6: after a 2xx, the client would treat the next bytes as a tunnel.
  if (head.method === 'CONNECT' && response.status! < 300) return plainAnswer(head, 501, 'no tunnel')
  return isHttp2(head) ? undefined : responseOf(response)
}

function redirect(
  { to, status }: { to: string; status: number },
  head: Head,
  host: string,
  target: TargetParts | undefined,
): Response | undefined {
  // Browsers read 'https:///example.com/' as a URL of the host example.com.
  if (host === '' && to.includes('{host}')) return plainAnswer(head, 400, 'no host')
  const path = target ? target.path + target.query : '/'
  const location = to.replaceAll(/\{(host|path)\}/g, (_, name) => (name === 'host' ? host : path))
  return isHttp2(head) ? undefined : new Response(null, { status, headers: { Location: location } })
}

/** Answers with one line of text. An HTTP/2 client could not read it, so the engine resets its connection. */
function plainAnswer(head: Head, status: number, why: string): Response | undefined {
  if (isHttp2(head)) return undefined
  const headers = { 'Content-Type': 'text/plain; charset=utf-8' }
  return new Response(`${status} ${STATUS_CODES[status] ?? 'Unknown'}: ${why}\n`, { status, headers })
}

function isHttp2({ version }: Head): boolean {
  return version === 'HTTP/2.0'
}
