import type { Address } from './config.ts'
import type { Given } from './given.ts'
import type { Settings } from './settings.ts'

const HTTPS_PORT = 443
const NOT_EVERY = "expected every request to be read, got requests 'first'"
/** Settings of the listeners with TLS. */
const OF_TLS = ['tlsMinVersion', 'alpn', 'tlsClientCa'] as const

/** The listeners, each with or without TLS. If none is marked, certificates are for all of them. */
export function listenersOf({ listen = [{ port: 8080 }], tls = [] }: Settings): Address[] {
  const isMarked = listen.some((address) => address.tls)
  const isForAll = tls.length > 0 && !isMarked
  return listen.map(({ tls: own = isForAll, ...address }) => ({ ...address, ...(own && { tls: own }) }))
}

/** The port that redirects to HTTPS name: that of the first listener with TLS, unless it is given. Undefined: none. */
export function redirectPort(settings: Settings): number | undefined {
  const { redirectHttps } = settings
  if (redirectHttps !== true) return redirectHttps || undefined
  const secure = listenersOf(settings).find((address) => address.tls)
  return (secure && 'port' in secure && secure.port) || HTTPS_PORT
}

/** Mistakes that concern several settings: listeners, certificates, and redirects to HTTPS. */
export function* listenMistakes(given: Given): Generator<string> {
  const { settings, nameOf, placeOf } = given
  const { listen, tls } = settings
  if (listen?.length === 0) return yield `${placeOf('listen')}: expected one or more addresses, got an empty list`
  if (tls?.length && !listenersOf(settings).some((address) => address.tls)) {
    yield `${nameOf(['tls', 0, 'cert'])}: has no effect without a listener with TLS`
  }
  for (const [i, address] of tls?.length ? [] : (listen ?? []).entries()) {
    const without = given.line.listen ? '--tls-cert and --tls-key' : 'tls'
    if (address.tls) yield `${nameOf(['listen', i, 'tls'])}: has no effect without ${without}`
  }
  for (const key of tls?.length ? [] : OF_TLS) {
    const without = given.line[key] === undefined ? 'tls' : '--tls-cert and --tls-key'
    if (settings[key] !== undefined) yield `${placeOf(key)}: has no effect without ${without}`
  }
  if (settings.redirectHttps) yield* redirectMistakes(given)
  if (settings.tlsClientCa !== undefined) yield* clientCaMistakes(given)
}

/** A request that is not read could bring any Client-Cert. */
function* clientCaMistakes({ settings: { requests, http2 }, placeOf }: Given): Generator<string> {
  const place = placeOf('tlsClientCa')
  if (requests === 'first') yield `${place}: ${NOT_EVERY}`
  if (http2 === 'pass') yield `${place}: expected HTTP/2 to be refused, got http2 'pass'`
}

function* redirectMistakes({ settings, placeOf }: Given): Generator<string> {
  const { redirectHttps, requests, trust } = settings
  const listeners = listenersOf(settings)
  const place = placeOf('redirectHttps')
  if (listeners.every((address) => address.tls)) yield `${place}: has no effect if all listeners speak TLS`
  else if (redirectHttps === true && !trust?.length && !listeners.some((address) => address.tls)) {
    yield `${place}: expected a listener with TLS, a port, or a trusted proxy that speaks TLS, got none`
  }
  // Later requests of a connection would pass.
  if (requests === 'first') yield `${place}: ${NOT_EVERY}`
}
