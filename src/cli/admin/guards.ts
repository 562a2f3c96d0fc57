import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import type { Context, MiddlewareHandler } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/** An answer that is no success: one line. */
export function refuse(c: Context, status: ContentfulStatusCode, error: string): Response {
  return c.json({ error }, status)
}

/**
 * Takes requests whose Host is loopback or one of these names and addresses, whatever the port. A page elsewhere that has
 * its own name point here (DNS rebinding) is of the same origin to the browser; only Host tells.
 */
export function onlyHosts(names: readonly string[]): MiddlewareHandler {
  const allowed = new Set([
    ...LOOPBACK,
    ...names.map((name) => hostnameOf(isIP(name) === 6 ? `[${name}]` : name) ?? name),
  ])
  // Listening on every address, it cannot know them all. An address is no name that anybody could have point here.
  const takesAddresses = allowed.has('0.0.0.0') || allowed.has('[::]')
  return async (c, next) => {
    const host = c.req.header('host') ?? ''
    const hostname = hostnameOf(host)
    if (hostname === undefined || !(allowed.has(hostname) || (takesAddresses && isAddress(hostname)))) {
      return refuse(c, 403, `Host: got ${JSON.stringify(host)}; takes ${[...allowed].join(', ')}`)
    }
    return next()
  }
}

/** The host of `host:port` in the form that a URL gives it. */
function hostnameOf(host: string): string | undefined {
  if (!/^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?$/i.test(host) || !URL.canParse(`http://${host}`)) return undefined
  return new URL(`http://${host}`).hostname
}

function isAddress(hostname: string): boolean {
  return isIP(hostname.replace(/^\[|\]$/g, '')) !== 0
}

/** Refuses what a page of another origin sends. Whoever sends no Origin is no page, or does not only read. */
export const sameOrigin: MiddlewareHandler = async (c, next) => {
  const site = c.req.header('sec-fetch-site')
  // Browsers say so themselves (Fetch Metadata); no script can write it. 'none': no page has asked, its user has.
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    return refuse(c, 403, `Sec-Fetch-Site: got ${JSON.stringify(site)}; takes same-origin`)
  }
  const origin = c.req.header('origin')
  if (origin === undefined) return next()
  // The scheme is not compared: a TLS proxy in front may make it https.
  const isOwn = URL.canParse(origin) && new URL(origin).host === new URL(c.req.url).host
  return isOwn ? next() : refuse(c, 403, `Origin: got ${JSON.stringify(origin)}; takes this server's own`)
}

/**
 * Asks for `Authorization: Bearer TOKEN`. Hono's bearerAuth takes only tokens of the letters of RFC 6750, and a
 * password that somebody chose is not always one.
 */
export function onlyWith(token: string): MiddlewareHandler {
  const expected = digest(token)
  return async (c, next) => {
    const given = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1]
    // Digests are of one length, so that the time says nothing of the token.
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return next()
    c.header('WWW-Authenticate', 'Bearer realm="badass"')
    return refuse(c, 401, given === undefined ? 'takes Authorization: Bearer TOKEN' : 'the token is wrong')
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Takes JSON only: the types that a form of another page may send without asking are none. */
export const onlyJson: MiddlewareHandler = async (c, next) => {
  const type = c.req.header('content-type') ?? ''
  if (/^application\/json *(?:;|$)/i.test(type)) return next()
  return refuse(c, 415, `Content-Type: got ${JSON.stringify(type)}; takes application/json`)
}

/** Bounds a body that nobody reads. Hono's bodyLimit would read it, and only with its adapter's own global Request. */
export function bodyOfAtMost(bytes: number): MiddlewareHandler {
  return async (c, next) => {
    const isKnown = c.req.header('transfer-encoding') === undefined
    if (isKnown && Number(c.req.header('content-length') ?? 0) <= bytes) return next()
    return refuse(c, 413, `body: takes a Content-Length of at most ${bytes}`)
  }
}
