// What the config in force says: pools, routes, listeners, and certificates with their expiry.
import { at, make } from './dom.js'
import { count, duration } from './format.js'
import { goTo } from './place.js'
import { tableOf } from './tables.js'

const DAY_MS = 86_400_000
const SOON_MS = 14 * DAY_MS
const USES = {
  listener: 'shown to clients',
  'client-ca': 'signs clients',
  backend: 'shown to a backend',
  'backend-ca': 'signs a backend',
}

/** 'expired', 'soon' or 'fine'. A certificate that cannot be read counts as expired. */
export function expiryOf({ notAfter }, now) {
  if (!notAfter || notAfter <= now) return 'expired'
  return notAfter - now < SOON_MS ? 'soon' : 'fine'
}

/** Fetches it. Undefined if badass does not answer. */
export async function fetchSetup() {
  try {
    const response = await fetch('api/setup', { signal: AbortSignal.timeout(4_000) })
    return response.ok ? await response.json() : undefined
  } catch {
    return undefined
  }
}

export class Setup {
  #shown = ''

  /** `now`: ms since 1970 by the server's clock. */
  show({ pools = [], routes = [], listeners = [], certificates = [] }, now) {
    // Ages in it change once a minute at most.
    const shown = JSON.stringify([pools, routes, listeners, certificates, Math.floor(now / 60_000)])
    if (shown === this.#shown) return
    this.#shown = shown
    fill('pools', poolTable(pools), pools)
    fill('routes', routeTable(routes), routes, 'No routes: every request goes to the pool default.')
    fill('listeners', listenerTable(listeners), listeners)
    fill('certificates', certificateTable(certificates, now), certificates, 'No certificates.')
  }
}

function fill(id, table, list, none = 'None.') {
  at(id).replaceChildren(list.length > 0 ? table : make('p', { className: 'empty', textContent: none }))
}

function poolTable(pools) {
  const option = (name) => (pool) => pool.options?.[name]
  return tableOf(
    'Pools',
    [
      ['Pool', ({ name }) => poolLink(name), 'strong'],
      ['Backends', ({ backends }) => count(backends), 'number'],
      ['Algorithm', ({ algorithm, key }) => (key ? `${algorithm} by ${textOf(key)}` : algorithm)],
      ['Sticky cookie', ({ sticky }) => textOf(sticky)],
      ['Health checks', ({ health }) => textOf(health)],
      ['Queue', option('queue')],
      ['Retries', option('retries')],
      ['Ejection', option('eject')],
      ['Slow start', option('slowStart')],
      ['Failover', option('failover')],
    ],
    pools,
  )
}

function poolLink(name) {
  const link = make('button', { type: 'button', className: 'link', textContent: name })
  link.onclick = () => goTo({ view: '', filter: name, graphs: `pool:${name}`, state: '' }, true)
  return link
}

const KNOWN = ['host', 'path', 'methods', 'method', 'header', 'headers', 'pool', 'redirect', 'respond']

function routeTable(routes) {
  return tableOf(
    'Routes, in the order in which they are tried',
    [
      ['#', (_, i) => String(i + 1), 'number'],
      ['Host', ({ host }) => host ?? 'any'],
      ['Path', ({ path }) => path ?? 'any'],
      ['Method', ({ methods, method }) => textOf(methods ?? method)],
      ['Header', ({ headers, header }) => textOf(headers ?? header)],
      ['Goes to', targetOf, 'strong'],
      [
        'With',
        (route) =>
          Object.entries(route)
            .filter(([name]) => !KNOWN.includes(name))
            .map(([name, value]) => `${name}: ${textOf(value)}`)
            .join(', '),
      ],
    ],
    routes,
  )
}

function targetOf({ pool, redirect, respond }) {
  if (pool !== undefined) return poolLink(pool)
  return redirect ? `redirect to ${textOf(redirect)}` : `answer ${textOf(respond)}`
}

function listenerTable(listeners) {
  return tableOf(
    'Listeners',
    [
      ['Address', ({ url }) => url, 'strong'],
      ['TLS', ({ tls, alpn = [] }) => (tls ? ['yes', alpn.join(', ')].filter(Boolean).join(' · ') : 'no')],
      ['PROXY protocol', ({ proxyProtocol }) => (proxyProtocol ? 'expected' : 'no')],
    ],
    listeners,
  )
}

function certificateTable(certificates, now) {
  return tableOf(
    'Certificates',
    [
      ['Names', ({ names = [] }) => names.join(', '), 'strong'],
      ['Expires', (one) => expiryCell(one, now)],
      ['Use', ({ use }) => USES[use] ?? use],
      ['Issuer', ({ issuer }) => issuer?.replaceAll('\n', ', ')],
      ['File', ({ file }) => file, 'break'],
      [
        'Problem',
        ({ error }) => error && make('span', { className: 'badge', data: { state: 'down' }, textContent: error }),
      ],
    ],
    certificates,
  )
}

function expiryCell(certificate, now) {
  const { notAfter } = certificate
  const expiry = expiryOf(certificate, now)
  const state = { expired: 'down', soon: 'draining', fine: 'plain' }[expiry]
  const cell = make('span', { className: 'badge', data: { state }, textContent: expiryText(certificate, now) })
  if (notAfter) cell.title = new Date(notAfter).toUTCString()
  return cell
}

/** Such as 'in 9 d', or 'expired 2 d ago'. */
export function expiryText({ notAfter, earliest }, now) {
  if (!notAfter) return 'unknown'
  const seconds = (notAfter - now) / 1000
  const text = seconds > 0 ? `in ${duration(seconds)}` : `expired ${duration(-seconds)} ago`
  return earliest === undefined ? text : `${text} (${earliest})`
}

function textOf(value) {
  if (Array.isArray(value)) return value.map(textOf).join(', ')
  if (value === undefined || value === null || value === false) return undefined
  if (value === true) return 'yes'
  if (typeof value !== 'object') return String(value)
  return Object.entries(value)
    .map(([name, one]) => `${name}: ${textOf(one)}`)
    .join(', ')
}
