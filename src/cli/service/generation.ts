import type net from 'node:net'
import {
  type ClientInfo,
  type Connection,
  createServer,
  createStickyServer,
  type Dest,
  type Head,
  type Hooks,
  type Limits,
  type ProxyServer,
  type StickyLookup,
} from '../../index.ts'
import { after, isExhausted, subscribe } from '../../proxy/index.ts'
import { messageOf } from '../../show.ts'
import { type Config, DEFAULT_POOL, offersHttp2, poolsOf } from '../config/index.ts'
import { writeClientCert } from './client-certificates.ts'
import { ClientKeys } from './client-keys.ts'
import type { ClientLimits } from './client-limits.ts'
import { Forwarded } from './forwarded.ts'
import { HttpsRedirect } from './https-redirect.ts'
import type { Known } from './log.ts'
import type { Pools } from './pools.ts'
import { identify } from './request-id.ts'
import { type RoutedHooks, routedHooks } from './routed.ts'
import { refuseTunnel } from './tunnels.ts'

/** Shared by all generations of a service. */
export interface GenerationContext {
  readonly pools: Pools
  readonly limits: ClientLimits
  /** Called with each request head before hooks change it. */
  requested(head: Head, client: ClientInfo, known: Known): void
  /** Reports a lack of local resources, at most once in a while. */
  sayLack(line: string): void
}

/** The proxy of one config. After a reload it serves its connections until they end. */
export class Generation {
  readonly config: Config
  readonly forwarded: Forwarded
  readonly proxy: ProxyServer

  /** @throws {TypeError} if the config is invalid */
  constructor(config: Config, shared: GenerationContext) {
    this.config = config
    this.forwarded = new Forwarded(config.trust, config.forwarded || 'x')
    this.proxy = createProxy(config, this.forwarded, shared)
  }

  has(connection: Connection): boolean {
    return this.proxy.active.has(connection)
  }

  serve(socket: net.Socket): void {
    this.proxy.emit('connection', socket)
  }

  /** Calls back when no connection is left, perhaps at once. */
  whenIdle(done: () => void): void {
    if (this.proxy.active.size === 0) return done()
    // Count connections, not sockets: one may outlast its client's socket to deliver the last bytes.
    const stop = subscribe('close', () => {
      if (this.proxy.active.size > 0) return
      stop()
      done()
    })
  }

  /** Resets all open connections. */
  destroy(): void {
    for (const connection of this.proxy.active) connection.destroy()
  }
}

function createProxy(config: Config, forwarded: Forwarded, shared: GenerationContext): ProxyServer {
  const { proxyProtocol, hooks, requests, routing, redirectHttps } = config
  // None of these would see the requests inside an HTTP/2 connection.
  const isRenamed = poolsOf(config).some(({ backends }) => backends.some(({ hostHeader }) => hostHeader !== undefined))
  const isSeen =
    isRenamed ||
    config.forwarded ||
    config.requestId ||
    config.clientCa ||
    redirectHttps ||
    requests === 'every' ||
    routing ||
    hooks.lookup ||
    hooks.modify
  const unasked = config.http2 ?? (isSeen ? 'refuse' : 'pass')
  const http2 = unasked === 'refuse' && offersHttp2(config) ? 'alpn' : unasked
  const limits = { ...config.limits, proxyProtocol, http2, requests } as const
  const redirect = redirectHttps === undefined ? undefined : new HttpsRedirect(redirectHttps, forwarded)
  const keys = new ClientKeys(config)
  // A request inside a tunnel would pass without these.
  const seesEvery = config.clientCa || config.forwarded || config.rate
  const begin: Begin = (head, client) => {
    const id = config.requestId ? identify(head, forwarded.trusts(client)) : undefined
    shared.requested(head, client, {
      id,
      address: () => forwarded.namedAddress(head, client),
      isConnection: requests === 'first',
    })
    const malformed = forwarded.refuse(head, client)
    // Before the limits: they would count the request for the proxy.
    if (malformed) return { answer: malformed }
    const refused = shared.limits.refuse(keys, head, client)
    if (refused) return refused
    if (redirect?.covers(head, client)) return { answer: redirect.answer(head, client) }
    const tunnel = seesEvery && refuseTunnel(head)
    if (tunnel) return { answer: tunnel }
    if (config.clientCa) writeClientCert(head, client)
    if (config.forwarded) forwarded.write(head, client)
    return undefined
  }
  return routing
    ? createRoutedProxy(config, limits, begin, routedHooks(config, routing, shared.pools), shared)
    : createBalancedProxy(config, limits, begin, shared)
}

/** Called first with each request head. Edits it, or answers the request: then no hook and no backend gets it. */
type Begin = (head: Head, client: ClientInfo) => { answer: Response | undefined } | undefined
type Errback = NonNullable<Hooks['errback']>

/** A proxy with one pool. */
function createBalancedProxy({ sticky, hooks }: Config, limits: Limits, begin: Begin, shared: GenerationContext) {
  const balancer = () => shared.pools.get(DEFAULT_POOL)
  const lookup = (head: Head, value: string | undefined, client: ClientInfo) => {
    const done = begin(head, client)
    if (done) return done.answer
    return after(hooks.lookup?.(head, client), (dest) => dest ?? balancer().lookup(head, value, client))
  }
  const errback = reporting(shared, hooks, (error, dest, head) => balancer().errback(error, dest, head))
  const modify = hooks.modify && { modify: hooks.modify }
  // A Dest from a user's hook may lack a sticky value. Then no cookie is set.
  if (sticky) return createStickyServer(lookup as StickyLookup, errback, { ...limits, ...modify, cookie: sticky })
  return createServer<Dest>({
    ...limits,
    ...modify,
    lookup: (head, client) => lookup(head, undefined, client),
    errback,
  })
}

/** A proxy with routes. The user's lookup and errback come before them. */
function createRoutedProxy(
  { hooks }: Config,
  limits: Limits,
  begin: Begin,
  routed: RoutedHooks,
  shared: GenerationContext,
) {
  return createServer<Dest>({
    ...limits,
    modify: routed.modify,
    lookup: (head, client) => {
      const done = begin(head, client)
      if (done) return done.answer
      return after(hooks.lookup?.(head, client), (own) => {
        if (own) routed.hideCookies(head)
        return own ?? routed.lookup(head, client)
      })
    },
    errback: reporting(shared, hooks, routed.errback),
  })
}

/** Reports a lack of local resources, and asks the user's hook first. */
function reporting({ sayLack }: GenerationContext, hooks: Config['hooks'], errback: Errback): Errback {
  return (error, dest, head) => {
    if (isExhausted(error.cause)) sayLack(`out of local resources (not a backend failure): ${messageOf(error.cause)}`)
    return after(hooks.errback?.(error, dest, head), (own) => own ?? errback(error, dest, head))
  }
}
