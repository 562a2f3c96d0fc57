import type { Config, Target } from './config.ts'
import type { Given } from './given.ts'
import type { Path } from './read.ts'
import { type GivenPool, inAll } from './routes.ts'
import type { Settings } from './settings.ts'
import { inFile } from './target.ts'

/** Whether clients may negotiate HTTP/2. */
export function offersHttp2({ alpn }: Pick<Settings, 'alpn'>): boolean {
  return alpn?.includes('h2') ?? false
}

/** Targets get HTTP/2 connections only if they say so. */
export function markProtocols(config: Config): Config {
  if (!offersHttp2(config)) return config
  const mark = (backends: readonly Target[]) => backends.map((target): Target => ({ protocol: 'h1', ...target }))
  const { routing } = config
  const pools = routing?.pools.map((pool) => ({ ...pool, backends: mark(pool.backends) }))
  return {
    ...config,
    backends: mark(config.backends),
    ...(routing && { routing: { ...routing, pools: pools! } }),
  }
}

/** What has no effect on the requests in an HTTP/2 connection, which pass unread. */
const UNSEEN: readonly (readonly [what: string, isUsed: (settings: Settings) => unknown])[] = [
  ['--requests every', ({ requests }) => requests === 'every'],
  ['--forwarded', ({ forwarded }) => forwarded],
  ['--request-id', ({ requestId }) => requestId],
  ['--redirect-https', ({ redirectHttps }) => redirectHttps],
  ['--tls-client-ca', ({ tlsClientCa }) => tlsClientCa],
  ['--rate', ({ rate }) => rate],
  ['--trust', ({ trust }) => trust?.length],
  ['--sticky', (settings) => inAll(settings, ({ sticky }) => !!sticky)],
  ['--retries', (settings) => inAll(settings, ({ retries }) => !!retries)],
  ['--key other than client', (settings) => inAll(settings, ({ key = 'client' }) => key !== 'client')],
  ['a target with a Host of its own', (settings) => inAll(settings, hasHostHeader)],
  ['a route with path, method, header or basePath', ({ routes }) => routes?.some(isOfRequests)],
  ['the hook lookup', ({ lookup }) => lookup],
  ['the hook modify', ({ modify }) => modify],
]

function hasHostHeader({ backends = [] }: GivenPool): boolean {
  return backends.some(({ hostHeader }) => hostHeader !== undefined)
}

function isOfRequests(route: NonNullable<Settings['routes']>[number]): boolean {
  return (['path', 'method', 'header', 'basePath'] as const).some((name) => route[name] !== undefined)
}

/** Mistakes that concern ALPN, and the protocols of targets. */
export function* alpnMistakes({ line, settings, nameOf, placeOf }: Given): Generator<string> {
  if (!offersHttp2(settings)) {
    for (const [path, target] of targetsOf(settings)) {
      const without = line.backends || line.routes ? '--alpn h2' : 'alpn h2'
      if (target.protocol !== undefined) yield `${nameOf([...path, 'protocol'])}: has no effect without ${without}`
    }
    return
  }
  const place = placeOf('alpn')
  const isOnLine = line.alpn !== undefined
  for (const [what, isUsed] of UNSEEN) {
    if (!isUsed(settings)) continue
    yield `${place}: expected no h2 with ${isOnLine ? what : inFile(what)}, as requests in HTTP/2 pass unread`
  }
  yield* targetMistakes(settings, place, nameOf)
}

function* targetMistakes(settings: Settings, place: string, nameOf: Given['nameOf']): Generator<string> {
  const protocols = targetsOf(settings).map(([, { protocol = 'h1' }]) => protocol)
  if (!protocols.some((protocol) => protocol !== 'h1')) {
    yield `${place}: expected a target with protocol=h2 or protocol=both, got none`
  }
  const answers = settings.routes?.some(({ redirect, respond }) => redirect !== undefined || respond !== undefined)
  if (settings.alpn!.includes('http/1.1') && !answers && protocols.every((protocol) => protocol === 'h2')) {
    yield `${place}: expected a target without protocol=h2 for http/1.1, got none`
  }
  for (const [path, { protocol }, { health }] of targetsOf(settings)) {
    if (protocol !== 'h2' || !health || health.port !== undefined) continue
    if ((health.type ?? (health.path === undefined ? 'tcp' : 'http')) === 'tcp') continue
    yield `${nameOf([...path, 'protocol'])}: expected a health check by tcp or on a port of its own, as others are HTTP/1.1`
  }
}

/** All targets, each with its place and the settings of its pool. */
function targetsOf(settings: Settings): [path: Path, target: Target, pool: GivenPool][] {
  const { pools, routes = [], ...own } = settings
  const all: [path: Path, pool: GivenPool][] = [
    [['backends'], own],
    ...[...(pools ?? [])].map(([name, pool]): [Path, GivenPool] => [['pools', name, 'backends'], { ...own, ...pool }]),
    ...routes.map(({ backends = [] }, i): [Path, GivenPool] => [['routes', i, 'backends'], { ...own, backends }]),
  ]
  return all.flatMap(([path, pool]) =>
    (pool.backends ?? []).map((target, i): [Path, Target, GivenPool] => [[...path, i], target, pool]),
  )
}
