import { inspect } from 'node:util'
import { parseHead } from '../../parser/index.ts'
import { checkBy, integer, type Rule } from '../../proxy/index.ts'

export interface HealthOptions {
  /** `tcp`: a connection is enough, TLS included. `http`: GET. Default `http` where there is a path, else `tcp`. */
  type?: 'tcp' | 'http' | undefined
  /** What to GET. Default '/'. */
  path?: string | undefined
  /** The Host field of the request. Default: the backend's address. */
  host?: string | undefined
  /** Those that are right: 204, [200, 404], '200-399', '200-299,401'. Default '200-399'. */
  status?: number | readonly number[] | string | undefined
  /** ms from the start of one check to the next, give or take a tenth. Default 2000. */
  interval?: number | undefined
  /** ms for all of a check. Default 1000. */
  timeout?: number | undefined
  /** So many checks in a row must pass for a backend that is down to be up. Default 2. */
  rise?: number | undefined
  /** So many checks in a row must fail for a backend that is up to be down; the very first by itself. Default 3. */
  fall?: number | undefined
}

type Ranges = readonly (readonly [least: number, most: number])[]

/** Options with every default in its place. */
export interface HealthSettings {
  readonly type: 'tcp' | 'http'
  readonly path: string
  readonly host: string | undefined
  readonly status: Ranges
  readonly interval: number
  readonly timeout: number
  readonly rise: number
  readonly fall: number
}

const LONGEST_MS = 24 * 60 * 60 * 1000
const ms = (byDefault: number) => integer(1, LONGEST_MS, byDefault, ' (ms)')

const HEALTH_RULES: Readonly<Record<keyof HealthOptions, Rule>> = {
  type: {
    takes: "'tcp' or 'http'",
    isRight: (value) => value === undefined || value === 'tcp' || value === 'http',
  },
  path: {
    takes: "a path, as in '/healthz', percent-encoded and without a fragment",
    isRight: (value) => value === undefined || (typeof value === 'string' && canBeSent(value, 'a')),
  },
  host: {
    takes: "a host with an optional port, as in 'app.test' or '[::1]:3000'",
    isRight: (value) => value === undefined || (typeof value === 'string' && value !== '' && canBeSent('/', value)),
  },
  status: {
    takes: "a status from 200 to 599, a list of them, or ranges, as in '200-399' or '200-299,404'",
    isRight: (value) => readStatus(value) !== undefined,
    byDefault: '200-399',
  },
  interval: ms(2000),
  timeout: ms(1000),
  rise: integer(1, 1000, 2),
  fall: integer(1, 1000, 3),
}

/** What only an HTTP check has. */
const OF_HTTP = ['path', 'host', 'status'] as const

/** Fills in the defaults. @throws {TypeError} on an option that is unknown or wrong: it names the option, what it got and what it takes */
export function checkHealth(options: HealthOptions): HealthSettings {
  const { type: given, path, ...rest } = checkBy('health', HEALTH_RULES, options) as HealthOptions
  const type = given ?? (path === undefined ? 'tcp' : 'http')
  const idle = OF_HTTP.find((name) => options[name] !== undefined)
  if (type === 'tcp' && idle) {
    const takes = given ? "nothing with the type 'tcp'" : "nothing without a path, or the type 'http'"
    throw new TypeError(`health.${idle}: got ${inspect(options[idle])}; takes ${takes}`)
  }
  const status = readStatus(rest.status)!
  return { ...rest, type, path: path ?? '/', status } as HealthSettings
}

export function requestOf(path: string, host: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: badass-health\r\nConnection: close\r\n\r\n`
}

/** Whether the request says these, and nothing but: the parser that keeps others' requests clean judges ours too. */
function canBeSent(path: string, host: string): boolean {
  if (!/^\/[!-~]*$/.test(path)) return false
  try {
    const head = parseHead(Buffer.from(requestOf(path, host)), 'request')
    return head.target === path && head.get('host') === host && [...head].length === 3
  } catch {
    return false
  }
}

function readStatus(value: unknown): Ranges | undefined {
  // Spread, as every() does not look at the holes of an array.
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
