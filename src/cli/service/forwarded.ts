import net from 'node:net'
import type { ClientInfo, Head } from '../../index.ts'
import { normalize } from '../../ip.ts'
import { Networks } from '../../proxy/index.ts'
import type { ForwardedForm } from '../config/index.ts'
import { type Element, elementOf, parseElements } from './forwarded-elements.ts'

const FOR = 'X-Forwarded-For'
const PROTO = 'X-Forwarded-Proto'
const HOST = 'X-Forwarded-Host'
const PORT = 'X-Forwarded-Port'
const OURS = [FOR, PROTO, HOST, PORT]
const FORWARDED = 'Forwarded'

// Origins that read fields as CGI variables (RFC 3875 4.1.18) take X_Forwarded_For for X-Forwarded-For, and some any
// other punctuation too. X-Forwarded and Forwarded-For are older names that some libraries still read.
const LOOKALIKE = /^(?:x[^a-z\d]forwarded(?:[^a-z\d].|$)|forwarded[^a-z\d]for$)/i
const PROPER = /^(?:x-forwarded(?:-[a-z\d-]+)?|forwarded-for)$/i

/** Some proxies write the scheme of a WebSocket. */
const SCHEMES: ReadonlyMap<string | undefined, Origin['scheme']> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['ws', 'http'],
  ['wss', 'https'],
])
const DEFAULT_PORTS = { http: '80', https: '443' } as const

type Peer = Pick<ClientInfo, 'transport' | 'remoteAddress' | 'encrypted'>

/** How a client came: the scheme and the authority of its own request. */
export interface Origin {
  scheme: 'http' | 'https'
  /** Undefined for HTTP/1.0 without Host. */
  authority: string | undefined
}

/** What a peer has written about the clients before it: one entry for each, the last one for its own client. */
interface Chain {
  /** The address of each client. Undefined: not named. */
  readonly addresses: readonly (string | undefined)[]
  /** How the client came that is so far from the right. */
  scheme(distance: number): string | undefined
  host(distance: number): string | undefined
}

/** Writes the X-Forwarded fields and Forwarded, and finds a client's own address behind trusted proxies. */
export class Forwarded {
  readonly #trust: Networks
  readonly #form: ForwardedForm

  /**
   * `trust`: addresses, networks such as '10.0.0.0/8', and 'unix' for clients of Unix sockets. `form`: which fields are
   * written, and read from trusted peers. With 'both', the X-Forwarded fields are read.
   * @throws {TypeError} on any other value
   */
  constructor(trust: readonly string[], form: ForwardedForm = 'x') {
    this.#trust = new Networks('trust', trust)
    this.#form = form
  }

  /**
   * Writes the fields of the form, and removes those of the other form. Behind a trusted peer, the client's own scheme,
   * host and port are kept, and the peer is appended to X-Forwarded-For and Forwarded. All values of other peers are
   * replaced. Fields that an origin could mistake for these are always removed, even from a trusted peer.
   */
  write(head: Head, client: Peer): void {
    // The preface of an HTTP/2 connection has no fields (RFC 9113 3.4).
    if (head.version === 'HTTP/2.0') return
    const isTrusted = this.#trust.has(client)
    const x = this.#form === 'rfc7239' ? {} : this.#values(head, client, isTrusted)
    const elements = this.#form === 'x' ? undefined : elementsFor(head, client, isTrusted)
    for (const [name] of [...head]) {
      if (LOOKALIKE.test(name) && !(isTrusted && PROPER.test(name)) && !isOurs(name)) head.delete(name)
    }
    for (const name of OURS) setOrDelete(head, name, x[name])
    setOrDelete(head, FORWARDED, elements)
  }

  /** Whether the fields of a peer count. */
  trusts(client: Peer): boolean {
    return this.#trust.has(client)
  }

