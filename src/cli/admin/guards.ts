import { createHash, timingSafeEqual } from 'node:crypto'
import type http from 'node:http'
import { isIP } from 'node:net'

/** What the server sends in reply to a request. */
export interface Answer {
  readonly status: number
  readonly headers: http.OutgoingHttpHeaders
  /** A long one is in slices. */
  readonly body: Uint8Array | readonly Uint8Array[]
}

/** Returns an answer if the request must not go further. */
export type Guard = (request: http.IncomingMessage) => Answer | undefined

/** Joins guards: the first one that refuses answers. */
export function all(...guards: readonly Guard[]): Guard {
  return (request) => {
    for (const guard of guards) {
      const refusal = guard(request)
      if (refusal) return refusal
    }
    return undefined
  }
}

export function json(body: object, status = 200, headers: http.OutgoingHttpHeaders = {}): Answer {
  const text = Buffer.from(JSON.stringify(body))
  return { status, headers: { 'Content-Type': 'application/json', ...headers }, body: text }
}

export function refuse(status: number, error: string, headers?: http.OutgoingHttpHeaders): Answer {
  return json({ error }, status, headers)
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/**
 * Allows requests whose Host is loopback or one of these names and addresses, on any port. This stops DNS rebinding: if
 * a foreign site's name points here, the browser sees one origin, and only Host tells the two apart.
 */
export function onlyHosts(names: readonly string[]): Guard {
  const allowed = new Set([
    ...LOOPBACK,
    ...names.map((name) => hostnameOf(isIP(name) === 6 ? `[${name}]` : name) ?? name),
  ])
  // A server on every address cannot list its addresses. DNS rebinding needs a name, so any address is safe.
  const allowsAddresses = allowed.has('0.0.0.0') || allowed.has('[::]')
  return ({ headers: { host = '' } }) => {
    const hostname = hostnameOf(host)
    if (hostname !== undefined && (allowed.has(hostname) || (allowsAddresses && isAddress(hostname)))) return undefined
    return refuse(403, `Host: expected ${[...allowed].join(', ')}, got ${JSON.stringify(host)}`)
  }
}

/** The host of `host:port`, as URL writes it. */
function hostnameOf(host: string): string | undefined {
  if (!/^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?$/i.test(host) || !URL.canParse(`http://${host}`)) return undefined
  return new URL(`http://${host}`).hostname
}

function isAddress(hostname: string): boolean {
  return isIP(hostname.replace(/^\[|\]$/g, '')) !== 0
}

/** Refuses requests from pages of other origins. Requests without Origin do not come from a page, or only read. */
export const sameOrigin: Guard = ({ headers: { host, origin, 'sec-fetch-site': site } }) => {
  // Browsers set this field (Fetch Metadata) and scripts cannot. 'none' means that the user opened the URL.
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    return refuse(403, `Sec-Fetch-Site: expected same-origin, got ${JSON.stringify(site)}`)
  }
  if (origin === undefined) return undefined
  // Compare without the scheme: behind a TLS proxy it is https.
  if (URL.canParse(origin) && new URL(origin).host === new URL(`http://${host}`).host) return undefined
  return refuse(403, `Origin: expected this server's own, got ${JSON.stringify(origin)}`)
}

/** Requires `Authorization: Bearer TOKEN`. The token may be a password, with characters that RFC 6750 does not allow. */
export function onlyWith(token: string): Guard {
  const expected = digest(token)
  return ({ headers: { authorization = '' } }) => {
    const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
    // Digests have one length, so the comparison takes the same time for every token.
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return undefined
    const error = given === undefined ? 'Authorization: expected Bearer TOKEN' : 'the token is wrong'
    return refuse(401, error, { 'WWW-Authenticate': 'Bearer realm="badass"' })
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Allows JSON only: a form on another site can send other types without a preflight request. */
export const onlyJson: Guard = ({ headers: { 'content-type': type = '' } }) => {
  if (/^application\/json *(?:;|$)/i.test(type)) return undefined
  return refuse(415, `Content-Type: expected application/json, got ${JSON.stringify(type)}`)
}

/** Limits a body that nobody reads. */
export function bodyOfAtMost(bytes: number): Guard {
  return ({ headers }) => {
    const isKnown = headers['transfer-encoding'] === undefined
    if (isKnown && Number(headers['content-length'] ?? 0) <= bytes) return undefined
    return refuse(413, `body: expected a Content-Length of at most ${bytes}`)
  }
}
