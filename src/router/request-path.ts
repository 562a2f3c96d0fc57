import type { Head } from '../parser/index.ts'
import { type ClientInfo, tlsSocketOf } from '../proxy/index.ts'

/** A path without any of these is already in the form that routes are compared with. */
const UNUSUAL = /[%\\;]|\/\/|\/\.\.?(?:\/|$)/
const ENCODED = /%([\da-f]{2})/gi
/** These stay encoded: they would change the meaning of the path. */
const KEPT: ReadonlySet<string> = new Set(['%00', '%25', '%2F', '%3B', '%5C'])
/** Bytes that some servers read as a slash, or as the end of the path. */
const HIDDEN = /\\|%2F|%5C|%00/
const DOT_SEGMENT = /(?:^|\/)\.\.?(?:\/|$)/

/**
 * The host that a request names, in lower case, without port and trailing dot. '' if it names none. The requests of an
 * HTTP/2 connection are not read: its host is the server name of its TLS handshake.
 */
export function hostOf(head: Head, client: ClientInfo): string {
  return comparableHost(authorityOf(head, client))
}

/** The form of a host that routes are compared with: in lower case, without port and trailing dot. */
export function comparableHost(authority: string): string {
  return authority.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
}

function authorityOf(head: Head, client: ClientInfo): string {
  if (head.version === 'HTTP/2.0') return tlsSocketOf(client)?.servername || ''
  return head.method === 'CONNECT' ? head.target : (head.get('host') ?? '')
}

/**
 * The form of a path that routes are compared with. Encoded bytes are decoded, repeated slashes are one, and parameters of
 * a segment (';v=1') are left out, because servers read paths like that (RFC 3986 6.2.2 and 3.3).
 */
export function comparablePath(path: string): string {
  if (!UNUSUAL.test(path)) return path
  return decoded(path)
    .replaceAll(/;[^/]*/g, '')
    .replaceAll(/\/{2,}/g, '/')
}

/**
 * Whether servers could read a path differently: it has a dot segment, a backslash, or an encoded slash, backslash or NUL.
 * A server that resolves '/static/..%2fadmin' would answer for '/admin', which may belong to another route.
 */
export function isAmbiguous(path: string): boolean {
  if (!UNUSUAL.test(path)) return false
  const plain = decoded(path)
  // Some servers decode '..%3b' first and then leave out the parameter.
  return HIDDEN.test(plain) || DOT_SEGMENT.test(plain.replaceAll(/(?:;|%3B)[^/]*/g, ''))
}

function decoded(path: string): string {
  return path.replaceAll(ENCODED, (code, hex: string) => {
    const plain = code.toUpperCase()
    return KEPT.has(plain) ? plain : String.fromCharCode(Number.parseInt(hex, 16))
  })
}
