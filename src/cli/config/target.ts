import { isIP, isIPv4, isIPv6 } from 'node:net'
import { LONGEST_MS } from '../../validate.ts'
import { show, unknownName } from './words.ts'

/** An object as in a config file. settings.ts validates its values, for the file and the command line. */
export type Raw = Record<string, unknown>

/** Text that breaks the syntax of the command line. `path` names the part of it that is wrong. */
export class SyntaxMistake extends Error {
  readonly path: readonly string[]

  constructor(message: string, ...path: string[]) {
    super(message)
    this.path = path
  }
}

export const ADDRESS_FORMS = 'PORT, HOST:PORT, [IPV6]:PORT, unix:PATH or fd:NAME'
export const TARGET_FORMS = 'PORT, HOST:PORT, [IPV6]:PORT, http(s)://HOST, unix:PATH, dns:NAME:PORT or srv:NAME'
export const ROUTE_FORMS = '[HOST][/PATH]=TARGET,TARGET'
export const ADMIN_FORMS = '[HOST:]PORT'
export const HEALTH_FORMS = 'tcp or a path such as /healthz'
export const EJECT_FORMS = 'a number of failures'
export const QUEUE_FORMS = 'a time such as 5s'
export const RATE_FORMS = 'a rate such as 100/s, 600/m or 1000/h'

/** The options of a target, and whether each has a value. */
const TARGET_OPTIONS = {
  weight: true,
  backup: false,
  id: true,
  'max-connections': true,
  tls: 'maybe',
  'send-proxy': 'maybe',
  host: true,
  protocol: true,
} as const
const LISTEN_OPTIONS = { mode: true, group: true, tls: false } as const
const QUEUE_OPTIONS = { size: true } as const
const RATE_OPTIONS = { burst: true } as const
const EJECT_OPTIONS = { min: true, max: true, status: true } as const
const HEALTH_OPTIONS = {
  interval: true,
  timeout: true,
  rise: true,
  fall: true,
  status: true,
  host: true,
  port: true,
  fast: true,
  'drain-status': true,
} as const

/** 'unix:/run/x.sock,mode=660' → { path: '/run/x.sock', mode: '660' }. @throws {SyntaxMistake} */
export function splitListen(text: string): Raw {
  const [address = '', ...options] = text.split(',')
  const place = address.startsWith('fd:') ? { fd: address.slice(3) } : splitAddress(address, ADDRESS_FORMS)
  return { ...place, ...splitOptions(options, LISTEN_OPTIONS) }
}

/** 'host:3001' → { host: 'host', port: '3001' }. @throws {SyntaxMistake} */
function splitAddress(text: string, expected: string): Raw {
  if (/^\d+$/.test(text)) return { port: text }
  if (text.startsWith('unix:')) return { path: text.slice(5) }
  const [, bracketed, host = bracketed, port] = /^(?:\[([^[\]]*)\]|([^:[\]]*)):(\w*)$/.exec(text) ?? []
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed))) throw noAddress(text, expected)
  return { host, port }
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, ws: 80, https: 443, wss: 443 }

/** Where the text is a URL, the message names the address in it. */
function noAddress(text: string, expected: string): SyntaxMistake {
  const [, scheme = '', authority = '', rest = ''] = /^(?:([a-z][a-z\d+.-]*):\/\/)?([^/?#]*)(.*)$/is.exec(text) ?? []
  const [, host, port = DEFAULT_PORTS[scheme.toLowerCase()]] =
    /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d+))?$/i.exec(authority) ?? []
  if ((scheme === '' && rest === '') || host === undefined || port === undefined) {
    return new SyntaxMistake(`expected ${expected}, got ${show(text)}`)
  }
  const overTls = expected === TARGET_FORMS && DEFAULT_PORTS[scheme.toLowerCase()] === 443 ? ',tls' : ''
  return new SyntaxMistake(`expected an address, got ${show(text)} (did you mean ${host}:${port}${overTls}?)`)
}

/** '3001,weight=2' → { port: '3001', weight: '2' }. @throws {SyntaxMistake} */
export function splitTarget(text: string): Raw {
  const [address = '', ...options] = text.split(',')
  // The address has a host too.
  const { host: hostHeader, ...others } = splitOptions(options, TARGET_OPTIONS)
  return { ...splitPlace(address), ...others, ...(hostHeader !== undefined && { hostHeader }) }
}

