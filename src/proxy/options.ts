import type { Readable } from 'node:stream'
import { inspect } from 'node:util'
import { DEFAULT_LIMITS, type Head, type HeadLimits } from '../parser/index.ts'
import type { ProxyError } from './error.ts'
import { isNetwork, NETWORK_TAKES, Networks } from './networks.ts'
import type { Dest } from './upstream.ts'

/** Who is at the other end of an accepted connection: the peer, or the client that its PROXY header names. */
export interface ClientInfo {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly localPort: number | undefined
  /** Whether the connection came over TLS that this process ended. */
  readonly encrypted: boolean
}

type Maybe<T> = T | Promise<T>
// biome-ignore lint/suspicious/noConfusingVoidType: a hook that returns nothing is a hook
type Instead<D extends Dest> = D | Readable | undefined | null | void

export interface Hooks<D extends Dest = Dest> {
  /**
   * Says where the connection with this request head goes. What it writes to the head goes to the backend. Nothing, a
   * throw or a rejection makes a 503. No hook has a time-out: one that never settles holds its connection.
   */
  lookup(head: Head, client: ClientInfo): Maybe<D | undefined | null>
  /** May write to the first final response head before it goes to the client. A throw or a rejection makes a 502. */
  modify?: ((head: Head, dest: D) => Maybe<void>) | undefined
  /**
   * Says what becomes of a client when its backend could not be reached, or (with no `dest`) when lookup had none.
   * Nothing: the client is reset. A Readable: its bytes are the answer. A Dest: is tried next; no byte has been sent.
   * `head` is the request's, as lookup left it; what errback writes to it goes to the Dest that it returns.
   */
  errback?: ((error: ProxyError, dest: D | undefined, head: Head) => Maybe<Instead<D>>) | undefined
}

export interface Limits extends HeadLimits {
  /**
   * Every connection is to begin with a PROXY header, version 1 or 2, of one of these addresses, networks as in
   * '10.0.0.0/8', or 'unix' for the clients of Unix sockets; any other is reset. `client` is whom the header names.
   * Default: none is, and none is read.
   */
  proxyProtocol?: readonly string[] | undefined
  /** ms from accept to the end of the request head; then 408, or a reset where a PROXY header is late. 0: none. Default 30000. */
  headTimeout?: number
  /**
   * ms from the last byte sent to the backend to its response head (where that is not read, its first byte); then 504.
   * An interim head starts it anew. Default 0: none.
   */
  responseHeadTimeout?: number
  /** ms for the connection to one backend, TLS included; then 504, or errback. 0: none. Default 10000. */
  connectTimeout?: number
  /** ms without a byte either way, once a backend is reached; then both sides are reset. Default 0: none. */
  idleTimeout?: number
  /** ms without a byte once one side has ended, or from errback's Readable; then both sides are reset. 0: none. Default 60000. */
  halfCloseTimeout?: number
  /**
   * Take response heads that are not right to the letter, as `LenientScanner` does, and send the client a clean one:
   * of the first response of a connection, `modify` or not. Default false: such a head makes a 502 where there is a
   * `modify`, and goes through unread where there is none.
   */
  lenientResponses?: boolean
  /** Send small packets at once (TCP_NODELAY), on both sides. Default true. */
  noDelay?: boolean
  /** Have the kernel probe silent connections (SO_KEEPALIVE), on both sides, once they have lasted for seconds. Default true. */
  keepAlive?: boolean
  /** ms of silence before the first probe. 0: the kernel's own. Default 60000. */
  keepAliveInitialDelay?: number
}

export type ProxyOptions<D extends Dest = Dest> = Hooks<D> & Limits

/** Options with every default in its place. */
export type Settings<D extends Dest = Dest> = Hooks<D> &
  Required<Omit<Limits, 'proxyProtocol'>> & { proxyProtocol: Networks | undefined }

/** The largest delay that a Node timer takes. */
export const LONGEST_MS = 2 ** 31 - 1

