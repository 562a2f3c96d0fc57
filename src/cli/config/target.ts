import { isIP, isIPv4, isIPv6 } from 'node:net'
import { LONGEST_MS } from '../../proxy/index.ts'
import { show, unknownName } from './words.ts'

/**
 * The command line's syntax: text in, and out come the objects that a config file may have in its place, their values
 * still text where the line has text. What the values may be is said once, in schema.ts, for both.
 */
export type Raw = Record<string, unknown>

/** A text that is not of the syntax; `path` is the part of it that is meant. */
export class SyntaxMistake extends Error {
  readonly path: readonly string[]

  constructor(message: string, ...path: string[]) {
    super(message)
    this.path = path
  }
}

export const ADDRESS_TAKES = 'PORT, HOST:PORT, [IPV6]:PORT or unix:PATH'
export const TARGET_TAKES = 'PORT, HOST:PORT, [IPV6]:PORT, unix:PATH, dns:NAME:PORT or srv:NAME'
export const HEALTH_TAKES = 'tcp or a path such as /healthz'

/** The options of a target, as keys of the object and whether they take a value. */
const TARGET_OPTIONS = {
  weight: true,
  backup: false,
  id: true,
  'max-connections': true,
  tls: 'maybe',
  'send-proxy': 'maybe',
} as const
const HEALTH_OPTIONS = { interval: true, timeout: true, rise: true, fall: true, status: true, host: true } as const

/** 'host:3001' → { host: 'host', port: '3001' }. @throws {SyntaxMistake} */
export function splitAddress(text: string, takes = ADDRESS_TAKES): Raw {
  if (/^\d+$/.test(text)) return { port: text }
  if (text.startsWith('unix:')) return { path: text.slice(5) }
  const [, bracketed, host = bracketed, port] = /^(?:\[([^[\]]*)\]|([^:[\]]*)):(\w*)$/.exec(text) ?? []
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw new SyntaxMistake(`got ${show(text)}; takes ${takes}`)
  }
  return { host, port }
}

/** '3001,weight=2' → { port: '3001', weight: '2' }. @throws {SyntaxMistake} */
export function splitTarget(text: string): Raw {
  const [address = '', ...options] = text.split(',')
  return { ...splitPlace(address), ...splitOptions(options, TARGET_OPTIONS) }
}

function splitPlace(text: string): Raw {
  if (text.startsWith('srv:')) return { srv: text.slice(4) }
  if (!text.startsWith('dns:')) return splitAddress(text, TARGET_TAKES)
  const [, dns, port] = /^dns:([^:]*):(\w*)$/.exec(text) ?? []
  if (dns === undefined) throw new SyntaxMistake(`got ${show(text)}; takes ${TARGET_TAKES}`)
  return { dns, port }
}

/** '/healthz,interval=2s' → { path: '/healthz', interval: '2s' }. @throws {SyntaxMistake} */
export function splitHealth(text: string): Raw {
  const [type = '', ...options] = text.split(',')
  if (type !== 'tcp' && !type.startsWith('/')) throw new SyntaxMistake(`got ${show(type)}; takes ${HEALTH_TAKES}`)
  return { ...(type === 'tcp' ? { type } : { path: type }), ...splitOptions(options, HEALTH_OPTIONS) }
}

function splitOptions(options: readonly string[], known: Readonly<Record<string, boolean | 'maybe'>>): Raw {
  const raw: Raw = {}
  for (const option of options) {
    const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(option) ?? []
    const takesValue = Object.hasOwn(known, name) ? known[name] : undefined
    if (takesValue === undefined) throw new SyntaxMistake(unknownName(name, Object.keys(known)), name || show(name))
    const key = toCamelCase(name)
    if (Object.hasOwn(raw, key)) throw new SyntaxMistake('is given twice; takes one', key)
    if (takesValue === true && !value) throw new SyntaxMistake(`got no value; takes ${name}=VALUE`, key)
    if (takesValue === false && value !== undefined) throw new SyntaxMistake(`got ${show(value)}; takes no value`, key)
    raw[key] = value ?? true
  }
  return raw
}

export function toCamelCase(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

export function toKebabCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** An integer, or a text of digits. */
export function parseInteger(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  return Number.isSafeInteger(number) ? (number as number) : undefined
}

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** A time in whole ms: a number of them, or a text such as '500', '500ms', '1.5s', '5m' or '1h'. */
export function parseDuration(value: unknown): number | undefined {
  const [, amount = '', unit = 'ms'] =
    typeof value === 'string' ? (/^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(value) ?? []) : []
  const exact = amount ? Number(amount) * MS_PER_UNIT[unit]! : value
  if (typeof exact !== 'number') return undefined
  const ms = Math.round(exact)
  // 0.07 s is not quite 70 ms to a double; 0.0001 s must not become 0, which is 'none'.
  return Math.abs(exact - ms) < 1e-6 && ms >= 0 && ms <= LONGEST_MS ? ms : undefined
}

/** A name or an address to connect to or to listen on; an IPv6 address without brackets. */
export function isHost(value: unknown): value is string {
  return typeof value === 'string' && (isIP(value) !== 0 || isName(value))
}

/** A name of the DNS: labels of letters, digits, '-' and '_'. What ends in a number would be an address to a resolver. */
export function isName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= 253 &&
    /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i.test(value) &&
    !/(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/i.test(value)
  )
}

/** As `dns.setServers` takes it: '10.0.0.2', '10.0.0.2:53', '::1' or '[::1]:53'. */
export function isDnsServer(value: unknown): value is string {
  if (typeof value !== 'string') return false
  const [, bracketed, plain, port] = /^(?:\[([^\]%]*)\]|([^:]*)):(\d{1,5})$/.exec(value) ?? []
  if (port === undefined) return isIP(value) !== 0 && !value.includes('%')
  return Number(port) > 0 && Number(port) <= 65_535 && (isIPv6(bracketed ?? '') || isIPv4(plain ?? ''))
}