function splitPlace(text: string): Raw {
  const [, scheme, authority = ''] = /^(https?):\/\/([^/?#@]+)\/?$/i.exec(text) ?? []
  if (scheme !== undefined) return splitUrl(scheme.toLowerCase(), authority)
  if (text.startsWith('srv:')) return { srv: text.slice(4) }
  if (!text.startsWith('dns:')) return splitAddress(text, TARGET_FORMS)
  const [, dns, port] = /^dns:([^:]*):(\w*)$/.exec(text) ?? []
  if (dns === undefined) throw new SyntaxMistake(`expected ${TARGET_FORMS}, got ${show(text)}`)
  return { dns, port }
}

/** A URL names the port by its scheme, and TLS. It has no path: routes change paths. */
function splitUrl(scheme: string, authority: string): Raw {
  const hasPort = /:\w*$/.test(authority.replace(/^\[[^\]]*\]/, ''))
  const address = splitAddress(hasPort ? authority : `${authority}:${DEFAULT_PORTS[scheme]}`, TARGET_FORMS)
  return scheme === 'https' ? { ...address, tls: true } : address
}

/**
 * 'example.com/static=3001,3002,weight=2' → { host: 'example.com', path: '/static', backends: ['3001', '3002,weight=2'] }
 * @throws {SyntaxMistake}
 */
export function splitRoute(text: string): Raw {
  const [, host, path, list = ''] = /^([^/=]*)(\/[^=]*)?=(.*)$/s.exec(text) ?? []
  if (host === undefined || (host === '' && path === undefined)) {
    throw new SyntaxMistake(`expected ${ROUTE_FORMS}, got ${show(text)}`)
  }
  const backends: string[] = []
  for (const part of list.split(',')) {
    const isOption = Object.hasOwn(TARGET_OPTIONS, part.replace(/=.*/s, ''))
    if (isOption && backends.length > 0) backends.push(`${backends.pop()},${part}`)
    else backends.push(part)
  }
  return { ...(host && { host }), ...(path && { path }), backends }
}

/** Like splitAddress, but refuses 'unix:'. @throws {SyntaxMistake} */
export function splitAdmin(text: string): Raw {
  const raw = splitAddress(text, ADMIN_FORMS)
  if ('path' in raw) throw new SyntaxMistake(`expected ${ADMIN_FORMS}, got ${show(text)}`)
  return raw
}

/** '/healthz,interval=2s' → { path: '/healthz', interval: '2s' }. @throws {SyntaxMistake} */
export function splitHealth(text: string): Raw {
  const [type = '', ...options] = text.split(',')
  if (type !== 'tcp' && !type.startsWith('/')) throw new SyntaxMistake(`expected ${HEALTH_FORMS}, got ${show(type)}`)
  const { fast, ...rest } = splitOptions(options, HEALTH_OPTIONS)
  return { ...(type === 'tcp' ? { type } : { path: type }), ...rest, ...(fast !== undefined && { fastInterval: fast }) }
}

/** '5s,size=100' → { timeout: '5s', size: '100' }. @throws {SyntaxMistake} */
export function splitQueue(text: string): Raw {
  const [timeout = '', ...options] = text.split(',')
  return { timeout, ...splitOptions(options, QUEUE_OPTIONS) }
}

/** '5,min=10s' → { failures: '5', min: '10s' }. @throws {SyntaxMistake} */
export function splitEject(text: string): Raw {
  const [failures = '', ...options] = text.split(',')
  return { failures, ...splitOptions(options, EJECT_OPTIONS) }
}

/** '100/s,burst=200' → { limit: '100/s', burst: '200' }. @throws {SyntaxMistake} */
export function splitRate(text: string): Raw {
  const [limit = '', ...options] = text.split(',')
  return { limit, ...splitOptions(options, RATE_OPTIONS) }
}

/** '600/m' → { requests: 600, per: 60_000 }. Undefined if it is not a rate. */
export function parseRate(value: unknown): { requests: number; per: number } | undefined {
  const [, requests, unit = ''] = typeof value === 'string' ? (/^(\d{1,7})\/(s|m|h)$/.exec(value) ?? []) : []
  return Number(requests) > 0 ? { requests: Number(requests), per: MS_PER_UNIT[unit]! } : undefined
}

function splitOptions(options: readonly string[], known: Readonly<Record<string, boolean | 'maybe'>>): Raw {
  const raw: Raw = {}
  for (const option of options) {
    const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(option) ?? []
    const hasValue = Object.hasOwn(known, name) ? known[name] : undefined
    if (hasValue === undefined) throw new SyntaxMistake(unknownName(name, Object.keys(known)), name || show(name))
    const key = toCamelCase(name)
    if (Object.hasOwn(raw, key)) throw new SyntaxMistake('appears twice', key)
    if (hasValue === true && !value) throw new SyntaxMistake(`expected ${name}=VALUE, got no value`, key)
    if (hasValue === false && value !== undefined) throw new SyntaxMistake(`expected no value, got ${show(value)}`, key)
    raw[key] = value ?? true
  }
  return raw
}

export function toCamelCase(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** Options of the command line as a file calls them. */
export function inFile(options: string): string {
  return options.replaceAll(/--([\w-]+)/g, (_, name: string) => toCamelCase(name))
}

export function toKebabCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** An integer, as a number or as its digits. Undefined if it is not one. */
export function parseInteger(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  return Number.isSafeInteger(number) ? (number as number) : undefined
}

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** A time in whole ms: a number, or text such as '500', '500ms', '1.5s', '5m' or '1h'. Undefined if it is not one. */
export function parseDuration(value: unknown): number | undefined {
  const [, amount = '', unit = 'ms'] =
    typeof value === 'string' ? (/^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(value) ?? []) : []
  const exact = amount ? Number(amount) * MS_PER_UNIT[unit]! : value
  if (typeof exact !== 'number') return undefined
  const ms = Math.round(exact)
  // As a double, 0.07 s is not quite 70 ms. 0.0001 s must not become 0, which means 'no limit'.
  return Math.abs(exact - ms) < 1e-6 && ms >= 0 && ms <= LONGEST_MS ? ms : undefined
}

/** Whether a value is a host name or an IP address, IPv6 without brackets. */
export function isHost(value: unknown): value is string {
  return typeof value === 'string' && (isIP(value) !== 0 || isName(value))
}

/** Whether a value is a DNS name: labels of letters, digits, '-' and '_'. Resolvers read a last label of digits as an address. */
export function isName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= 253 &&
    /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i.test(value) &&
    !/(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/i.test(value)
  )
}

/** Whether `dns.setServers` accepts a value: '10.0.0.2', '10.0.0.2:53', '::1' or '[::1]:53'. */
export function isDnsServer(value: unknown): value is string {
  if (typeof value !== 'string') return false
  const [, bracketed, plain, port] = /^(?:\[([^\]%]*)\]|([^:]*)):(\d{1,5})$/.exec(value) ?? []
  if (port === undefined) return isIP(value) !== 0 && !value.includes('%')
  return Number(port) > 0 && Number(port) <= 65_535 && (isIPv6(bracketed ?? '') || isIPv4(plain ?? ''))
}
