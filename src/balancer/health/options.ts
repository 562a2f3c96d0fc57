import { parseHead } from '../../parser/index.ts'
import { show } from '../../show.ts'
import {
  anObject,
  integer,
  milliseconds,
  oneOf,
  optional,
  type Rule,
  type Rules,
  validateOptions,
} from '../../validate.ts'

export interface HealthOptions {
  /** `tcp`: connect, TLS handshake included. `http`: GET. Default: `http` if there is a path, else `tcp`. */
  type?: 'tcp' | 'http' | undefined
  /** Path to GET. Default '/'. */
  path?: string | undefined
  /** Host field of the request. Default: the backend's `hostHeader`, or its address. */
  host?: string | undefined
  /** Port to check in place of the backend's, without its `tls` and `sendProxy`. For a Unix socket: of localhost. */
  port?: number | undefined
  /** More fields of the request. Host is `host`. */
  headers?: Readonly<Record<string, string>> | undefined
  /** Expected status: 204, [200, 404], '200-399' or '200-299,401'. Default '200-399'. */
  status?: number | readonly number[] | string | undefined
  /**
   * Status with which a check passes and says that the backend drains: it gets no new clients until a check passes with
   * another status. Same forms as `status`. Default: none.
   */
  drainStatus?: number | readonly number[] | string | undefined
  /** Time from the start of one check to the next (ms), ±10%. Default 2000. */
  interval?: number | undefined
  /** The same while a backend is between up and down: checks have failed or passed, but fewer than `fall` or `rise` (ms). */
  fastInterval?: number | undefined
  /** Time-out of a check (ms). Default 1000. */
  timeout?: number | undefined
  /** Consecutive passed checks before a backend that is down is up. Default 2. */
  rise?: number | undefined
  /** Consecutive failed checks before a backend that is up is down; the very first check counts alone. Default 3. */
  fall?: number | undefined
}

export type Ranges = readonly (readonly [least: number, most: number])[]

/** Validated options, defaults filled in. */
export interface HealthSettings {
  readonly type: 'tcp' | 'http'
  readonly path: string
  readonly host: string | undefined
  readonly port: number | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly status: Ranges
  readonly drainStatus: Ranges
  readonly interval: number
  readonly fastInterval: number
  readonly timeout: number
  readonly rise: number
  readonly fall: number
}

const ms = (defaultValue: number) => milliseconds(1, 24 * 60 * 60 * 1000, defaultValue)

const STATUS: Rule = {
  expected: "a status from 200 to 599, a list of them, or ranges, as in '200-399' or '200-299,404'",
  validate: (value) => readStatus(value) !== undefined,
}

const HEALTH_RULES: Rules<keyof HealthOptions> = {
  type: optional(oneOf('tcp', 'http')),
  path: {
    expected: "a path, as in '/healthz', percent-encoded and without a fragment",
    validate: (value) => value === undefined || (typeof value === 'string' && canBeSent(value, 'a')),
  },
  host: {
    expected: "a host with an optional port, as in 'app.test' or '[::1]:3000'",
    validate: (value) => value === undefined || (typeof value === 'string' && value !== '' && canBeSent('/', value)),
  },
  port: { ...integer(1, 65_535), validate: (value) => value === undefined || integer(1, 65_535).validate(value) },
  headers: {
    expected: 'an object of field names and values, without Host and fields of the connection or its framing',
    validate: (value) => value === undefined || canHaveFields(value),
    // Such as Authorization.
    isSecret: true,
  },
  status: { ...STATUS, default: '200-399' },
  drainStatus: optional(STATUS),
  interval: ms(2000),
  fastInterval: optional(ms(2000)),
  timeout: ms(1000),
  rise: integer(1, 1000, 2),
  fall: integer(1, 1000, 3),
}

/** Options of HTTP checks only. */
const OF_HTTP = ['path', 'host', 'headers', 'status', 'drainStatus'] as const

/** Fields that the check writes itself, or that would frame the request or switch its protocol. */
const RESERVED = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'expect',
  'trailer',
  'te',
])

/**
 * Validates options and fills in the defaults.
 * @throws {TypeError} for an unknown or invalid option
 */
export function validateHealth(options: HealthOptions): HealthSettings {
  const { type: given, path, headers = {}, ...rest } = validateOptions('health', HEALTH_RULES, options) as HealthOptions
  const type = given ?? (path === undefined ? 'tcp' : 'http')
  const idle = OF_HTTP.find((name) => options[name] !== undefined)
  if (type === 'tcp' && idle) {
    const expected = given ? "nothing with the type 'tcp'" : "nothing without a path, or the type 'http'"
    const got = idle === 'headers' ? 'some' : show(options[idle])
    throw new TypeError(`health.${idle}: expected ${expected}, got ${got}`)
  }
  const status = readStatus(rest.status)!
  const drainStatus = rest.drainStatus === undefined ? [] : readStatus(rest.drainStatus)!
  const fastInterval = rest.fastInterval ?? rest.interval
  // A copy: the caller may change its object later.
  return {
    ...rest,
    fastInterval,
    type,
    path: path ?? '/',
    headers: { ...headers },
    status,
    drainStatus,
  } as HealthSettings
}

export function requestOf(path: string, host: string, headers: Readonly<Record<string, string>> = {}): string {
  const own = Object.keys(headers).some((name) => name.toLowerCase() === 'user-agent')
  const fields = { Host: host, ...(!own && { 'User-Agent': 'badass-health' }), Connection: 'close', ...headers }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** Whether a request can carry these fields, according to our own parser. */
function canHaveFields(headers: unknown): boolean {
  if (!anObject.validate(headers)) return false
  const given = Object.entries(headers as object)
  if (given.some(([name, value]) => typeof value !== 'string' || RESERVED.has(name.toLowerCase()))) return false
  try {
    const head = parseHead(Buffer.from(requestOf('/', 'a', headers as Record<string, string>), 'latin1'), 'request')
    const sent = new Set([...head].map(([name, value]) => `${name}: ${value}`))
    return head.target === '/' && given.every(([name, value]) => sent.has(`${name}: ${value}`))
  } catch {
    return false
  }
}

/** Whether the request line and the Host field can carry these values, according to our own parser. */
function canBeSent(path: string, host: string): boolean {
  if (!/^\/[!-~]*$/.test(path)) return false
  try {
    const head = parseHead(Buffer.from(requestOf(path, host)), 'request')
    return head.target === path && head.get('host') === host && [...head].length === 3
  } catch {
    return false
  }
}

/** Undefined for anything but statuses from 200 to 599. */
export function readStatus(value: unknown): Ranges | undefined {
  // every() skips the holes of a sparse array; a spread copy has none.
  const parts = typeof value === 'string' ? value.split(',') : Array.isArray(value) ? [...value] : [value]
  if (parts.length === 0) return undefined
  const ranges = typeof value === 'string' ? parts.map(readRange) : parts.map((one) => [one, one] as const)
  return ranges.every(isRange) ? ranges : undefined
}

function readRange(text: string): readonly [number, number] | undefined {
  const match = /^ *(\d{3})(?:-(\d{3}))? *$/.exec(text)
  return match ? [Number(match[1]), Number(match[2] ?? match[1])] : undefined
}

function isRange(range: readonly [unknown, unknown] | undefined): range is readonly [number, number] {
  if (!range) return false
  const [least, most] = range as readonly [number, number]
  return Number.isInteger(least) && Number.isInteger(most) && 200 <= least && least <= most && most <= 599
}

export function isIn(ranges: Ranges, status: number): boolean {
  return ranges.some(([least, most]) => least <= status && status <= most)
}
