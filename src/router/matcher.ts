import { type Head, parseHead } from '../parser/index.ts'
import type { TargetParts } from '../request-target.ts'
import type { Action, RouteOptions } from './options.ts'
import { comparableHost, comparablePath } from './request-path.ts'

/** A route with its conditions in the form that requests are compared with. */
export interface CompiledRoute {
  /** In lower case; '.example.com' for '*.example.com'; '' for any host. */
  readonly host: string
  /** Without a slash at the end: '' for '/'. Undefined for any target, with or without a path. */
  readonly path: string | undefined
  readonly methods: readonly string[] | undefined
  readonly headers: readonly (readonly [name: string, value: string | true])[]
  readonly action: Action
  readonly stripPrefix: boolean
  readonly basePath: string
}

const NO_ACTION: Action = { kind: 'respond', response: {} }
/** Begins each HTTP/2 connection (RFC 9113 3.4), and is all that is read of it. */
const PREFACE = parseHead(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 'request')

export function compileRoute(options: RouteOptions, action: Action): CompiledRoute {
  const { host = '', path, method, header = {}, stripPrefix = false, basePath = '' } = options
  return {
    host: host.toLowerCase().replace(/^\*/, ''),
    path: path && withoutLastSlash(path),
    methods: method === undefined ? undefined : [method].flat().sort(),
    headers: Object.entries(header).map(([name, value]) => [name.toLowerCase(), value] as const),
    action,
    stripPrefix,
    basePath: withoutLastSlash(basePath),
  }
}

function withoutLastSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

/**
 * Finds the most specific route for a request: an exact host comes before a host with '*', the longer of two such hosts
 * first; then the longer path, then a method, then more fields. Of two equally specific routes, the first matches.
 */
export class Matcher {
  readonly #byHost = new Map<string, CompiledRoute[]>()
  /** The hosts with '*', the longest first. */
  readonly #wildcards: readonly string[]

  constructor(routes: readonly CompiledRoute[]) {
    for (const route of routes) {
      const ones = this.#byHost.get(route.host)
      if (ones) ones.push(route)
      else this.#byHost.set(route.host, [route])
    }
    for (const ones of this.#byHost.values()) ones.sort(bySpecificity)
    const wildcards = [...this.#byHost.keys()].filter((host) => host.startsWith('.'))
    this.#wildcards = wildcards.sort((one, other) => other.length - one.length)
  }

  /** All routes, a more specific one before those that it comes before. */
  get all(): CompiledRoute[] {
    const exact = [...this.#byHost.keys()].filter((host) => host !== '' && !host.startsWith('.'))
    return [...exact, ...this.#wildcards, ''].flatMap((host) => this.#byHost.get(host) ?? [])
  }

  find(host: string, head: Head, target: TargetParts | undefined): CompiledRoute | undefined {
    const path = target && comparablePath(target.path)
    return (
      this.#among(host, head, path) ??
      this.#underWildcard(host, head, path) ??
      (host === '' ? undefined : this.#among('', head, path))
    )
  }

  #underWildcard(host: string, head: Head, path: string | undefined): CompiledRoute | undefined {
    for (const wildcard of this.#wildcards) {
      const route = host.length > wildcard.length && host.endsWith(wildcard) && this.#among(wildcard, head, path)
      if (route) return route
    }
    return undefined
  }

  #among(host: string, head: Head, path: string | undefined): CompiledRoute | undefined {
    return this.#byHost.get(host)?.find((route) => matches(route, head, path))
  }
}

/** Sorts routes as the matcher asks them. */
export function inPrecedence<R extends RouteOptions>(routes: readonly R[]): R[] {
  const { matcher, given } = matcherOf(routes)
  return matcher.all.map((one) => given.get(one)!)
}

/** Returns a function that finds the route of an HTTP/2 connection by the server name of its TLS handshake. */
export function byServerName<R extends RouteOptions>(routes: readonly R[]): (serverName: string) => R | undefined {
  const { matcher, given } = matcherOf(routes)
  return (serverName) => {
    const found = matcher.find(comparableHost(serverName), PREFACE, undefined)
    return found && given.get(found)
  }
}

function matcherOf<R extends RouteOptions>(routes: readonly R[]): { matcher: Matcher; given: Map<CompiledRoute, R> } {
  const given = new Map(routes.map((route) => [compileRoute(route, NO_ACTION), route]))
  return { matcher: new Matcher([...given.keys()]), given }
}

function matches({ path: prefix, methods, headers }: CompiledRoute, head: Head, path: string | undefined): boolean {
  if (prefix !== undefined && (path === undefined || !isBelow(path, prefix))) return false
  if (methods && !methods.includes(head.method)) return false
  return headers.every(([name, value]) => (value === true ? head.has(name) : head.get(name) === value))
}

/** Whether a path is the prefix, or begins with it and a slash. */
export function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/')
}

function bySpecificity(one: CompiledRoute, other: CompiledRoute): number {
  return (
    (other.path?.length ?? -1) - (one.path?.length ?? -1) ||
    Number(other.methods !== undefined) - Number(one.methods !== undefined) ||
    other.headers.length - one.headers.length
  )
}

/** A text that is the same for two routes if they match the same requests. */
export function conditionsOf({ host, path, methods, headers }: CompiledRoute): string {
  return JSON.stringify([host, path, methods, [...headers].sort()])
}
