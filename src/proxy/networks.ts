import net from 'node:net'
import { normalize } from '../ip.ts'
import { remember } from '../remember.ts'

type Family = 'ipv4' | 'ipv6'

/** The part of a ClientInfo that `Networks` needs. */
export interface Peer {
  readonly transport: string
  readonly remoteAddress: string | undefined
}

/** Describes an entry of a list of networks, for error messages. */
export const NETWORK_FORMS = "an address, a network as in '10.0.0.0/8', or 'unix'"

/** Maximum number of addresses whose answer is kept. */
const MAX_KNOWN = 1_000

/** A list of addresses, networks such as '10.0.0.0/8', and 'unix' for clients of Unix sockets. */
export class Networks {
  readonly #addresses = new net.BlockList()
  /** It remembers, because a check of the list costs as much as the rest of a request's routing. */
  readonly #check = remember(MAX_KNOWN, (address) => this.#addresses.check(address, familyOf(address)))
  #isEmpty = true
  #hasUnix = false

  /** `name` is the option in the error. @throws {TypeError} on an invalid entry */
  constructor(name: string, list: readonly string[]) {
    for (const one of list) {
      const network = one === 'unix' ? undefined : parse(one)
      if (network) {
        this.#addresses.addSubnet(network.address, network.bits, network.family)
        this.#isEmpty = false
      } else if (one === 'unix') this.#hasUnix = true
      else throw new TypeError(`${name}: expected ${NETWORK_FORMS}, got ${JSON.stringify(one)}`)
    }
  }

  /** Whether the peer's address is in the list. */
  has({ remoteAddress, transport }: Peer): boolean {
    if (remoteAddress !== undefined) return this.includes(normalize(remoteAddress))
    return this.#hasUnix && transport === 'unix'
  }

  /** Whether an address, as `normalize` returns it, is in the list. */
  includes(address: string): boolean {
    return !this.#isEmpty && this.#check(address)
  }
}

/** Whether a value is a valid entry of a list of networks. */
export function isNetwork(value: unknown): value is string {
  return typeof value === 'string' && (value === 'unix' || parse(value) !== undefined)
}

function parse(text: string): { address: string; bits: number; family: Family } | undefined {
  const [, given = '', prefix] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  if (net.isIP(given) === 0) return undefined
  const address = normalize(given)
  const family = familyOf(address)
  const most = family === 'ipv4' ? 32 : 128
  // The prefix of an IPv4-mapped address includes its 96 leading bits.
  const bits = prefix === undefined ? most : Number(prefix) - (net.isIPv6(given) && family === 'ipv4' ? 96 : 0)
  return bits >= 0 && bits <= most ? { address, bits, family } : undefined
}

function familyOf(address: string): Family {
  return net.isIPv6(address) ? 'ipv6' : 'ipv4'
}
