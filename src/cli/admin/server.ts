import http from 'node:http'
import type { ServiceCounters } from '../counters.ts'
import type { RequestCounts } from '../request-counts.ts'
import { actions } from './actions.ts'
import { readAssets } from './assets.ts'
import type { AdminStatus, Controls, Workers } from './controls.ts'
import { evictOldest } from './eviction.ts'
import { type Answer, json, onlyHosts, refuse } from './guards.ts'
import type { History } from './history.ts'
import { HistoryRoute } from './history-route.ts'
import { Metrics } from './metrics.ts'
import { processMetricsText } from './process.ts'
import { type RequestsOptions, requestsRoutes } from './requests.ts'
import { dispatch, orRefusal, pathOf, type Route } from './routes.ts'
import { Sender } from './sender.ts'
import { type SetupOptions, setupRoutes } from './setup.ts'
import { shared } from './shared.ts'
import { CONTENT_TYPE } from './text-format.ts'

/** ms after which Node closes connections without a request, slow requests, and answers that nobody reads. */
const TIMEOUTS = { headersTimeout: 2_000, requestTimeout: 5_000, connectionsCheckingInterval: 500 }
const IDLE_MS = 30_000
const MAX_CONNECTIONS = 256

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
}

export interface AdminOptions extends SetupOptions, RequestsOptions {
  balancer: Controls
  counters(): Readonly<ServiceCounters>
  /** The requests of each backend, as of the last `refresh` of the workers. */
  requests(): readonly RequestCounts[]
  history(): History
  isDraining(): boolean
  /** Gets a line for each action of an operator. */
  say(line: string): void
  workers?: Workers | undefined
  /** Required for every change. */
  token: string
  version: string
  /** Host names and addresses to answer to, besides loopback. 0.0.0.0 or :: allows any address. */
  allowedHosts?: readonly string[]
}

/** The server of the admin page, /metrics and /healthz. */
export class AdminServer extends http.Server {
  #answer: http.RequestListener

  /** @throws {TypeError} if the token cannot stand in an Authorization field */
  constructor(options: AdminOptions) {
    const answer = createListener(options)
    super(TIMEOUTS, (request, response) => {
      if (!request.socket.destroyed) this.#answer(request, response)
    })
    this.#answer = answer
    evictOldest(this, MAX_CONNECTIONS)
    this.setTimeout(IDLE_MS)
  }

  /** Answers as another server from now on, on open connections too. */
  answerAs(other: AdminServer): void {
    this.#answer = other.#answer
  }
}

/** @throws {TypeError} if the token cannot stand in an Authorization field */
function createListener(options: AdminOptions): http.RequestListener {
  if (!/^[\x21-\x7e]+$/.test(options.token)) {
    throw new TypeError('token: expected printable ASCII without spaces, at least one character')
  }
  const checkHost = onlyHosts(options.allowedHosts ?? [])
  const routes = [
    ...reads(options),
    ...setupRoutes(options),
    ...requestsRoutes(options, options.token),
    ...actions(options.balancer, options.token, options.say),
  ]
  const answer = (request: http.IncomingMessage) => {
    const path = pathOf(request)
    // A probe may send any Host or none, and its answer holds nothing to steal.
    const refusal = path === '/healthz' ? undefined : checkHost(request)
    return refusal ?? dispatch(routes, path, request)
  }
  const sender = new Sender(HEADERS)
  return async (request, response) => {
    const made = await Promise.resolve(request)
      .then(answer)
      .catch(() => refuse(500, 'internal error'))
    sender.send(response, made)
  }
}

function text(body: string | readonly Uint8Array[], status = 200, type = 'text/plain; charset=utf-8'): Answer {
  return { status, headers: { 'Content-Type': type }, body: typeof body === 'string' ? Buffer.from(body) : body }
}

/** Routes that need no token. */
function reads(options: AdminOptions): Route[] {
  const { balancer, counters, requests, history, isDraining, certificates, workers, version } = options
  const assets = readAssets()
  const takeSnapshot = shared(async () => {
    await workers?.refresh()
    return {
      version,
      draining: isDraining(),
      workers: workers?.count ?? 1,
      restarts: workers?.restarts ?? 0,
      counters: counters(),
      backends: balancer.backends,
      removed: balancer.removed,
      requests: requests(),
    }
  })
  const takeAll = async () => {
    const [snapshot, all] = await Promise.all([takeSnapshot(), certificates()])
    return { ...snapshot, certificates: all }
  }
  const metrics = new Metrics(takeAll, workers ? () => workers.metrics() : processMetricsText)
  const serve = (name: string): Answer => {
    const asset = assets.get(name)
    if (!asset) return refuse(404, `nothing at /static/${name}`)
    return { status: 200, headers: { 'Content-Type': asset.type }, body: asset.body }
  }
  const health = () => {
    if (isDraining()) return text('draining\n', 503)
    return workers?.count === 0 ? text('no worker serves\n', 503) : text('ok\n')
  }
  const metricsText = shared(() => metrics.text())
  const state = shared(async () => {
    const { backends, removed, requests: _, ...rest } = await takeSnapshot()
    return json({
      ...rest,
      uptime: process.uptime(),
      time: Date.now(),
      backends: backends.map(toJson),
      removed: removed.map(toJson),
    })
  })
  return [
    [/^\/$/, 'GET', () => serve('page.html')],
    [/^\/static\/([^/]+)$/, 'GET', (_, name) => serve(name!)],
    [/^\/api\/state$/, 'GET', state],
    [/^\/api\/history$/, 'GET', new HistoryRoute(history).answer],
    [/^\/api\/backends\/([^/]+)$/, 'GET', (_, id) => orRefusal(async () => json(await balancer.details(id!)))],
    [/^\/metrics$/, 'GET', async () => text(await metricsText(), 200, CONTENT_TYPE)],
    [/^\/healthz$/, 'GET', health],
  ]
}

/** JSON has no Infinity: null stands for it. */
function toJson({ maxConnections, ...status }: AdminStatus): object {
  return { ...status, maxConnections: Number.isFinite(maxConnections) ? maxConnections : null }
}
