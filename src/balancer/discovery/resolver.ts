import type { SrvRecord } from 'node:dns'
import { Resolver as NodeResolver } from 'node:dns/promises'

/** Names resolved at a time: many more would flood the server, or our own socket. */
const AT_A_TIME = 16
/** Each query is sent twice; the second waits twice as long. */
const TRIES = 2
const SHARES = 3
/**
 * Codes that say that the name or record does not exist. All others are failures on the way and say nothing about the
 * name.
 */
const NOT_FOUND: ReadonlySet<unknown> = new Set(['ENODATA', 'ENOTFOUND'])

/** The DNS answered, but without an address. */
export class NotFoundError extends Error {
  readonly code = 'ENODATA'
}

/** Whether the DNS said that there is nothing, rather than failed to answer. */
export function isNotFound(error: unknown): boolean {
  return NOT_FOUND.has(codeOf(error))
}

export interface Addresses {
  /**
   * The addresses of each name, in order; empty if it has none. IPv6 only if there is no IPv4: a host with both is one
   * host.
   */
  lists: string[][]
  /** The lowest TTL of all, in seconds. */
  ttl: number
  /** Some queries failed. */
  isPartial: boolean
}

interface Address {
  address: string
  ttl: number
}

/** Queries name servers. */
export class Resolver {
  readonly #servers: readonly string[]
  readonly #timeout: number
  #resolver: NodeResolver
  #isStopped = false
  /** Last known addresses by query. */
  #known: ReadonlyMap<string, readonly Address[]> = new Map()

  /**
   * `timeout` (ms) covers one query with its retries to all servers. No servers: the system's.
   * @throws {TypeError} for an invalid server address
   */
  constructor(servers: readonly string[], timeout: number) {
    this.#servers = servers
    this.#timeout = timeout
    this.#resolver = this.#newResolver()
  }

  async service(name: string): Promise<SrvRecord[]> {
    return this.#within(() => this.#resolver.resolveSrv(name))
  }

  /**
   * Resolves the addresses of names. If a query fails, its last result stands in, so that an unreachable server does
   * not remove a host.
   * @throws the DNS error, if there is not one address
   */
  async addresses(names: readonly string[]): Promise<Addresses> {
    const answers = new Map<string, readonly Address[]>()
    const errors: unknown[] = []
    let isFresh = false
    let isPartial = false
    const ask = async (question: string, query: () => Promise<Address[]>) => {
      let answer: readonly Address[] | undefined
      try {
        answer = await query()
        isFresh = true
      } catch (error) {
        errors.push(error)
        answer = isNotFound(error) ? [] : this.#known.get(question)
      }
      if (answer) answers.set(question, answer)
      else isPartial = true
      return answer
    }
    const of = async (name: string) => {
      const four = await ask(`A ${name}`, () => this.#resolver.resolve4(name, { ttl: true }))
      // If the IPv4 query failed, do not fall back to IPv6: other machines may see IPv4 and choose another backend.
      if (four?.length !== 0) return four ?? []
      return (await ask(`AAAA ${name}`, () => this.#resolver.resolve6(name, { ttl: true }))) ?? []
    }
    const all: (readonly Address[])[] = []
    for (let i = 0; i < names.length; i += AT_A_TIME) {
      all.push(...(await this.#within(() => Promise.all(names.slice(i, i + AT_A_TIME).map(of)))))
    }
    if (!isFresh || all.every(({ length }) => length === 0)) {
      throw this.#describe(errors.find((error) => !isNotFound(error)) ?? errors[0])
    }
    this.#known = answers
    return {
      lists: all.map((addresses) => addresses.map(({ address }) => address)),
      ttl: Math.min(...all.flat().map(({ ttl }) => ttl)),
      isPartial,
    }
  }

  /** Cancels open queries and starts no more. */
  stop(): void {
    this.#isStopped = true
    this.#resolver.cancel()
  }

  #newResolver(): NodeResolver {
    const patience = Math.ceil(this.#timeout / (SHARES * Math.max(1, this.#servers.length)))
    const resolver = new NodeResolver({ timeout: patience, tries: TRIES })
    if (this.#servers.length > 0) resolver.setServers(this.#servers)
    return resolver
  }

  /** Node's own resolver time-out is coarse: at least 250 ms. */
  async #within<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#isStopped) throw new Error('stopped')
    // Resolvers of early Node 20.19 cache answers for their TTL, although we ask more often.
    this.#resolver = this.#newResolver()
    const timer = setTimeout(() => this.#resolver.cancel(), this.#timeout).unref()
    try {
      return await ask()
    } catch (error) {
      throw this.#describe(error)
    } finally {
      clearTimeout(timer)
    }
  }

  #describe(error: unknown): unknown {
    if (codeOf(error) !== 'ECANCELLED') return error
    return new Error(`no answer within ${this.#timeout} ms`, { cause: error })
  }
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code
}
