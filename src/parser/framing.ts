import * as BYTES from './bytes.ts'
import type { HeadErrorCode } from './error.ts'
import { FIRST_FIELD, type HeadKind, isNamed, lineEnd, type Marks } from './head.ts'

const { all, equals, equalsIgnoringCase, dropBlanks, skipBlanks } = BYTES
const { CLASS, DIGIT, HEX, REG_NAME, TOKEN } = BYTES
const {
  CLOSING_BRACKET,
  COLON,
  COMMA,
  DIGIT_0,
  LOWER_C,
  LOWER_H,
  LOWER_T,
  OPENING_BRACKET,
  PERCENT,
  QUESTION_MARK,
  SLASH,
} = BYTES

/** A broken rule, and where: in bytes from the begin of the head. */
export interface Fault {
  code: HeadErrorCode
  at: number
}

/** Holds a head that is right in its syntax against the rules that go beyond it. */
export function checkRules(kind: HeadKind, bytes: Buffer, marks: Marks): Fault | undefined {
  if (kind === 'request') return checkRequest(bytes, marks)
  return isHttp1(bytes, 0, marks[0]!) ? undefined : { code: 'UNSUPPORTED_VERSION', at: 0 }
}

/**
 * The rules on a request's version, its framing and its host: what two readers of one request must not see
 * differently, or one request hides in another (RFC 9112 3.2, 6.1, 6.3, 11.2).
 */
function checkRequest(bytes: Buffer, marks: Marks): Fault | undefined {
  const methodEnd = marks[0]!
  const targetStart = methodEnd + 1
  const targetEnd = marks[1]!
  const versionStart = targetEnd + 1
  const versionEnd = marks[2]!
  if (equals(bytes, 0, methodEnd, 'PRI')) {
    // RFC 9113 3.4: these very bytes open an HTTP/2 connection, and no HTTP/1 request has the method.
    const isPreface = equals(bytes, 0, versionEnd, 'PRI * HTTP/2.0') && marks.length === FIRST_FIELD
    return isPreface ? undefined : { code: 'BAD_PREFACE', at: 0 }
  }
  if (!isHttp1(bytes, versionStart, versionEnd)) return { code: 'UNSUPPORTED_VERSION', at: versionStart }
  const target = readTarget(bytes, methodEnd, targetStart, targetEnd)
  if (!target) return { code: 'BAD_TARGET', at: targetStart }
  return checkFields(bytes, marks, bytes[versionEnd - 1] === DIGIT_0, target)
}

/**
 * The rules on the framing of a response that was mended: what may be read differently as it came must not be given a
 * meaning by mending it. `mended`: the fields whose value was mended, by the index of their mark.
 */
export function checkMended(bytes: Buffer, marks: Marks, mended: ReadonlySet<number>): Fault | undefined {
  for (const k of mended) {
    const rule = ruleOf(bytes, marks[k]!)
    if (rule === 'content-length') return { code: 'BAD_CONTENT_LENGTH', at: marks[k]! }
    if (rule === 'transfer-encoding') return { code: 'BAD_TRANSFER_ENCODING', at: marks[k]! }
  }
  return checkFields(bytes, marks, bytes[marks[0]! - 1] === DIGIT_0, 'response')
}

function isHttp1(bytes: Buffer, start: number, end: number): boolean {
  return equals(bytes, start, end, 'HTTP/1.1') || equals(bytes, start, end, 'HTTP/1.0')
}

/**
 * One pass over the names; only Host, Content-Length and Transfer-Encoding are looked into. A response needs no Host,
 * and may have another coding than chunked last: its body then goes on to the end of the connection (RFC 9112 6.3).
 */
