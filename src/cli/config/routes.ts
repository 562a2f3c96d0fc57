import { createRouter, type RouteOptions, type RouterPool } from '../../router/index.ts'
import { BALANCING } from './backends.ts'
import { DEFAULT_POOL, type Pool, type PoolSettings, type Routing, type StickySettings } from './config.ts'
import * as is from './read.ts'
import { ROUTE_FORMS, splitRoute } from './target.ts'

/** The name of a sticky cookie whose settings have none. */
const COOKIE_NAME = 'sticky'

/** Accepts `false` too, which turns off what a pool would inherit. */
function orFalse<T>(read: is.Reader<T>): is.Reader<T | false> {
  return (value, place) => (value === false ? false : read(value, place))
}

const POOL_SHAPE = {
  ...BALANCING,
  sticky: orFalse(BALANCING.sticky),
  queue: orFalse(BALANCING.queue),
  eject: orFalse(BALANCING.eject),
  health: orFalse(BALANCING.health),
}
/** The settings of a pool as they were given. */
export type GivenPool = is.Values<typeof POOL_SHAPE>

const POOL_NAME = {
  expected: "a name of letters, digits, '.', '_' and '-' other than 'default'",
  validate: (value: unknown) => typeof value === 'string' && /^[\w.-]{1,100}$/.test(value) && value !== DEFAULT_POOL,
}

/** The router judges all but the backends. */
const ROUTE_SHAPE = {
  host: is.any,
  path: is.any,
  method: is.any,
  header: is.any,
  pool: is.any,
  redirect: is.any,
  respond: is.any,
  stripPrefix: is.any,
  basePath: is.any,
  backends: BALANCING.backends,
}
type GivenRoute = is.Values<typeof ROUTE_SHAPE>

/** Settings of routes. */
export const ROUTING = {
  pools: is.mapOf(POOL_NAME, is.object(POOL_SHAPE)),
  routes: is.listOf(is.orText(splitRoute, is.object(ROUTE_SHAPE, `${ROUTE_FORMS}, or an object`))),
  unsafePaths: is.yesOrNo,
}
type GivenRouting = is.Values<typeof ROUTING>

/** Whether a test holds for the settings of the config itself, or those of one of its pools and routes. */
export function inAll(
  { pools, routes = [], ...own }: GivenRouting & GivenPool,
  test: (settings: GivenPool) => boolean,
): boolean {
  const inherited = [...(pools?.values() ?? [])].map((pool) => ({ ...own, ...pool }))
  return [own, ...inherited, ...routes.map(({ backends = [] }) => ({ ...own, backends }))].some(test)
}

type Report = (path: is.Path, message: string) => void

/** Builds the routing of a config. `main` has the settings that pools inherit. Reports mistakes that concern several settings. */
export function routingOf(settings: GivenRouting, main: PoolSettings, report: Report): Routing | undefined {
  const { pools = new Map<string, GivenPool>(), routes, unsafePaths = false } = settings
  if (!routes) {
    for (const name of ['pools', 'unsafePaths'] as const) {
      if (settings[name] !== undefined) report([name], 'has no effect without routes')
    }
    return undefined
  }
  const named = [...pools].map(([name, given]) => namedPool(name, given, main, report))
  const all = [...named]
  const targets = routes.map((route, i) => routeOptions(route, i, all, main, report))
  for (const { name } of named) {
    if (!targets.some(({ pool }) => pool === name)) report(['pools', name], 'is not used by any route')
  }
  const hasDefault = main.backends.length > 0
  if (hasDefault && targets.every(hasCondition)) targets.push({ pool: DEFAULT_POOL })
  checkCookies(all, hasDefault ? main.sticky : undefined, report)
  const names = [...all.map(({ name }) => name), ...(hasDefault ? [DEFAULT_POOL] : [])]
  const isValid = checkRoutes(targets, names, report)
  if (isValid && hasDefault && !targets.some(({ pool }) => pool === DEFAULT_POOL)) {
    report(['backends'], 'is not used by any route, as one without conditions gets all other requests')
  }
  return { pools: all, routes: targets, unsafePaths }
}

