import type { Readable } from 'node:stream'
import { DEFAULT_LIMITS, type Head, type HeadLimits } from '../parser/index.ts'
import {
  aFunction,
  anObject,
  flag,
  integer,
  LONGEST_MS,
  milliseconds,
  oneOf,
  optionalFunction,
  type Rules,
  validateOptions,
} from '../validate.ts'
import type { ClientInfo } from './client-info.ts'
import type { Dest } from './dest.ts'
import type { ProxyError } from './error.ts'
import { isNetwork, NETWORK_FORMS, Networks } from './networks.ts'

type Maybe<T> = T | Promise<T>
// biome-ignore lint/suspicious/noConfusingVoidType: a hook that returns nothing is a hook
type Instead<D extends Dest> = D | Response | Readable | undefined | null | void

/** The hooks. `D` is the type of the Dests that lookup returns, `E` that of errback's. */
export interface Hooks<D extends Dest = Dest, E extends Dest = D> {
  /**
   * Chooses the destination of a request, or answers it with a web-standard Response. The backend gets its edits of the
   * head. The client gets a 503 if it returns nothing, throws or rejects. Hooks have no time-out: a hook that never
   * settles keeps its connection open.
   */
  lookup(head: Head, client: ClientInfo): Maybe<D | Response | undefined | null>
  /**
   * May edit the first final response head before the client gets it. The client gets a 502 if it throws or rejects.
   * `request` is a copy of the request head as it was received, without lookup's edits.
   */
  modify?: ((head: Head, dest: D | E, request: Head) => Maybe<void>) | undefined
  /**
   * Called if a backend could not be reached, or (without `dest`) if lookup chose none; with `requests: 'every'`, also if
   * no response came. Return another Dest to try it, a Response or a Readable of raw bytes to answer the client, or
   * nothing to reset it. `head` is the request head with lookup's edits. errback's edits go to the next Dest.
   *
   * If `error.requestSent`, a backend may have received the request. Another Dest is then used only if the request may be
   * sent twice. Otherwise, and for nothing, the client gets the engine's own answer.
   */
  errback?: ((error: ProxyError, dest: D | E | undefined, head: Head) => Maybe<Instead<E>>) | undefined
}

/** Limits of the shared backend connections that are kept with `requests: 'every'`. */
export interface PoolOptions {
  /** ms that a connection may be idle, or one second less than the backend's `Keep-Alive`. 0: none is kept. Default 4000. */
  idleLifetime?: number
  /** ms after which a connection serves no more requests. Default 3600000. */
  maxLifetime?: number
  /** Maximum number of requests per connection. Default: no limit. */
  maxRequests?: number
  /** Maximum number of idle connections to one destination. Default 256. */
  maxIdle?: number
  /** Maximum number of idle connections to all destinations. Default 2048. */
  maxIdleTotal?: number
}

/** The options other than hooks. Times are in ms. */
export interface Limits extends HeadLimits {
  /**
   * Connections that start with the HTTP/2 preface. 'pass': lookup gets the request `PRI *`, and the rest passes unread.
   * 'refuse': they get a 505. 'alpn': they pass if the client negotiated h2 over TLS, and get a 505 otherwise. With both,
   * h2c is removed from Upgrade. Default 'pass', or 'refuse' with `requests: 'every'`.
   */
  http2?: 'pass' | 'refuse' | 'alpn'
  /**
   * 'first': the hooks see the first request of a connection; later bytes pass unread. 'every': the hooks see every
   * request, and each request may go to another backend. Default 'first'.
   */
  requests?: 'first' | 'every'
  /**
   * Peers that must start each connection with a PROXY header (version 1 or 2): addresses, networks such as
   * '10.0.0.0/8', or 'unix' for clients of Unix sockets. Other peers are reset. `client` is the client that the header
   * names. Default: no PROXY headers.
   */
  proxyProtocol?: readonly string[] | undefined
  /** ms from accept to the end of the request head; then 408 (or a reset before the PROXY header). 0: none. Default 30000. */
  headTimeout?: number
  /**
   * With `requests: 'every'`: ms from a response to the first byte of the next request; then the connection is closed.
   * 0: none. Default 75000.
   */
  keepAliveTimeout?: number
  /**
   * With `requests: 'every'`: ms without a byte of a request body (then 408, or 504 if the backend does not read it) or
   * of a response body (then both sides are reset). 0: none. Default 60000.
   */
  bodyTimeout?: number
  /** With `requests: 'every'`: limits of the kept backend connections. */
  pool?: PoolOptions | undefined
  /**
   * ms from the last byte sent to the backend to its response head (or to its first byte, if the head is not read); then
   * 504. An interim head restarts it. 0: none. Default 60000 with `requests: 'every'`, otherwise 0.
   */
  responseHeadTimeout?: number
  /** ms to connect to one backend, with TLS; then errback or 504. 0: none. Default 10000. */
  connectTimeout?: number
  /** ms without a byte in either direction after the backend connected; then both are reset. Default 0: none. */
  idleTimeout?: number
  /** ms without a byte after one side has ended, or of a hook's answer; then both are reset. 0: none. Default 60000. */
  halfCloseTimeout?: number
  /**
   * Repair the first response head of a connection as `LenientScanner` does, even without `modify`. Default false: a
   * head that breaks the rules becomes a 502 if there is a `modify`, and passes unread otherwise.
   */
  lenientResponses?: boolean
  /** Send small packets at once (TCP_NODELAY), on both sides. Default true. */
  noDelay?: boolean
  /** Let the kernel probe silent connections (SO_KEEPALIVE) on both sides, from their first seconds on. Default true. */
  keepAlive?: boolean
  /** ms of silence before the first probe. 0: the kernel's default. Default 60000. */
  keepAliveInitialDelay?: number
}