  /**
   * The answer to a request of a trusted peer with a malformed Forwarded, undefined for others. The client may have
   * written the malformed part, so that nothing names the client any more. Call it before the other methods. Each line is
   * checked by itself: a quoted value that is open at its end must not continue in the line of a proxy.
   */
  refuse(head: Head, client: Peer): Response | undefined {
    if (this.#form === 'x' || !this.#trust.has(client)) return undefined
    if (head.getAll(FORWARDED).every(parseElements)) return undefined
    return new Response('400 Bad Request: malformed Forwarded\n', { status: 400 })
  }

  /**
   * The client's own address: the peer's, or behind a trusted peer the right-most untrusted entry of the list of clients,
   * or the left-most entry if all are trusted. Empty for an untrusted client of a Unix socket. `write` does not change it.
   */
  clientAddress(head: Head, client: Peer): string {
    const chain = this.#trust.has(client) ? this.#chain(head) : undefined
    return (chain && this.#find(chain).address) ?? addressOf(client) ?? ''
  }

  /** The same, if trusted proxies named an address other than the peer's. */
  namedAddress(head: Head, client: Peer): string | undefined {
    const own = this.clientAddress(head, client)
    return own === '' || own === client.remoteAddress ? undefined : own
  }

  /**
   * How the client itself came. Behind a trusted peer, the entry counts that is as far from the right as the client's own
   * address: entries further left may come from the client. Call it before `write`.
   */
  origin(head: Head, client: Peer): Origin {
    const own: Origin = { scheme: client.encrypted ? 'https' : 'http', authority: head.get('host') }
    if (!this.#trust.has(client)) return own
    const chain = this.#chain(head)
    const { distance } = this.#find(chain)
    const scheme = SCHEMES.get(chain.scheme(distance)?.toLowerCase())
    return { scheme: scheme ?? own.scheme, authority: chain.host(distance) || own.authority }
  }

  /** The values of the X-Forwarded fields. */
  #values(head: Head, client: Peer, isTrusted: boolean): { [name: string]: string | undefined } {
    const { scheme, authority } = this.origin(head, client)
    const port = isTrusted ? entryOf(head.get(PORT), this.#find(this.#chain(head)).distance) : undefined
    return {
      [FOR]: [isTrusted && head.get(FOR), addressOf(client)].filter(Boolean).join(', '),
      [PROTO]: scheme,
      [HOST]: authority,
      // That of the URL which the client asked for. The listener may have another one, behind a port mapping.
      [PORT]: [port, portIn(authority)].find(isPort) ?? DEFAULT_PORTS[scheme],
    }
  }

  #chain(head: Head): Chain {
    if (this.#form === 'rfc7239') return chainOfElements(parseElements(head.get(FORWARDED) ?? '') ?? [])
    return {
      addresses: (head.get(FOR) ?? '').split(','),
      scheme: (distance) => entryOf(head.get(PROTO), distance),
      host: (distance) => entryOf(head.get(HOST), distance),
    }
  }

  /** The client's own entry, and the number of entries to the right of it. */
  #find({ addresses }: Chain): { address?: string; distance: number } {
    let found: { address?: string; distance: number } = { distance: 0 }
    for (const [distance, entry] of [...addresses].reverse().entries()) {
      // The client of a Unix socket.
      if (entry === undefined) continue
      const address = parseEntry(entry)
      // Not an address, such as 'unknown': it does not identify a client.
      if (address === undefined) break
      found = { address, distance }
      if (!this.#trust.includes(address)) break
    }
    return found
  }
}

/** The value of Forwarded for the backend: the peer's element, behind the elements of a trusted peer. */
function elementsFor(head: Head, client: Peer, isTrusted: boolean): string {
  const own = elementOf(addressOf(client), head.get('host'), client.encrypted ? 'https' : 'http')
  const before = isTrusted ? head.get(FORWARDED) : undefined
  return before && parseElements(before)?.length ? `${before}, ${own}` : own
}

function chainOfElements(elements: readonly Element[]): Chain {
  return {
    addresses: elements.map((element) => element.get('for')),
    scheme: (distance) => elements.at(-1 - distance)?.get('proto'),
    host: (distance) => elements.at(-1 - distance)?.get('host'),
  }
}

/** An entry of a list, by its distance from the right. A shorter list was not added to by all proxies. */
function entryOf(list: string | undefined, distance: number): string | undefined {
  const entries = (list ?? '').split(',').map((entry) => entry.trim())
  return entries[Math.max(0, entries.length - 1 - distance)] || undefined
}

/** The peer's address, or undefined for a Unix socket. TCP clients without an address are dropped at accept. */
function addressOf({ remoteAddress }: Peer): string | undefined {
  return remoteAddress === undefined ? undefined : normalize(remoteAddress)
}

/** Parses an entry of the list of clients. Some proxies add a port to the address. */
function parseEntry(entry: string): string | undefined {
  const text = entry.trim()
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  const address = normalize(bare)
  return net.isIP(address) === 0 ? undefined : address
}

function portIn(authority = ''): string | undefined {
  return /:(\d+)$/.exec(authority)?.[1]
}

function isPort(text = ''): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) <= 65_535
}

function isOurs(name: string): boolean {
  return OURS.some((ours) => ours.toLowerCase() === name.toLowerCase())
}

function setOrDelete(head: Head, name: string, value: string | undefined): void {
  if (value) head.set(name, value)
  else head.delete(name)
}
