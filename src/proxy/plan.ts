import { type BodyFraming, bodyOf, type Head } from '../parser/index.ts'
import { isTunnel } from '../tunnel.ts'
import { type Framing, framingOf } from './framing.ts'
import { listOf, offer } from './upgrade.ts'

/** The engine's decisions about a request with `requests: 'every'`, made from the received head. */
export interface Plan {
  readonly method: string
  readonly version: string
  readonly body: BodyFraming
  /** The protocols in Upgrade, in lower case; empty if there is no upgrade. */
  readonly offered: ReadonlySet<string>
  /** The client's next bytes wait for the response, which decides their protocol. */
  readonly isHeld: boolean
  /** The client may wait for an interim response before it sends the body. */
  readonly isExpecting: boolean
  /** The client's connection may stay open after the response. */
  readonly persists: boolean
  /** The request allows the backend's connection to stay open. */
  readonly keepsBackend: boolean
  /** The framing that hooks must not change. */
  readonly framing: Framing
}

/** The engine's decisions about a final response, made from the received head. */
export interface ResponsePlan {
  readonly body: BodyFraming
  /** The bytes after it are not HTTP/1 (RFC 9110 7.8, 9.3.6). */
  readonly isSwitch: boolean
  /** The backend's connection stays open after it. */
  readonly keepsBackend: boolean
  /** ms that the backend keeps an idle connection, minus one second. */
  readonly idleLimit: number
  /** It requests authentication of the connection. */
  readonly isLogin: boolean
  readonly framing: Framing
}

/** Hop-by-hop fields that are removed even if Connection does not name them (RFC 9110 7.6.1). */
const ONE_HOP = ['Proxy-Connection', 'Keep-Alive', 'HTTP2-Settings']
const FRAMING = ['Content-Length', 'Transfer-Encoding']
/** Options of Connection without a field to remove. */
const NOT_FIELDS: ReadonlySet<string> = new Set(['', 'close', 'connection', 'upgrade', 'te'])
/** Fields that frame or secure a message. A request whose Connection names one is refused; a response keeps them. */
const KEPT: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding', 'set-cookie'])

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])
/** Schemes that authenticate a connection, contrary to RFC 9110 11.1. */
const LOGIN = /(?:^|,)[\t ]*(?:NTLM|Negotiate)(?:[\t ,]|$)/i

const NO_OPTIONS: readonly string[] = []
/** The most common Connection field. */
const KEEP_ALIVE: readonly string[] = ['keep-alive']
/** The options of a response that stay, and those of a 426. */
const RESPONSE_OPTIONS: readonly string[] = ['close', 'keep-alive']
const ADVICE_OPTIONS: readonly string[] = ['close', 'keep-alive', 'upgrade']

/** RFC 9110 9.3.6: CONNECT has no body. */
export function isConnectWithBody(head: Head): boolean {
  return head.method === 'CONNECT' && (head.has('content-length') || head.has('transfer-encoding'))
}

/**
 * Plans a request from its received head, and prepares the head for the backend: removes hop-by-hop fields and sets
 * Connection for the backend. A head that needs no change stays unchanged.
 */
export function planRequest(head: Head): Plan {
  const { method, version } = head
  const body = bodyOf(head)
  const options = optionsOf(head)
  const hasBody = body.kind === 'chunked' || (body.kind === 'length' && body.length > 0)
  const mayUpgrade = options.includes('upgrade') && !hasBody && version === 'HTTP/1.1' && method !== 'CONNECT'
  const offered = offer(head, mayUpgrade)
  const hasExpect = head.has('expect')
  dropNamed(head, options)
  const hasTrailers = keepTrailers(head)
  if (mayChange(options)) {
    const kept = ['keep-alive', offered.size > 0 ? 'upgrade' : '', hasTrailers ? 'te' : '']
    setOptions(head, options, kept)
  }
  return {
    method,
    version,
    body,
    offered,
    isHeld: offered.size > 0 || method === 'CONNECT',
    isExpecting: body.kind !== 'none' && hasExpect,
    persists: isKept(version, options),
    // Servers may stop parsing a connection on which a tunnel was requested, whatever they answer.
    keepsBackend: offered.size === 0 && method !== 'CONNECT' && (version === 'HTTP/1.1' || isKept(version, options)),
    framing: framingOf(head),
  }
}

/** Whether a request, as lookup left it, has the same effect if it is sent twice (RFC 9110 9.2.2). */
export function isIdempotent(head: Head): boolean {
  return IDEMPOTENT.has(head.method) && !head.has('expect')
}

/** Whether a request, as lookup left it, authenticates the connection instead of the request. */
export function isLogin(head: Head): boolean {
  return asksFor(head.get('authorization')) || asksFor(head.get('proxy-authorization'))
}

/** Removes the fields from an interim response that are hop-by-hop, or that could frame a body. It has none. */
export function planInterim(head: Head): void {
  dropNamed(head, optionsOf(head))
  for (const name of ['Connection', 'Upgrade', ...FRAMING]) head.delete(name)
}

