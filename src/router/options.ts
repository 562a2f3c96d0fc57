import type { Dest, Hooks } from '../proxy/index.ts'
import { show } from '../show.ts'
import { anObject, flag, type Rules, validateOptions } from '../validate.ts'

/** Chooses backends for the routes that name it. A `Balancer` is one. */
export type RouterPool = Pick<Hooks<Dest>, 'lookup' | 'modify' | 'errback'>

/** An answer without a backend. */
export interface RouteResponse {
  /** From 200 to 599. Default 200. */
  status?: number | undefined
  headers?: Readonly<Record<string, string>> | undefined
  /** Default: no body. */
  body?: string | undefined
}

export interface RouteRedirect {
  /**
   * The value of Location: a path, or a URL with http or https. `{host}` stands for the host that was asked, without its
   * port, and `{path}` for the path and query as received.
   */
  to: string
  /** 301, 302, 303, 307 or 308. Default 308, which keeps the method and the body (RFC 9110 15.4.9). */
  status?: number | undefined
}

/** The conditions of a route, and its action. A request matches if all conditions hold. */
export interface RouteOptions {
  /** A host name, in any case and without a port; or '*.' and a name, for all names below it. Default: any host. */
  host?: string | undefined
  /** A path, which also matches all paths below it: '/static' matches '/static/x', but not '/statics'. */
  path?: string | undefined
  /** One method, or several. Default: any. */
  method?: string | readonly string[] | undefined
  /** Fields that the request must have: with this value, or with any if it is true. */
  header?: Readonly<Record<string, string | true>> | undefined
  /** The name of the pool that gets the request. */
  pool?: string | undefined
  /** Answers with a redirect. */
  redirect?: string | RouteRedirect | undefined
  /** Answers with this response. */
  respond?: RouteResponse | undefined
  /** Remove `path` from the request target. Default false. */
  stripPrefix?: boolean | undefined
  /** Put this path before the request's path, after `stripPrefix`. */
  basePath?: string | undefined
}

/** What a route does with a request. */
export type Action =
  | { readonly kind: 'pool'; readonly pool: RouterPool }
  | { readonly kind: 'redirect'; readonly to: string; readonly status: number }
  | { readonly kind: 'respond'; readonly response: RouteResponse }

const isText = (value: unknown): value is string => typeof value === 'string'
const maybe = (validate: (value: unknown) => boolean) => (value: unknown) => value === undefined || validate(value)

