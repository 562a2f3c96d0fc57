import type { ClientInfo, Head } from '../../index.ts'
import { networkOf, normalize } from '../../ip.ts'
import { Networks } from '../../proxy/index.ts'
import type { Config } from '../config/index.ts'
import { Forwarded } from './forwarded.ts'

/**
 * Tells for which client a connection or a request counts in the limits per client. Undefined: for none, because it has
 * no address, or because the address is that of a trusted proxy.
 */
export class ClientKeys {
  readonly #forwarded: Forwarded
  /** Proxies that speak for others. */
  readonly #proxies: Networks

  constructor({ trust, forwarded, proxyProtocol = [] }: Config) {
    this.#forwarded = new Forwarded(trust, forwarded || 'x')
    this.#proxies = new Networks('trust', [...trust, ...proxyProtocol])
  }

  ofConnection({ remoteAddress }: Pick<ClientInfo, 'remoteAddress'>): string | undefined {
    return remoteAddress === undefined ? undefined : this.#keyOf(normalize(remoteAddress))
  }

  /** Behind a trusted proxy, the client is the one that the request's fields name. */
  ofRequest(head: Head, client: ClientInfo): string | undefined {
    return this.#keyOf(this.#forwarded.clientAddress(head, client))
  }

  /** `address` is as `normalize` returns it, or empty. */
  #keyOf(address: string): string | undefined {
    return address === '' || this.#proxies.includes(address) ? undefined : networkOf(address)
  }
}