/** What one option takes. */
export interface Rule {
  takes: string
  isRight(value: unknown): boolean
  byDefault?: unknown
  /** No error shows what it got. */
  isSecret?: boolean
}

const isFunction = (value: unknown) => typeof value === 'function'
export const optionalFunction: Rule = {
  takes: 'a function',
  isRight: (value) => value === undefined || value === null || isFunction(value),
}
export const integer = (least: number, most: number, byDefault: number, unit = ''): Rule => ({
  takes: `an integer from ${least} to ${most}${unit}`,
  isRight: (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
  byDefault,
})
const ms = (byDefault: number) => integer(0, LONGEST_MS, byDefault, ' (ms; 0 for none)')
export const flag = (byDefault: boolean): Rule => ({
  takes: 'true or false',
  isRight: (value) => typeof value === 'boolean',
  byDefault,
})

export const anObject: Rule = {
  takes: 'an object',
  isRight: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  byDefault: {},
}

export const OPTION_RULES: Readonly<Record<keyof ProxyOptions, Rule>> = {
  lookup: { takes: 'a function', isRight: isFunction },
  modify: optionalFunction,
  errback: optionalFunction,
  maxHeadBytes: integer(1, 2 ** 30, DEFAULT_LIMITS.maxHeadBytes, ' (bytes)'),
  maxFields: integer(1, 2 ** 20, DEFAULT_LIMITS.maxFields),
  headTimeout: ms(30_000),
  responseHeadTimeout: ms(0),
  connectTimeout: ms(10_000),
  idleTimeout: ms(0),
  halfCloseTimeout: ms(60_000),
  lenientResponses: flag(false),
  noDelay: flag(true),
  keepAlive: flag(true),
  keepAliveInitialDelay: ms(60_000),
  proxyProtocol: {
    takes: `a list of one or more, each ${NETWORK_TAKES}`,
    isRight: (value) =>
      value === undefined || (Array.isArray(value) && value.length > 0 && [...value].every(isNetwork)),
  },
}

/** Fills in the defaults. @throws {TypeError} on an option that is unknown or wrong: it names the option, what it got and what it takes */
export function checkOptions<D extends Dest>(options: ProxyOptions<D>): Settings<D> {
  const { proxyProtocol, ...checked } = checkBy('', OPTION_RULES, options) as unknown as Required<ProxyOptions<D>>
  return { ...checked, proxyProtocol: proxyProtocol && new Networks('proxyProtocol', proxyProtocol) }
}

/** Holds an object against a table of options, and fills in the defaults. `under` is the option that the object is. */
export function checkBy(
  under: string,
  rules: Readonly<Record<string, Rule>>,
  options: object,
): Record<string, unknown> {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      `${under || 'options'}: got ${show(options)}; takes ${under ? '' : 'a lookup function or '}an object`,
    )
  }
  const path = under && `${under}.`
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(rules, name)) continue
    throw new TypeError(`${path}${name}: is no option; takes ${Object.keys(rules).join(', ')}`)
  }
  const given = options as Record<string, unknown>
  const checked: Record<string, unknown> = {}
  for (const [name, { takes, isRight, byDefault, isSecret }] of Object.entries(rules)) {
    const value = given[name] === undefined ? byDefault : given[name]
    if (!isRight(value)) {
      throw new TypeError(`${path}${name}: got ${isSecret ? redact(value) : show(value)}; takes ${takes}`)
    }
    checked[name] = value
  }
  return checked
}

/** A value in an error: on one line, and not what is in it. */
export function show(value: unknown): string {
  return inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY })
}

/** Says what kind of thing a secret is: what is empty or missing is none, and is shown. */
function redact(value: unknown): string {
  if (Array.isArray(value)) return `[${[...value].map(redact).join(', ')}]`
  if (value === '' || value === undefined || value === null) return show(value)
  return `(hidden ${typeof value})`
}
