import { isIPv6 } from '../ip.ts'
import * as BYTES from './bytes.ts'

const { all, equals, CLASS, DIGIT, HEX, REG_NAME } = BYTES
const { CLOSING_BRACKET, COLON, OPENING_BRACKET, PERCENT, QUESTION_MARK, SLASH } = BYTES

/** A host and port in a request target or in Host (RFC 3986 3.2). */
export interface Authority {
  /** Offset of its text in the head, in bytes. */
  start: number
  end: number
  /** The host, in lower case. */
  name: string
  port: number | undefined
  /** The port of the target's scheme. A Host without a port means this one. */
  defaultPort: number | undefined
}

const DEFAULT_PORTS = new Map([
  ['http', 80],
  ['ws', 80],
  ['https', 443],
  ['wss', 443],
])

/**
 * Returns the authority of an absolute-form target and 'none' for the other forms (RFC 9112 3.2). Returns undefined if
 * the target has none of the four forms, or if the method does not allow its form.
 */
export function readTarget(
  bytes: Buffer,
  methodEnd: number,
  start: number,
  end: number,
): Authority | 'none' | undefined {
  if (equals(bytes, 0, methodEnd, 'CONNECT')) {
    // RFC 9110 9.3.6: the port is required. Host may differ: some clients name their proxy in it, and a CONNECT carries
    // no request that could be smuggled.
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

export function readAuthority(
  bytes: Buffer,
  start: number,
  end: number,
  defaultPort: number | undefined,
): Authority | undefined {
  const colon = hostEnd(bytes, start, end)
  if (colon < 0) return undefined
  const name = bytes.toString('latin1', start, colon).toLowerCase()
  const port = colon + 1 < end ? Number(bytes.toString('latin1', colon + 1, end)) : defaultPort
  return { start, end, name, port, defaultPort }
}

/**
 * Checks uri-host [ ":" port ] (RFC 3986 3.2.2, 3.2.3) and returns where the host ends, or -1 if it is invalid.
 * An empty host is invalid (RFC 9110 4.2.1).
 */
export function hostEnd(bytes: Buffer, start: number, end: number): number {
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
