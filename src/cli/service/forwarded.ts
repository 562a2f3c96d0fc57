import net from 'node:net'
import type { ClientInfo, Head } from '../../index.ts'
import { normalize } from '../../ip.ts'
import { Networks } from '../../proxy/index.ts'

const FOR = 'X-Forwarded-For'
const PROTO = 'X-Forwarded-Proto'
const HOST = 'X-Forwarded-Host'

// Origins that read fields as CGI variables (RFC 3875 4.1.18) take X_Forwarded_For for X-Forwarded-For, and some any
// other punctuation too.
const LOOKALIKE = /^x[^a-z\d]forwarded[^a-z\d](?:for|proto|host)$/i
const OURS = /^x-forwarded-[a-z]+$/i

type Peer = Pick<ClientInfo, 'transport' | 'remoteAddress' | 'encrypted'>

/** Some proxies write the scheme of a WebSocket. */
const SCHEMES: Readonly<Record<string, Origin['scheme']>> = { http: 'http', https: 'https', ws: 'http', wss: 'https' }

export interface Origin {
  scheme: 'http' | 'https'
  /** Undefined for HTTP/1.0 without Host. */
  authority: string | undefined
}

/** Writes the X-Forwarded fields, and finds a client's own address behind trusted proxies. */
export class Forwarded {
  readonly #trust: Networks

  /**
   * `trust`: addresses, networks such as '10.0.0.0/8', and 'unix' for clients of Unix sockets.
   * @throws {TypeError} on any other value
   */
  constructor(trust: readonly string[]) {
    this.#trust = new Networks('trust', trust)
  }

  /**
   * Writes X-Forwarded-For, -Proto and -Host. Values from a trusted peer are kept, and its address is appended to
   * X-Forwarded-For. Others are replaced. Fields that an origin could mistake for these are always removed, even from
   * a trusted peer.
   */
  write(head: Head, client: Peer): void {
    // The preface of an HTTP/2 connection has no fields (RFC 9113 3.4).
    if (head.version === 'HTTP/2.0') return
    const names = [...head].map(([name]) => name)
    for (const name of names) if (LOOKALIKE.test(name) && !OURS.test(name)) head.delete(name)
    const peer = addressOf(client)
    const before = this.#trust.has(client) ? head : undefined
    setOrDelete(head, FOR, [before?.get(FOR), peer].filter(Boolean).join(', '))
    setOrDelete(head, PROTO, before?.get(PROTO) || (client.encrypted ? 'https' : 'http'))
    setOrDelete(head, HOST, before?.get(HOST) || head.get('host'))
  }

  /**
   * The client's own address: the peer's, or behind a trusted peer the right-most untrusted entry of X-Forwarded-For, or
   * the left-most entry if all are trusted. Empty for an untrusted client of a Unix socket. `write` does not change it.
   */
  clientAddress(head: Head, client: Peer): string {
    return this.#find(head, client).address ?? addressOf(client) ?? ''
  }

  /**
   * How the client itself came: scheme and authority of its own request. Call it before `write`. Behind a trusted peer,
   * X-Forwarded-Proto and X-Forwarded-Host say so. If they are lists, the entry counts that is as far from the right as
   * the client's own in X-Forwarded-For: what is left of it may come from the client.
   */
  origin(head: Head, client: Peer): Origin {
    const isTrusted = this.#trust.has(client)
    const { distance } = this.#find(head, client)
    const entry = (name: string) => (isTrusted ? entryOf(head.get(name), distance) : undefined)
    const scheme = entry(PROTO)?.toLowerCase()
    const known = scheme === undefined ? undefined : SCHEMES[scheme]
    return { scheme: known ?? (client.encrypted ? 'https' : 'http'), authority: entry(HOST) ?? head.get('host') }
  }

  /** The entry of X-Forwarded-For that is the client's own, and the number of entries to the right of it. */
  #find(head: Head, client: Peer): { address?: string; distance: number } {
    let found: { address?: string; distance: number } = { distance: 0 }
    if (!this.#trust.has(client)) return found
    for (const [distance, entry] of (head.get(FOR) ?? '').split(',').reverse().entries()) {
      const address = parseEntry(entry)
      // Not an address, such as 'unknown': it does not identify a client.
      if (address === undefined) break
      found = { address, distance }
      if (!this.#trust.includes(address)) break
    }
    return found
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

/** Parses an entry of X-Forwarded-For. Some proxies add a port to the address. */
function parseEntry(entry: string): string | undefined {
  const text = entry.trim()
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  const address = normalize(bare)
  return net.isIP(address) === 0 ? undefined : address
}

function setOrDelete(head: Head, name: string, value: string | undefined): void {
  if (value) head.set(name, value)
  else head.delete(name)
}
