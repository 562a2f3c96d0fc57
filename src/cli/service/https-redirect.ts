import type { ClientInfo, Head } from '../../index.ts'
import { splitTarget } from '../../request-target.ts'
import type { Forwarded } from './forwarded.ts'

/** A DNS name or an IP address. Anything else may stand for another site in a URL. */
const HOST = /^([a-z\d_](?:[a-z\d_.-]*[a-z\d_])?|\[[\da-f:.]+\])\.?(?::\d*)?$/i
/** A challenge that proves the control of a domain over plain HTTP (RFC 8555 8.3), and nothing else. */
const CHALLENGE = /^\/\.well-known\/acme-challenge\/[\w-]+$/
const HTTPS_PORT = 443

/** Not with an upgrade: the backend could accept a WebSocket at any path, and what follows would pass. */
function isChallenge(head: Head): boolean {
  const { method, target } = head
  return (method === 'GET' || method === 'HEAD') && CHALLENGE.test(target) && !head.has('upgrade')
}

/** Redirects the clients of plain HTTP to HTTPS. */
export class HttpsRedirect {
  readonly #port: string
  readonly #forwarded: Forwarded

  constructor(port: number, forwarded: Forwarded) {
    this.#port = port === HTTPS_PORT ? '' : `:${port}`
    this.#forwarded = forwarded
  }

  /** Whether a request, as it was received, came over plain HTTP and is answered here. */
  covers(head: Head, client: ClientInfo): boolean {
    // Most requests: this needs no look at the head.
    if (client.encrypted) return false
    return !isChallenge(head) && this.#forwarded.origin(head, client).scheme === 'http'
  }

  /** The answer to a request. Undefined for HTTP/2, whose clients could not read it: they are reset. */
  answer(head: Head, client: ClientInfo): Response | undefined {
    if (head.version === 'HTTP/2.0') return undefined
    const { authority = '' } = this.#forwarded.origin(head, client)
    const [, host] = HOST.exec(authority) ?? []
    if (host === undefined || !URL.canParse(`https://${host}`))
      return new Response('400 Bad Request: no host to redirect to\n', { status: 400 })
    const { path, query } = splitTarget(head) ?? { path: '/', query: '' }
    const location = `https://${host.toLowerCase()}${this.#port}${path}${query}`
    // It keeps the method and the body (RFC 9110 15.4.9).
    return new Response(null, { status: 308, headers: { Location: location } })
  }
}
