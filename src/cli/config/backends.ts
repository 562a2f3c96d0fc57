import {
  type EjectOptions,
  type HealthOptions,
  isKey,
  type QueueOptions,
  validateBalancer,
} from '../../balancer/index.ts'
import { HOST_HEADER, hostPort } from '../../proxy/index.ts'
import { StickyCookie } from '../../sticky/index.ts'
import { integer } from '../../validate.ts'
import type { Config, Pem, Place, StickySettings, Target } from './config.ts'
import * as is from './read.ts'
import * as syntax from './target.ts'

export const HOST = is.text('a host name or an IP address', syntax.isHost)
const NAME = is.text("a DNS name such as 'app.internal'", syntax.isName)
const ID = is.text('a text of 1 to 200 characters', (value) => /^[^\p{Cc}\p{Cs}]{1,200}$/u.test(value))
const PORT = integer(1, 65_535)
export const CONNECTIONS = is.from(1, 2 ** 31 - 1)

export const PEM = 'a path, or PEM as text or bytes'
const isPemText = (value: unknown) => typeof value === 'string' && value.includes('-----BEGIN')
export const pem: is.Reader<Pem> = (value, place) =>
  isPemText(value) || value instanceof Uint8Array ? (value as Pem) : PEM_PATH(value, place)
const PEM_PATH: is.Reader<string> = (value, place) =>
  typeof value === 'string' && value !== '' && !value.includes('\0')
    ? place.resolve(value)
    : place.report(is.mistake(PEM, value))

const TLS_OPTIONS = is.map(
  is.object(
    { servername: HOST, rejectUnauthorized: is.yesOrNo, ca: pem, cert: pem, key: pem },
    "true, false, 'insecure' or an object",
  ),
  (options) => (Object.keys(options).length === 0 ? true : options),
)

/** TLS to a backend. Its certificate is checked, unless 'insecure' or `rejectUnauthorized: false` turns that off. */
const TLS: typeof TLS_OPTIONS = (value, place) => {
  if (value === 'insecure') return { rejectUnauthorized: false }
  return value === false ? undefined : TLS_OPTIONS(value === true ? {} : value, place)
}

/** The forms of an address or a backend, each with the options that it may have. The first that is there counts. */
const FORMS = { srv: [], dns: ['port'], fd: [], path: ['id', 'mode', 'group'], port: ['host', 'id'] } as const
const FORM_OPTIONS = ['port', 'host', 'path', 'dns', 'srv', 'fd', 'id', 'mode', 'group'] as const

/** Checks that an object has one of the forms; `expected` names them. */
export function checkForm(expected: string) {
  return (raw: syntax.Raw, place: is.Place): void => {
    const form = (Object.keys(FORMS) as (keyof typeof FORMS)[]).find((name) => raw[name] !== undefined)
    if (form === undefined) return place.report(`expected ${expected}, got none`)
    const allowed: readonly string[] = FORMS[form]
    for (const name of FORM_OPTIONS) {
      if (name === form || raw[name] === undefined || allowed.includes(name)) continue
      place.report(`has no effect with ${form}`, name)
    }
    if (form === 'dns' && raw.port === undefined) place.report(`expected ${PORT.expected}, got none`, 'port')
  }
}

const BACKEND = is.object(
  {
    port: is.whole(PORT),
    host: HOST,
    path: is.path,
    dns: NAME,
    srv: NAME,
    id: ID,
    weight: is.from(0, 65_535),
    maxConnections: CONNECTIONS,
    backup: is.yesOrNo,
    tls: TLS,
    sendProxy: is.leaf<1 | 2>({ ...integer(1, 2), expected: '1 or 2' }, (value) =>
      value === true ? 1 : syntax.parseInteger(value),
    ),
    hostHeader: is.leaf<string>(HOST_HEADER),
    protocol: is.oneOf('h1', 'h2', 'both'),
  },
  `${syntax.TARGET_FORMS}, or an object`,
  checkForm('a port, path, dns or srv'),
) as is.Reader<Target>

/** What the balancer calls a backend or a DNS name; no two may share it. */
export function idOf(target: Target): string {
  if ('id' in target && target.id !== undefined) return target.id
  if ('srv' in target) return `srv:${target.srv}`
  if ('dns' in target) return `dns:${target.dns}:${target.port}`
  return addressText('path' in target ? target : { port: target.port, host: target.host ?? 'localhost' })
}

/** '127.0.0.1:8080', '*:8080', 'unix:/run/x.sock', 'fd:web' */
export function addressText(address: Place): string {
  if ('fd' in address) return `fd:${address.fd}`
  return 'path' in address ? `unix:${address.path}` : hostPort(address.host ?? '*', address.port)
}

const COOKIE = is.map(
  is.object(
    { name: is.any, insert: is.any, beside: is.any, indirect: is.any, attributes: is.any },
    "a cookie's name, true, false or an object",
  ),
  (given) => ({ name: 'sticky', insert: given.beside === undefined, indirect: true, ...given }) as StickySettings,
)
const STICKY = is.judged('cookie', COOKIE, (cookie) => new StickyCookie(cookie))

const HEALTH = is.map(
  is.object(
    {
      type: is.any,
      path: is.any,
      host: is.any,
      port: is.whole(integer(0, 65_535)),
      headers: is.any,
      status: is.any,
      drainStatus: is.any,
      interval: is.time(),
      fastInterval: is.time(),
      timeout: is.time(),
      rise: is.whole(integer(0, 1000)),
      fall: is.whole(integer(0, 1000)),
    },
    `${syntax.HEALTH_FORMS}, or an object`,
  ),
  (health) => health as HealthOptions,
)

const QUEUE = is.map(
  is.object({ timeout: is.time(), size: is.from(1, 1_000_000) }, `${syntax.QUEUE_FORMS}, or an object`),
  (queue) => queue as QueueOptions,
)

const EJECT = is.map(
  is.object(
    { failures: is.from(1, 1_000_000), min: is.time(), max: is.time(), status: is.any },
    `${syntax.EJECT_FORMS}, or an object`,
  ),
  (eject) => eject as EjectOptions,
)

/** How clients are spread over backends: for the whole service, or for one pool. */
export const BALANCING = {
  backends: is.listOf(is.orText(syntax.splitTarget, BACKEND), idOf),
  sticky: ((value, place) => {
    if (value === false) return undefined
    return STICKY(value === true ? {} : typeof value === 'string' ? { name: value } : value, place)
  }) as is.Reader<StickySettings>,
  algorithm: is.oneOf('round-robin', 'least-connections', 'random-two', 'hash'),
  key: is.text<Config['key']>('client, path, header:NAME, cookie:NAME or query:NAME', isKey),
  failover: is.oneOf('redispatch', 'persist'),
  queue: is.judged('queue', is.orText(syntax.splitQueue, QUEUE), (queue) => validateBalancer({ queue })),
  slowStart: is.judged('slowStart', is.time(), (slowStart) => validateBalancer({ slowStart })),
  retries: is.from(0, 10),
  eject: is.judged('eject', is.orText(syntax.splitEject, EJECT), (eject) => validateBalancer({ eject })),
  health: is.judged('health', is.orText(syntax.splitHealth, HEALTH), (health) => validateBalancer({ health })),
}