/** Plans a final response from its received head, and removes hop-by-hop fields. */
export function planResponse(head: Head, { method, version }: Plan, request: Head): ResponsePlan {
  const { status } = head
  const isSwitch = isTunnel(method, status)
  const body = bodyOf(head, request)
  const options = optionsOf(head)
  const keepsBackend = body.kind !== 'close' && isKept(head.version, options)
  const idleLimit = idleLimitOf(head)
  const isLogin = (status === 401 || status === 407) && asksForLogin(head)
  // RFC 9110 8.6, RFC 9112 6.1: a 204 has no framing fields.
  if (status === 204) for (const name of FRAMING) head.delete(name)
  if (version === 'HTTP/1.0') dropChunked(head)
  if (status !== 101) {
    const isAdvice = status === 426
    dropNamed(head, options)
    // RFC 9110 15.5.22: Upgrade in a 426 names the required protocol.
    if (!isAdvice) head.delete('Upgrade')
    if (mayChange(options)) setOptions(head, options, isAdvice ? ADVICE_OPTIONS : RESPONSE_OPTIONS)
  }
  return { body, isSwitch, keepsBackend, idleLimit, isLogin, framing: framingOf(head, method) }
}

/** Whether the client's connection may stay open after a response with this body. */
export function mayPersist(plan: Plan, body: BodyFraming['kind'], hasWholeRequest: boolean): boolean {
  // An HTTP/1.0 client gets the data of chunks until its connection closes.
  if (body === 'close' || (body === 'chunked' && plan.version === 'HTTP/1.0')) return false
  // RFC 9110 9.3.6: bytes after a refused CONNECT may be meant for the tunnel.
  // RFC 9110 10.1.1: a client that got no 100 response may or may not send the body now.
  return plan.persists && plan.method !== 'CONNECT' && (hasWholeRequest || !plan.isExpecting)
}

/** Sets Connection to tell the client whether its connection stays open. Sends a 1.0 response as 1.1 to a 1.1 client. */
export function announce(head: Head, { version }: Plan, persists: boolean): void {
  if (version === 'HTTP/1.1' && head.version === 'HTTP/1.0') head.first = `HTTP/1.1${head.first.slice(version.length)}`
  const options = optionsOf(head)
  // RFC 9112 9.3: an HTTP/1.0 client closes the connection unless it gets keep-alive.
  const wanted = !persists ? 'close' : version === 'HTTP/1.0' ? 'keep-alive' : undefined
  const unwanted = persists ? 'close' : 'keep-alive'
  if (options.includes(unwanted) || (wanted && !options.includes(wanted))) {
    const others = options.filter((option) => option !== unwanted && option !== '')
    if (wanted && !others.includes(wanted)) others.push(wanted)
    if (others.length > 0) head.set('Connection', others.join(', '))
    else head.delete('Connection')
  }
}

/** Whether a 101 switches to a protocol that the client did not request. */
export function isUnasked({ offered }: Plan, response: Head): boolean {
  if (response.status !== 101) return false
  return offered.size === 0 || listOf(response.get('upgrade')).some((name) => !offered.has(name.toLowerCase()))
}

/** Whether the peer that sent these options keeps its connection open (RFC 9112 9.3). */
function isKept(version: string, options: readonly string[]): boolean {
  return !options.includes('close') && (version === 'HTTP/1.1' || options.includes('keep-alive'))
}

function idleLimitOf(head: Head): number {
  const value = head.get('keep-alive')
  const seconds = value === undefined ? value : /(?:^|[,;])[\t ]*timeout=(\d{1,9})/i.exec(value)?.[1]
  return seconds === undefined ? Number.POSITIVE_INFINITY : (Number(seconds) - 1) * 1_000
}

/** RFC 9112 6.1: an HTTP/1.0 client does not know Transfer-Encoding. It gets the data of the chunks, without trailers. */
function dropChunked(head: Head): void {
  const codings = head.get('transfer-encoding')
  if (codings === undefined) return
  const others = listOf(codings).filter((coding) => coding.toLowerCase() !== 'chunked')
  if (others.length > 0) head.set('Transfer-Encoding', others.join(', '))
  else head.delete('Transfer-Encoding')
  head.delete('Trailer')
}

function asksForLogin(head: Head): boolean {
  return asksFor(head.get('www-authenticate')) || asksFor(head.get('proxy-authenticate'))
}

function asksFor(schemes: string | undefined): boolean {
  return schemes !== undefined && LOGIN.test(schemes)
}

function dropNamed(head: Head, options: readonly string[]): void {
  for (const option of options) if (!NOT_FIELDS.has(option) && !KEPT.has(option)) head.delete(option)
  for (const name of ONE_HOP) head.delete(name)
}

/** Keeps only `trailers` in TE, which is about the client itself. Returns whether it is there. */
function keepTrailers(head: Head): boolean {
  const value = head.get('te')
  if (value === undefined) return false
  const hasTrailers = listOf(value).some((coding) => coding.toLowerCase() === 'trailers')
  if (!hasTrailers) head.delete('TE')
  else if (value.toLowerCase() !== 'trailers') head.set('TE', 'trailers')
  return hasTrailers
}

/** Whether some options may have to be removed from Connection. keep-alive always stays. */
function mayChange(options: readonly string[]): boolean {
  return options !== NO_OPTIONS && options !== KEEP_ALIVE
}

/** Removes all but some options from Connection. The field does not change if all are kept. */
function setOptions(head: Head, options: readonly string[], keep: readonly string[]): void {
  const kept = options.filter((option) => option !== '' && keep.includes(option))
  if (kept.length === options.length) return
  if (kept.length > 0) head.set('Connection', kept.join(', '))
  else head.delete('Connection')
}

/** The options of Connection, in lower case. */
function optionsOf(head: Head): readonly string[] {
  const value = head.get('connection')?.toLowerCase()
  if (value === undefined) return NO_OPTIONS
  return value === 'keep-alive' ? KEEP_ALIVE : listOf(value)
}