function checkFields(
  bytes: Buffer,
  marks: Marks,
  isHttp10: boolean,
  target: Authority | 'none' | 'response',
): Fault | undefined {
  let host = -1
  let length = -1
  let encoding = -1
  let isChunked = false
  for (let k = FIRST_FIELD; k < marks.length; k++) {
    const name = marks[k]!
    const rule = ruleOf(bytes, name)
    if (!rule) continue
    const line = lineEnd(bytes, marks, k)
    const start = skipBlanks(bytes, name + rule.length + 1, line)
    const end = dropBlanks(bytes, start, line)
    if (rule === 'host') {
      if (target === 'response') continue
      if (host >= 0) return { code: 'DUPLICATE_HOST', at: name }
      host = start
      const fault = checkHost(bytes, start, end, target)
      if (fault) return fault
    } else if (rule === 'content-length') {
      // RFC 9110 8.6: a recipient may mend equal values, or refuse them. We never rewrite, so we refuse.
      if (length >= 0) return { code: 'DUPLICATE_CONTENT_LENGTH', at: name }
      length = start
      if (!isLength(bytes, start, end)) return { code: 'BAD_CONTENT_LENGTH', at: start }
    } else {
      // RFC 9112 6.1: several fields are one list, in which chunked stands once and last.
      if (isChunked) return { code: 'BAD_TRANSFER_ENCODING', at: start }
      encoding = start
      const last = lastCoding(bytes, start, end)
      if (last === 'bad') return { code: 'BAD_TRANSFER_ENCODING', at: start }
      isChunked = last === 'chunked'
    }
  }
  if (encoding >= 0) {
    if (length >= 0) return { code: 'LENGTH_AND_ENCODING', at: Math.max(encoding, length) }
    if (isHttp10) return { code: 'ENCODING_IN_HTTP_1_0', at: encoding }
    if (!isChunked && target !== 'response') return { code: 'BAD_TRANSFER_ENCODING', at: encoding }
  }
  if (host < 0 && !isHttp10 && target !== 'response') return { code: 'MISSING_HOST', at: bytes.length - 2 }
  return undefined
}

/** The name of the field, where there is a rule on it: told by its first letter, as most fields have none. */
function ruleOf(bytes: Buffer, start: number): 'host' | 'content-length' | 'transfer-encoding' | undefined {
  switch (bytes[start]! | 0x20) {
    case LOWER_H:
      return isNamed(bytes, start, 'host') ? 'host' : undefined
    case LOWER_C:
      return isNamed(bytes, start, 'content-length') ? 'content-length' : undefined
    case LOWER_T:
      return isNamed(bytes, start, 'transfer-encoding') ? 'transfer-encoding' : undefined
    default:
      return undefined
  }
}

function checkHost(bytes: Buffer, start: number, end: number, target: Authority | 'none'): Fault | undefined {
  // RFC 9112 3.2: Host is empty where the target has no authority.
  if (start < end && hostEnd(bytes, start, end) < 0) return { code: 'BAD_HOST', at: start }
  if (target === 'none') return undefined
  // Whoever routes by the target and whoever routes by Host must come to the same place.
  const host = start < end ? readAuthority(bytes, start, end, target.defaultPort) : undefined
  if (host?.name === target.name && host.port === target.port) return undefined
  return { code: 'HOST_MISMATCH', at: start }
}

/** 1*DIGIT (RFC 9110 8.6) that every reader of it can count to. */
function isLength(bytes: Buffer, start: number, end: number): boolean {
  return end > start && all(bytes, start, end, DIGIT) && Number(bytes.toString('latin1', start, end)) < 2 ** 53
}

/**
 * The last transfer coding of one field's list, or 'bad' where an element is not a name, or chunked is not the last.
 * No coding in use has parameters, and readers differ on empty elements: both are refused.
 */
function lastCoding(bytes: Buffer, start: number, end: number): 'chunked' | 'other' | 'bad' {
  let last: 'chunked' | 'other' = 'other'
  for (let from = start; from <= end; ) {
    if (last === 'chunked') return 'bad'
    let until = from
    while (until < end && bytes[until] !== COMMA) until++
    const a = skipBlanks(bytes, from, until)
    const b = dropBlanks(bytes, a, until)
    if (a === b || !all(bytes, a, b, TOKEN)) return 'bad'
    if (equalsIgnoringCase(bytes, a, b, 'chunked')) last = 'chunked'
    from = until + 1
  }
  return last
}