function namedPool(name: string, given: GivenPool, main: PoolSettings, report: Report): Pool {
  const pool = poolOf(name, given, main)
  if (pool.backends.length === 0) report(['pools', name, 'backends'], 'expected one or more, got none')
  if (given.key !== undefined && pool.algorithm !== 'hash') {
    report(['pools', name, 'key'], 'has no effect without algorithm hash')
  }
  if (given.failover !== undefined && !pool.sticky) report(['pools', name, 'failover'], 'has no effect without sticky')
  return pool
}

/** A pool has the settings beside the routes, unless it sets its own. Its cookie has a name of its own. */
function poolOf(name: string, { sticky, queue, eject, health, ...given }: GivenPool, main: PoolSettings): Pool {
  const own = sticky && { ...sticky, name: sticky.name === COOKIE_NAME ? `${COOKIE_NAME}-${name}` : sticky.name }
  const inherited = main.sticky && { ...main.sticky, name: `${main.sticky.name}-${name}` }
  return {
    ...main,
    backends: [],
    ...given,
    name,
    sticky: sticky === undefined ? inherited : own || undefined,
    queue: queue === undefined ? main.queue : queue || undefined,
    eject: eject === undefined ? main.eject : eject || undefined,
    health: health === undefined ? main.health : health || undefined,
  }
}

/** What the router gets. Backends of the route itself become a pool. */
function routeOptions(route: GivenRoute, i: number, pools: Pool[], main: PoolSettings, report: Report): RouteOptions {
  const { backends, ...rest } = route
  const options = rest as RouteOptions
  if (!backends) return options
  const other = (['pool', 'redirect', 'respond'] as const).find((name) => options[name] !== undefined)
  if (other) report(['routes', i, 'backends'], `has no effect with ${other}`)
  if (backends.length === 0) report(['routes', i, 'backends'], 'expected one or more, got none')
  const name = freeName(`${options.host ?? ''}${options.path ?? ''}`, pools)
  pools.push({ ...poolOf(name, { backends }, main), place: `routes[${i}].backends` })
  return { pool: name, ...options }
}

/** A pool's name made of the host and path of its route: 'api.example.com', 'static'. */
function freeName(conditions: string, pools: readonly Pool[]): string {
  const name = conditions.replaceAll(/[^\w.]+/g, '-').replaceAll(/^[-.]+|[-.]+$/g, '') || 'route'
  const isFree = (one: string) => one !== DEFAULT_POOL && pools.every((pool) => pool.name !== one)
  for (let number = 2, one = name; ; one = `${name}-${number++}`) if (isFree(one)) return one
}

function hasCondition({ host, path, method, header }: RouteOptions): boolean {
  return [host, path, method, header].some((condition) => condition !== undefined)
}

/** Two pools with the same cookie would read each other's. `ofDefault` is the cookie of the pool 'default'. */
function checkCookies(pools: readonly Pool[], ofDefault: StickySettings | undefined, report: Report): void {
  const names = new Map(ofDefault && [[ofDefault.name, DEFAULT_POOL]])
  for (const { name, sticky } of pools) {
    const other = sticky && names.get(sticky.name)
    if (other !== undefined) report(['pools', name, 'sticky'], `expected another cookie than that of the pool ${other}`)
    if (sticky) names.set(sticky.name, name)
  }
}

/**
 * Lets the router judge the routes, and returns whether it accepts them. Its errors begin with a path such as
 * 'routes[0].redirect.status'.
 */
function checkRoutes(routes: readonly RouteOptions[], names: readonly string[], report: Report): boolean {
  const pool: RouterPool = { lookup: () => undefined }
  try {
    createRouter({ pools: Object.fromEntries(names.map((name) => [name, pool])), routes })
    return true
  } catch (error) {
    const [, i, rest = '', message = String(error)] =
      /^routes\[(\d+)\]((?:\.\w+)*): (.*)$/s.exec((error as Error).message) ?? []
    report(['routes', ...(i === undefined ? [] : [Number(i)]), ...rest.split('.').slice(1)], message)
    return false
  }
}