const HOST = /^(?:\*\.)?[a-z\d_](?:[a-z\d_.-]*[a-z\d_])?$|^\[[\da-f:.]+\]$/i
/** A token (RFC 9110 9.1) without small letters. Methods are compared with case, so 'get' would match no request. */
const METHOD = /^[!#$%&'*+\-.^_`|~\dA-Z]+$/
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/
/** A path without a query, a dot segment, or anything else that servers read in different ways. */
const PATH = /^(?!.*(?:\/\/|\/\.\.?(?:\/|$)))\/[\w.~!$&'()*+,=:@/-]*$/
/** A redirect may not start with a path that the client chooses: '//example.com' would lead to another host. */
const REDIRECT = /^(?:https?:\/\/(?:[^\s/{}]|\{host\})|\/(?![/\\{]))(?:[!-z|~]|\{host\}|\{path\})*$/
const REDIRECT_STATUS: readonly unknown[] = [301, 302, 303, 307, 308]

const isPath = (value: unknown) => isText(value) && PATH.test(value)
const isMethod = (value: unknown) => isText(value) && METHOD.test(value)
const isToken = (value: unknown) => isText(value) && TOKEN.test(value)

const ROUTE_RULES: Rules<keyof RouteOptions> = {
  host: {
    expected: "a host name without a port, such as 'example.com' or '*.example.com'",
    validate: maybe((value) => isText(value) && HOST.test(value)),
  },
  path: { expected: "a path such as '/static', without a query or encoded bytes", validate: maybe(isPath) },
  method: {
    expected: "a method in capital letters, such as 'GET', or a list of them",
    validate: maybe((value) =>
      Array.isArray(value) ? value.length > 0 && [...value].every(isMethod) : isMethod(value),
    ),
  },
  header: {
    expected: 'an object of one or more field names, each with a value or true',
    validate: maybe(
      (value) =>
        anObject.validate(value) &&
        Object.keys(value as object).length > 0 &&
        Object.entries(value as object).every(([name, one]) => isToken(name) && (one === true || isText(one))),
    ),
  },
  pool: { expected: 'the name of a pool', validate: maybe(isText) },
  redirect: {
    expected: "a path or an http(s) URL, or an object with 'to'",
    validate: maybe((value) => isText(value) || anObject.validate(value)),
  },
  respond: { expected: 'an object with status, headers and body', validate: maybe(anObject.validate) },
  stripPrefix: flag(false),
  basePath: { expected: "a path such as '/v1', without a query or encoded bytes", validate: maybe(isPath) },
}

const REDIRECT_RULES: Rules<keyof RouteRedirect> = {
  to: {
    expected: 'a path or an http(s) URL that does not start with {path}, and no braces other than {host} and {path}',
    validate: (value) => isText(value) && REDIRECT.test(value),
  },
  status: {
    expected: '301, 302, 303, 307 or 308',
    validate: (value) => REDIRECT_STATUS.includes(value),
    default: 308,
  },
}

const RESPONSE_RULES: Rules<keyof RouteResponse> = {
  status: {
    expected: 'an integer from 200 to 599',
    validate: (value) => Number.isInteger(value) && (value as number) >= 200 && (value as number) <= 599,
    default: 200,
  },
  headers: { ...anObject, expected: 'an object of field names with their values' },
  body: { expected: 'a text', validate: maybe(isText) },
}

const POOL_RULES = {
  lookup: { expected: 'a function', validate: (value: unknown) => typeof value === 'function' },
}

const ACTIONS = ['pool', 'redirect', 'respond'] as const

/** @throws {TypeError} for a pool without `lookup` */
export function validatePools(pools: object): ReadonlyMap<string, RouterPool> {
  return new Map(
    Object.entries(pools).map(([name, pool]) => {
      if (!anObject.validate(pool)) throw new TypeError(`pools.${name}: expected an object, got ${show(pool)}`)
      const { lookup } = pool as RouterPool
      validateOptions(`pools.${name}`, POOL_RULES, { lookup })
      return [name, pool as RouterPool]
    }),
  )
}

/** @throws {TypeError} for an unknown or invalid option */
export function validateRoute(place: string, options: RouteOptions): RouteOptions {
  const route = validateOptions(place, ROUTE_RULES, options) as RouteOptions
  const given = ACTIONS.filter((name) => route[name] !== undefined)
  if (given.length !== 1) {
    throw new TypeError(`${place}: expected one of pool, redirect and respond, got ${given.join(' and ') || 'none'}`)
  }
  if (route.stripPrefix && route.path === undefined) {
    throw new TypeError(`${place}.stripPrefix: has no effect without path`)
  }
  for (const name of ['stripPrefix', 'basePath'] as const) {
    if (route[name] && route.pool === undefined) throw new TypeError(`${place}.${name}: has no effect without pool`)
  }
  return route
}

/** Reads what a route does. @throws {TypeError} for an unknown pool or an invalid option */
export function actionOf(place: string, route: RouteOptions, pools: ReadonlyMap<string, RouterPool>): Action {
  const { pool: name, redirect, respond } = route
  if (name !== undefined) {
    const pool = pools.get(name)
    if (pool) return { kind: 'pool', pool }
    const names = [...pools.keys()].map((one) => show(one)).join(', ') || 'nothing, as there are no pools'
    throw new TypeError(`${place}.pool: expected ${names}, got ${show(name)}`)
  }
  if (redirect !== undefined) {
    const given = typeof redirect === 'string' ? { to: redirect } : redirect
    const { to, status } = validateOptions(`${place}.redirect`, REDIRECT_RULES, given) as unknown as RouteRedirect
    return { kind: 'redirect', to, status: status! }
  }
  const response = validateOptions(`${place}.respond`, RESPONSE_RULES, respond!) as RouteResponse
  checkResponse(`${place}.respond`, response)
  return { kind: 'respond', response }
}

/** Makes the response of a route. */
export function responseOf({ status, headers, body }: RouteResponse): Response {
  return new Response(body ?? null, { status: status!, headers: headers ?? {} })
}

function checkResponse(place: string, response: RouteResponse): void {
  try {
    responseOf(response)
  } catch (error) {
    // A 204 or a 304 with a body, or a field name or value that is not valid.
    throw new TypeError(`${place}: expected what a Response accepts: ${(error as Error).message}`)
  }
}
