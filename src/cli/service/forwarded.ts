import net from 'node:net'
import type { ClientInfo, Head } from '../../index.ts'
import { Networks, normalize } from '../../proxy/index.ts'
import { dropOptions } from './connection-field.ts'

const FOR = 'X-Forwarded-For'
const PROTO = 'X-Forwarded-Proto'
const HOST = 'X-Forwarded-Host'

/** What of a client it takes to know who it is. */
type Peer = Pick<ClientInfo, 'remoteAddress' | 'localPort' | 'encrypted'>

/** Tells backends, and the balancer, who a client is, past the proxies that are trusted. */
export class Forwarded {
  readonly #trust: Networks

  /**
   * `trust`: addresses, networks as in '10.0.0.0/8', and 'unix' for the clients of Unix sockets.
   * @throws {TypeError} on what is none of these
   */
  constructor(trust: readonly string[]) {
    this.#trust = new Networks('trust', trust)
  }

  /**
   * Writes X-Forwarded-For, -Proto and -Host. What stands there is kept where the peer is trusted, which is one more
   * on the way of X-Forwarded-For.
   */
  write(head: Head, client: Peer): void {
    // The preface of an HTTP/2 connection has no fields (RFC 9113 3.4).
    if (head.version === 'HTTP/2.0') return
    const peer = addressOf(client)
    const before = this.#trust.has(client) ? head : undefined
    setOrDelete(head, FOR, [before?.get(FOR), peer].filter(Boolean).join(', '))
    setOrDelete(head, PROTO, before?.get(PROTO) || (client.encrypted ? 'https' : 'http'))
    setOrDelete(head, HOST, before?.get(HOST) || head.get('host'))
    // A backend that is a proxy itself would take them out again where Connection names them (RFC 9110 7.6.1).
    dropOptions(head, [FOR, PROTO, HOST])
  }

  /**
   * The client's own address: the peer's, or where that is trusted the right-most of X-Forwarded-For that is not; where
   * all are, the left-most. Empty for the client of a Unix socket that nobody vouches for. What `write` writes does not
   * change it.
   */
  clientAddress(head: Head, client: Peer): string {
    const peer = addressOf(client) ?? ''
    if (!this.#trust.has(client)) return peer
    let found = peer
    for (const entry of (head.get(FOR) ?? '').split(',').reverse()) {
      const address = parseEntry(entry)
      // What a proxy wrote in place of an address tells nobody apart ('unknown').
      if (address === undefined) break
      found = address
      if (!this.#trust.includes(address)) break
    }
    return found
  }
}

/** The peer's address; undefined for the client of a Unix socket. */
function addressOf({ remoteAddress }: Peer): string | undefined {
  return remoteAddress === undefined ? undefined : normalize(remoteAddress)
}

/** An entry of X-Forwarded-For: an address, which some proxies write a port behind. */
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
