import http from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { methodNotAllowed } from 'hono/method-not-allowed'
import { secureHeaders } from 'hono/secure-headers'
import type { BackendStatus, Counters } from '../../index.ts'
import { readAssets } from './assets.ts'
import { bodyOfAtMost, onlyHosts, onlyJson, onlyWith, refuse, sameOrigin } from './guards.ts'
import { Metrics } from './metrics.ts'
import { processMetrics } from './process.ts'

const MAX_BODY_BYTES = 4_096

/** For Node to end requests that are slow to come, and connections that nothing happens on; ms. */
const TIMEOUTS = { headersTimeout: 5_000, requestTimeout: 10_000, connectionsCheckingInterval: 2_500 }
const IDLE_MS = 30_000
const MAX_CONNECTIONS = 256

/** What the page does with a balancer. An unknown id throws a RangeError. */
export interface Controls {
  readonly backends: readonly BackendStatus[]
  drain(id: string): void | Promise<void>
  ready(id: string): void | Promise<void>
  kill(id: string): number | Promise<number>
}

/** Where several processes serve: what is read of them is as of the last `refresh`. */
export interface Workers {
  /** That serve now. */
  readonly count: number
  /** That have taken the place of others. */
  readonly restarts: number
  refresh(): Promise<void>
  /** The metrics of all their processes, labelled by `worker`. */
  metrics(): Promise<string>
}

export interface AdminOptions {
  balancer: Controls
  counters(): Readonly<Counters>
  isDraining(): boolean
  workers?: Workers | undefined
  /** Whoever changes anything has to know it. */
  token: string
  version: string
  /** Names and addresses, beside those of loopback, that it is reached by; 0.0.0.0 or :: stands for any address. */
  allowedHosts?: readonly string[]
}

/**
 * Makes the server of the admin page, /metrics and /healthz. It does not listen yet.
 * @throws {TypeError} on a token that no Authorization field can carry
 */
export function createAdmin(options: AdminOptions): http.Server {
  if (!/^[\x21-\x7e]+$/.test(options.token)) {
    throw new TypeError('token: takes one character or more of printable ASCII, and no space')
  }
  // Hono would decode the path first, and a line end in it is matched by none of the patterns that guard every path.
  const app = new Hono({ getPath: ({ url }) => new URL(url).pathname })
  protect(app, options)
  addReads(app, options)
  addActions(app, options)
  // The globals of the process are the user's hooks' too: they stay Node's own.
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    hostname: 'localhost', // for a probe in HTTP/1.0, without Host
  })
  const server = http.createServer(TIMEOUTS, (request, response) => void listener(request, response))
  server.maxConnections = MAX_CONNECTIONS
  return server.setTimeout(IDLE_MS)
}

/** What holds for every answer; and the one that anybody gets. */
function protect(app: Hono, { allowedHosts = [], isDraining, workers }: AdminOptions): void {
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
        requireTrustedTypesFor: ["'script'"],
      },
      xFrameOptions: 'DENY',
      // Plain HTTP; a proxy with TLS in front says it for itself.
      strictTransportSecurity: false,
    }),
  )
  app.use(async (c, next) => {
    await next()
    c.res.headers.set('Cache-Control', 'no-store')
  })
  // Before Host is looked at: probes give any name, or none, and there is nothing in it to steal.
  app.get('/healthz', (c) => {
    if (isDraining()) return c.text('draining\n', 503)
    return workers?.count === 0 ? c.text('no worker serves\n', 503) : c.text('ok\n')
  })
  app.use(onlyHosts(allowedHosts))
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) => {
        c.header('Allow', methods.join(', '))
        return refuse(c, 405, `${c.req.method}: takes ${methods.join(', ')}`)
      },
    }),
  )
  app.notFound((c) => refuse(c, 404, `nothing at ${c.req.path}`))
  app.onError((_, c) => refuse(c, 500, 'internal error'))
}

/** What anybody may read. */
function addReads(app: Hono, { balancer, counters, isDraining, workers, version }: AdminOptions): void {
  const assets = readAssets()
  const take = async () => {
    await workers?.refresh()
    return {
      version,
      draining: isDraining(),
      workers: workers?.count ?? 1,
      restarts: workers?.restarts ?? 0,
      counters: counters(),
      backends: balancer.backends,
    }
  }
  const metrics = new Metrics(take, workers ? () => workers.metrics() : processMetrics)
  const serve = (name: string) => {
    const asset = assets.get(name)
    return asset && new Response(asset.body, { headers: { 'Content-Type': asset.type } })
  }
  app.get('/', () => serve('page.html')!)
  app.get('/static/:name', (c) => serve(c.req.param('name')) ?? c.notFound())
  app.get('/api/state', async (c) => {
    const { backends, ...rest } = await take()
    return c.json({
      ...rest,
      uptime: process.uptime(),
      time: Date.now(),
      // Infinity is none of JSON's numbers: null.
      backends: backends.map((backend) => ({ ...backend, maxConnections: finite(backend.maxConnections) })),
    })
  })
  app.get('/metrics', async () => {
    return new Response(await metrics.text(), { headers: { 'Content-Type': Metrics.contentType } })
  })
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

/** What takes the token. */
function addActions(app: Hono, { balancer, token }: AdminOptions): void {
  const actions = {
    drain: (id: string) => balancer.drain(id),
    ready: (id: string) => balancer.ready(id),
    kill: (id: string) => balancer.kill(id),
  }
  for (const [name, act] of Object.entries(actions)) {
    app.post(
      `/api/backends/:id/${name}`,
      sameOrigin,
      onlyWith(token),
      onlyJson,
      bodyOfAtMost(MAX_BODY_BYTES),
      async (c) => {
        try {
          const count = await act(c.req.param('id'))
          return c.json({ reset: count ?? 0 })
        } catch (error) {
          if (error instanceof RangeError) return refuse(c, 404, error.message)
          throw error
        }
      },
    )
  }
}
