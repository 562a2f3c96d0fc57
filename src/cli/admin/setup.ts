import type { RouteOptions } from '../../index.ts'
import { inPrecedence } from '../../router/index.ts'
import type { CertificateStatus } from '../certificate-status.ts'
import { type Config, offersHttp2, type Pool, poolsOf } from '../config/index.ts'
import type { Listener } from '../listening/index.ts'
import { json } from './guards.ts'
import type { Route } from './routes.ts'
import { shared } from './shared.ts'

/** The config in force, and where it listens. */
interface InForce {
  readonly config: Config
  readonly listeners: readonly Listener[]
}

export interface SetupOptions {
  inForce(): InForce
  certificates(): readonly CertificateStatus[] | Promise<readonly CertificateStatus[]>
}

/** GET /api/setup, without a token. */
export function setupRoutes({ inForce, certificates }: SetupOptions): Route[] {
  return [[/^\/api\/setup$/, 'GET', shared(async () => json(setupOf(inForce(), await certificates())))]]
}

/**
 * What GET /api/setup answers. It needs no token, so it has nothing that may be a secret: no keys, no values of fields, no
 * bodies.
 */
function setupOf({ config, listeners }: InForce, certificates: readonly CertificateStatus[]): object {
  return {
    requests: config.requests,
    recentRequests: config.admin?.requests === true,
    pools: poolsOf(config).map(poolJson),
    routes: inPrecedence(config.routing?.routes ?? []).map(routeJson),
    listeners: listeners.map(({ url, isTls }) => ({
      url,
      tls: isTls,
      ...(isTls && { alpn: config.alpn && offersHttp2(config) ? config.alpn : ['http/1.1'] }),
      proxyProtocol: config.proxyProtocol !== undefined,
    })),
    certificates: certificates.map((one) => ({
      ...one,
      notBefore: one.notBefore ?? null,
      notAfter: one.notAfter ?? null,
    })),
  }
}

function poolJson(pool: Pool): object {
  const { name, algorithm, key, sticky, health, backends, failover } = pool
  const { queue, retries, eject, slowStart } = pool
  return {
    name,
    algorithm,
    ...(algorithm === 'hash' && { key }),
    ...(sticky && { sticky: sticky.name }),
    ...(health && { health: healthText(health) }),
    backends: backends.length,
    options: {
      ...(queue && { queue: joined(timeText(queue.timeout), queue.size !== undefined && `size ${queue.size}`) }),
      ...(retries > 0 && { retries: String(retries) }),
      ...(eject && { eject: ejectText(eject) }),
      ...(slowStart > 0 && { slowStart: timeText(slowStart) }),
      ...(sticky && { failover }),
    },
  }
}

function healthText(health: NonNullable<Pool['health']>): string {
  const { type, path = '/', interval = 2_000, timeout } = health
  const isTcp = type === 'tcp' || (type === undefined && health.path === undefined)
  return joined(
    isTcp ? 'tcp' : path.replace(/\?.*/s, ''),
    `every ${timeText(interval)}`,
    timeout !== undefined && `timeout ${timeText(timeout)}`,
  )
}

function ejectText({ failures, min, max }: NonNullable<Pool['eject']>): string {
  return joined(
    `${failures} failures`,
    min !== undefined && `min ${timeText(min)}`,
    max !== undefined && `max ${timeText(max)}`,
  )
}

/** The fields of a request are conditions with names alone: a value may be a password. */
function routeJson(route: RouteOptions): object {
  const { host, path, method, header, pool, redirect, respond, stripPrefix, basePath } = route
  return {
    ...(host !== undefined && { host }),
    ...(path !== undefined && { path }),
    ...(method !== undefined && { methods: [method].flat() }),
    ...(header && { header: Object.keys(header) }),
    ...(pool !== undefined && { pool }),
    ...(redirect !== undefined && { redirect: typeof redirect === 'string' ? redirect : redirect.to }),
    ...(respond && { respond: respond.status ?? 200 }),
    ...(stripPrefix && { stripPrefix }),
    ...(basePath !== undefined && { basePath }),
  }
}

function joined(...parts: (string | false)[]): string {
  return parts.filter((part) => part !== false).join(', ')
}

const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

function timeText(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms > 0 && ms % size === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}