interface Authority {
  /** In lower case. */
  name: string
  port: number | undefined
  /** What a Host without a port means beside this authority. */
  defaultPort: number | undefined
}

const DEFAULT_PORTS = new Map([
  ['http', 80],
  ['ws', 80],
  ['https', 443],
  ['wss', 443],
])

/**
 * The authority that Host must name too, which only an absolute-form has; undefined where the target has none of the
 * four forms of RFC 9112 3.2, or one that does not go with the method.
 */
function readTarget(bytes: Buffer, methodEnd: number, start: number, end: number): Authority | 'none' | undefined {
  if (equals(bytes, 0, methodEnd, 'CONNECT')) {
    // RFC 9110 9.3.6: the port is not optional. Host is not held against it: clients put their proxy there too, and
    // no request hides in a CONNECT.
    return readAuthority(bytes, start, end, undefined)?.port === undefined ? undefined : 'none'
  }
  if (bytes[start] === SLASH) return 'none'
  if (equals(bytes, start, end, '*')) return equals(bytes, 0, methodEnd, 'OPTIONS') ? 'none' : undefined

  const colon = bytes.indexOf(COLON, start)
  if (colon >= end || !equals(bytes, colon, colon + 3, '://')) return undefined
  const scheme = bytes.toString('latin1', start, colon).toLowerCase()
  if (!/^[a-z][a-z0-9+.-]*$/.test(scheme)) return undefined
  let authorityEnd = colon + 3
  while (authorityEnd < end && bytes[authorityEnd] !== SLASH && bytes[authorityEnd] !== QUESTION_MARK) authorityEnd++
  return readAuthority(bytes, colon + 3, authorityEnd, DEFAULT_PORTS.get(scheme))
}

function readAuthority(
  bytes: Buffer,
  start: number,
  end: number,
  defaultPort: number | undefined,
): Authority | undefined {
  const colon = hostEnd(bytes, start, end)
  if (colon < 0) return undefined
  const name = bytes.toString('latin1', start, colon).toLowerCase()
  const port = colon + 1 < end ? Number(bytes.toString('latin1', colon + 1, end)) : defaultPort
  return { name, port, defaultPort }
}

/**
 * Checks uri-host [ ":" port ] (RFC 3986 3.2.2, 3.2.3) and returns where the host ends; -1 where it is not one.
 * The host is not empty: no http URI has an empty one (RFC 9110 4.2.1).
 */
function hostEnd(bytes: Buffer, start: number, end: number): number {
  let i = start
  if (bytes[start] === OPENING_BRACKET) {
    while (i < end && bytes[i] !== CLOSING_BRACKET) i++
    if (i === end || !isIPv6(bytes.toString('latin1', start + 1, i))) return -1
    i++
  } else {
    for (; i < end && CLASS[bytes[i]!]! & REG_NAME; i++) {
      if (bytes[i] === PERCENT && !(i + 2 < end && all(bytes, i + 1, i + 3, HEX))) return -1
    }
    if (i === start) return -1
  }
  if (i === end) return i
  const isPort = bytes[i] === COLON && all(bytes, i + 1, end, DIGIT)
  return isPort && Number(bytes.toString('latin1', i + 1, end)) <= 65_535 ? i : -1
}

/** IPv6address of RFC 3986 3.2.2: eight groups, or fewer and one '::'; an IPv4 address may be the last two. No zone. */
function isIPv6(text: string): boolean {
  const halves = text.split('::')
  if (halves.length > 2) return false
  let groups = 0
  for (const [at, half] of halves.entries()) {
    if (half === '') continue
    const parts = half.split(':')
    for (const [i, part] of parts.entries()) {
      const isLast = at === halves.length - 1 && i === parts.length - 1
      if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups += 1
      else if (isLast && isIPv4(part)) groups += 2
      else return false
    }
  }
  return halves.length === 2 ? groups <= 7 : groups === 8
}

function isIPv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}