export type ProxyOptions<D extends Dest = Dest, E extends Dest = D> = Hooks<D, E> & Limits

/** Options with the defaults filled in. */
export type Settings<D extends Dest = Dest> = Hooks<D> &
  Required<Omit<Limits, 'proxyProtocol' | 'pool'>> & {
    proxyProtocol: Networks | undefined
    pool: Required<PoolOptions>
  }

const ms = (defaultValue: number) => milliseconds(0, LONGEST_MS, defaultValue, '0 for none')

export const OPTION_RULES: Rules<keyof ProxyOptions> = {
  lookup: aFunction,
  modify: optionalFunction,
  errback: optionalFunction,
  maxHeadBytes: integer(1, 2 ** 30, DEFAULT_LIMITS.maxHeadBytes),
  maxFields: integer(1, 2 ** 20, DEFAULT_LIMITS.maxFields),
  requests: oneOf('first', 'every'),
  http2: oneOf('pass', 'refuse', 'alpn'),
  headTimeout: ms(30_000),
  keepAliveTimeout: ms(75_000),
  bodyTimeout: ms(60_000),
  pool: anObject,
  responseHeadTimeout: ms(0),
  connectTimeout: ms(10_000),
  idleTimeout: ms(0),
  halfCloseTimeout: ms(60_000),
  lenientResponses: flag(false),
  noDelay: flag(true),
  keepAlive: flag(true),
  keepAliveInitialDelay: ms(60_000),
  proxyProtocol: {
    expected: `a list of one or more, each ${NETWORK_FORMS}`,
    validate: (value) =>
      value === undefined || (Array.isArray(value) && value.length > 0 && [...value].every(isNetwork)),
  },
}

/** The default of responseHeadTimeout with `requests: 'every'`: that of nginx's proxy_read_timeout. */
const RESPONSE_HEAD_MS = 60_000

const POOL_RULES: Rules<keyof PoolOptions> = {
  idleLifetime: ms(4_000),
  maxLifetime: milliseconds(1, LONGEST_MS, 3_600_000),
  maxRequests: integer(1, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  maxIdle: integer(0, 2 ** 20, 256),
  maxIdleTotal: integer(0, 2 ** 20, 2_048),
}

/** Fills in the defaults. @throws {TypeError} on an unknown or invalid option */
export function checkOptions<D extends Dest>(options: ProxyOptions<D>): Settings<D> {
  const { proxyProtocol, pool, ...checked } = validateOptions('', OPTION_RULES, options) as unknown as Required<
    ProxyOptions<D>
  >
  // The hooks would not see the requests of an HTTP/2 connection.
  if (options.http2 === undefined && checked.requests === 'every') checked.http2 = 'refuse'
  if (options.responseHeadTimeout === undefined && checked.requests === 'every') {
    checked.responseHeadTimeout = RESPONSE_HEAD_MS
  }
  return {
    ...checked,
    pool: validateOptions('pool', POOL_RULES, pool as PoolOptions) as unknown as Required<PoolOptions>,
    proxyProtocol: proxyProtocol && new Networks('proxyProtocol', proxyProtocol),
  }
}
