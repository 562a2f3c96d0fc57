import net from 'node:net'
import type { ClientInfo } from './options.ts'

type Family = 'ipv4' | 'ipv6'

/** What of an accepted connection it takes to know whose it is. */
export type Peer = Pick<ClientInfo, 'remoteAddress' | 'localPort'>

/** What a list of networks has in it, in words. */
export const NETWORK_TAKES = "an address, a network as in '10.0.0.0/8', or 'unix'"

/** Addresses, networks as in '10.0.0.0/8', and 'unix' for the clients of Unix sockets. */
export class Networks {
  readonly #addresses = new net.BlockList()
  #hasUnix = false

  /** @throws {TypeError} on what is none of these; `name` is what the error calls the list */
  constructor(name: string, list: readonly string[]) {
    for (const one of list) {
      const network = one === 'unix' ? undefined : parse(one)
      if (network) this.#addresses.addSubnet(network.address, network.bits, network.family)
      else if (one === 'unix') this.#hasUnix = true
      else throw new TypeError(`${name}: got ${JSON.stringify(one)}; takes ${NETWORK_TAKES}`)
    }
  }

  /** Whether they have who is at the other end of a connection. */
  has(peer: Peer): boolean {
    const { remoteAddress, localPort } = peer
    if (remoteAddress !== undefined) return this.includes(normalize(remoteAddress))
    // A TCP client that has left meanwhile has no address either, but its socket still has a port of ours.
    return this.#hasUnix && localPort === undefined
  }

  /** `address` as `normalize` gives it. */
  includes(address: string): boolean {
    return this.#addresses.check(address, familyOf(address))
  }
}

/** Whether a list of networks can have it in it. */
export function isNetwork(value: unknown): value is string {
  return typeof value === 'string' && (value === 'unix' || parse(value) !== undefined)
}

function parse(text: string): { address: string; bits: number; family: Family } | undefined {
  const [, given = '', prefix] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  if (net.isIP(given) === 0) return undefined
  const address = normalize(given)
  const family = familyOf(address)
  const most = family === 'ipv4' ? 32 : 128
  // A network of mapped addresses is one of IPv4.
  const bits = prefix === undefined ? most : Number(prefix) - (net.isIPv6(given) && family === 'ipv4' ? 96 : 0)
  return bits >= 0 && bits <= most ? { address, bits, family } : undefined
}

function familyOf(address: string): Family {
  return net.isIPv6(address) ? 'ipv6' : 'ipv4'
}

/** An address in its shortest form, without its zone, and in that of IPv4 where it is a mapped one (RFC 4291 2.5.5.2). */
export function normalize(address: string): string {
  const plain = address.replace(/%.*/s, '')
  if (!net.isIPv6(plain)) return plain
  // URLs have one form for each address, the one of RFC 5952.
  const short = new URL(`http://[${plain}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short) ?? []
  if (high === undefined || low === undefined) return short
  return [high, low].flatMap((half) => [Number.parseInt(half, 16) >> 8, Number.parseInt(half, 16) & 255]).join('.')
}
