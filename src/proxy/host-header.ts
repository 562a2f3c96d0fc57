import { isIP } from 'node:net'
import { mapReferences, withOneSlash } from '../own-references.ts'
import type { Head } from '../parser/index.ts'
import { splitTarget } from '../request-target.ts'
import type { Rule } from '../validate.ts'

/** The value of Host for a backend (RFC 9110 7.2): a name or an address, and perhaps a port. */
export const HOST_HEADER: Rule = {
  expected: "a host, with a port if the backend expects one, as in 'example.com' or '[::1]:3000'",
  validate: (value) =>
    value === undefined ||
    (typeof value === 'string' && /^(?:[a-z\d_](?:[a-z\d_.-]*[a-z\d_])?|\[[\da-f:.]+\])(?::\d{1,5})?$/i.test(value)),
}

/** A URL with a host, with or without a scheme. */
const WITH_HOST = /^(?:https?:)?\/\/([^/?#\\]*)/i
const DEFAULT_PORT = /:(?:80|443)?$/

/** The name that TLS asks for and checks (RFC 6066 3). Undefined for an address. */
export function serverNameOf(hostHeader: string): string | undefined {
  const name = hostHeader.replace(/:\d*$/, '')
  return isIP(name) === 0 && !name.startsWith('[') ? name : undefined
}

/** The request head for a backend that expects this Host. The same head if it has it already. */
export function forBackend(head: Head, hostHeader: string | undefined): Head {
  if (hostHeader === undefined || head.get('host') === hostHeader) return head
  const sent = head.clone()
  const { origin = '' } = splitTarget(head) ?? {}
  // RFC 9112 3.2.2: a server takes the host of an absolute target, not that of Host.
  if (origin !== '') {
    const scheme = origin.slice(0, origin.indexOf('//') + 2)
    sent.first = `${head.method} ${scheme}${hostHeader}${head.target.slice(origin.length)} ${head.version}`
  }
  return sent.set('Host', hostHeader)
}

/**
 * Makes a response of such a backend right for the client: a Location or Content-Location with this host becomes a path,
 * which the client resolves with the scheme and host that it asked. A cookie for this Domain becomes one for the client's
 * host.
 */
export function forClient(head: Head, hostHeader: string): void {
  const domain = hostHeader.replace(/:\d*$/, '').toLowerCase()
  const reference = (value: string) => pathOf(value, hostHeader)
  mapReferences(head, reference, (cookie) => withoutDomain(cookie, domain))
}

function pathOf(reference: string, hostHeader: string): string {
  const [start, authority] = WITH_HOST.exec(reference) ?? []
  if (start === undefined || bare(authority!) !== bare(hostHeader)) return reference
  return withOneSlash(reference.slice(start.length))
}

function bare(authority: string): string {
  return authority.toLowerCase().replace(DEFAULT_PORT, '')
}

/** RFC 6265 5.2.3: a dot at the start of a domain means nothing. */
function withoutDomain(cookie: string, domain: string): string {
  const [pair, ...attributes] = cookie.split(';')
  const isOther = (attribute: string) => {
    const [, value] = /^[ \t]*domain[ \t]*=[ \t]*\.?(.*?)[ \t]*$/is.exec(attribute) ?? []
    return value?.toLowerCase() !== domain
  }
  return [pair, ...attributes.filter(isOther)].join(';')
}
