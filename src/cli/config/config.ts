import type { Readable } from 'node:stream'
import type {
  BackendOptions,
  BalancerOptions,
  DnsOptions,
  EjectOptions,
  HealthOptions,
  KeyName,
  QueueOptions,
} from '../../balancer/index.ts'
import type { Head } from '../../parser/index.ts'
import type { ClientInfo, Dest, Limits, ProxyError } from '../../proxy/index.ts'
import type { RouteOptions } from '../../router/index.ts'
import { escapeUnprintable } from '../escape.ts'

/**
 * A place to listen. Without `host`: on every address of the machine. `mode` and `group` (an id) are those of the socket
 * file. `fd` is the name of sockets that the service manager passed, and `at` the descriptor of one of them.
 */
export type Place =
  | { port: number; host?: string }
  | { path: string; mode?: number; group?: number }
  | { fd: string; at?: number }

/** Where to listen. `tls`: clients speak TLS there. */
export type Address = Place & { tls?: boolean }

export type Target = BackendOptions | DnsOptions

export interface StickySettings {
  name: string
  insert: boolean
  beside?: string
  indirect: boolean
  attributes?: string
}

/** A protocol as ALPN names it (RFC 7301). */
export type AlpnName = 'h2' | 'http/1.1'

/** The X-Forwarded fields, Forwarded (RFC 7239), or both. */
export type ForwardedForm = 'x' | 'rfc7239' | 'both'

/** `requests` in `per` ms, and `burst` at once. */
export interface RateSettings {
  requests: number
  per: number
  burst: number
}

type Maybe<T> = T | Promise<T>

/** The functions that a config file may export if it is a JS module. */
export interface ConfigHooks {
  /** May edit the head, and may return a Dest or a Response. If it returns nothing, the balancer chooses. */
  lookup?: (head: Head, client: ClientInfo) => Maybe<Dest | Response | undefined | null>
  modify?: (head: Head, dest: Dest, request: Head) => Maybe<void>
  /** If it returns nothing, the balancer decides. */
  errback?: (
    error: ProxyError,
    dest: Dest | undefined,
    head: Head,
  ) => Maybe<Dest | Response | Readable | undefined | null>
}

/** The path of a PEM file, or PEM as text or bytes. */
export type Pem = string | Uint8Array

/** How clients are spread over some backends. */
export interface PoolSettings {
  backends: Target[]
  algorithm: NonNullable<BalancerOptions['algorithm']>
  /** What the algorithm `hash` hashes. */
  key: KeyName
  failover: NonNullable<BalancerOptions['failover']>
  queue: QueueOptions | undefined
  /** ms; 0: none. */
  slowStart: number
  retries: number
  eject: EjectOptions | undefined
  health: HealthOptions | undefined
  sticky: StickySettings | undefined
}

export interface Pool extends PoolSettings {
  name: string
  /** Where the config has its backends, for messages. Default: below `pools`. */
  place?: string
}

/** The name of the pool that has the backends of the config itself. */
export const DEFAULT_POOL = 'default'

export interface Routing {
  /** The pools other than 'default'. */
  pools: Pool[]
  routes: RouteOptions[]
  /** Whether paths that servers read differently are routed. */
  unsafePaths: boolean
}

/** The validated settings of the command, with the defaults filled in. */
export interface Config extends PoolSettings {
  listen: Address[]
  /** Number of processes that serve. */
  workers: number
  /** Undefined: all requests go to `backends`. */
  routing?: Routing
  backoff?: NonNullable<BalancerOptions['backoff']>
  dns?: NonNullable<BalancerOptions['dns']>
  /** Keys of the sticky cookie: the first signs, all are accepted. */
  secret: string[] | undefined
  /** Whether each request is routed, or only the first one of a connection. */
  requests: 'first' | 'every'
  /** The fields that tell backends about the client. */
  forwarded: ForwardedForm | false
  /** The port of redirects from HTTP to HTTPS. Undefined: none. */
  redirectHttps?: number
  /** Clients whose X-Forwarded fields are trusted: IP addresses, networks, 'unix'. */
  trust: string[]
  /** Clients that send a PROXY header first: IP addresses, networks, 'unix'. Undefined: none. */
  proxyProtocol?: string[]
  /** Certificates with their keys, for the listeners with TLS. */
  tls: { cert: Pem; key: Pem }[]
  /** What listeners with TLS offer by ALPN, the preferred one first. Undefined: HTTP/1.1. */
  alpn?: AlpnName[]
  /** The oldest version of TLS that clients may use. Undefined: Node's, which is 1.2. */
  tlsMinVersion?: '1.2' | '1.3'
  /** The CA of clients' certificates. Undefined: clients are not asked for one. */
  clientCa?: { pem: Pem; isRequired: boolean }
  admin: { listen: Address; token: string | undefined; requests?: boolean } | undefined
  /** In a worker: its requests are counted, because its primary has an admin page. */
  countsRequests?: boolean
  /** In a worker: its slowest and failed requests are recorded. */
  recordsRequests?: boolean
  /** Whether X-Request-Id and traceparent are set. */
  requestId: boolean
  log: 'none' | 'text' | 'json' | 'combined'
  /** Where the access log goes instead of stdout. */
  logFile?: string
  /** Most clients at a time; more get a 503. Undefined: no limit. */
  maxConnections?: number
  /** Most open connections of one client address; more get a 429. Undefined: no limit. */
  maxConnectionsPerClient?: number
  /** The requests of one client address; more get a 429. Undefined: no limit. */
  rate?: RateSettings
  /** ms until a drain resets the connections that are still open. */
  grace: number
  /** ms to go on accepting clients after the signal to end, while /healthz says 503. */
  shutdownDelay: number
  /** Whether HTTP/2 connections pass unread. Undefined: they are refused if requests must be seen. */
  http2?: 'pass' | 'refuse'
  /** The engine's limits that were set, and `idleTimeout`. */
  limits: Limits
  hooks: ConfigHooks
}

/** Mistakes in the arguments or the config file. Each line names the place, what is expected there and what it got. */
export class ConfigError extends Error {
  readonly lines: readonly string[]

  constructor(lines: string | readonly string[]) {
    const all = [lines].flat().map(escapeUnprintable)
    super(all.join('\n'))
    this.name = 'ConfigError'
    this.lines = all
  }
}

/** All pools of a config. */
export function poolsOf({ routing, ...config }: Config): Pool[] {
  const named = routing?.pools ?? []
  return routing && config.backends.length === 0 ? named : [{ ...config, name: DEFAULT_POOL }, ...named]
}
