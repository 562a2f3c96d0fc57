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
    const peer = addressOf(client) ?? ''
    if (!this.#trust.has(client)) return peer
    let found = peer
    for (const entry of (head.get(FOR) ?? '').split(',').reverse()) {
      const address = parseEntry(entry)
      // Not an address, such as 'unknown': it does not identify a client.
      if (address === undefined) break
      found = address
      if (!this.#trust.includes(address)) break
    }
    return found
  }
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
