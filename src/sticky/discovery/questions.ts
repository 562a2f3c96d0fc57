import type { SrvRecord } from 'node:dns'
import { Resolver } from 'node:dns/promises'

/** Names whose addresses are asked for at a time: many more would flood the server, or our own socket. */
const AT_A_TIME = 16
/** Each question is asked twice, the second time with twice the patience. */
const TRIES = 2
const SHARES = 3
/** The name, or what is asked of it, is not there. All else is trouble on the way, and says nothing of the name. */
const NOT_THERE: ReadonlySet<unknown> = new Set(['ENODATA', 'ENOTFOUND'])

export interface Addresses {
  /**
   * Of each name, in the order of the names; none where there is none. IPv6 where there is no IPv4: a host that has both
   * is still one host.
   */
  lists: string[][]
  /** s for which they may be kept: the least of all. */
  ttl: number
  /** Of some it is not known whether there are any. */
  isPartial: boolean
}

interface Address {
  address: string
  ttl: number
}

/** Asks name servers. */
export class Questions {
  readonly #servers: readonly string[]
  readonly #timeout: number
  #resolver: Resolver
  #isStopped = false
  /** The addresses of the last time, by question. */
  #known: ReadonlyMap<string, readonly Address[]> = new Map()

  /**
   * `timeout` (ms) is for one question, with its repeats, to all of the servers; none: those of the system.
   * @throws {TypeError} on what is no address of a server
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
   * What there was of a name the last time stands in for what trouble keeps from being asked now, so that a family or
   * a target whose server is away is not gone.
   * @throws what the DNS said, where it gave not one address
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
        answer = NOT_THERE.has(codeOf(error)) ? [] : this.#known.get(question)
      }
      if (answer) answers.set(question, answer)
      else isPartial = true
      return answer
    }
    const of = async (name: string) => {
      const four = await ask(`A ${name}`, () => this.#resolver.resolve4(name, { ttl: true }))
      // Where it is not known whether it has IPv4, it might stand for others than on every other machine.
      if (four?.length !== 0) return four ?? []
      return (await ask(`AAAA ${name}`, () => this.#resolver.resolve6(name, { ttl: true }))) ?? []
    }
    const all: (readonly Address[])[] = []
    for (let i = 0; i < names.length; i += AT_A_TIME) {
      all.push(...(await this.#within(() => Promise.all(names.slice(i, i + AT_A_TIME).map(of)))))
    }
    if (!isFresh || all.every(({ length }) => length === 0)) {
      throw this.#inWords(errors.find((error) => !NOT_THERE.has(codeOf(error))) ?? errors[0])
    }
    this.#known = answers
    return {
      lists: all.map((addresses) => addresses.map(({ address }) => address)),
      ttl: Math.min(...all.flat().map(({ ttl }) => ttl)),
      isPartial,
    }
  }

  /** Cancels the questions that are open, and asks no more. */
  stop(): void {
    this.#isStopped = true
    this.#resolver.cancel()
  }

  #newResolver(): Resolver {
    const patience = Math.ceil(this.#timeout / (SHARES * Math.max(1, this.#servers.length)))
    const resolver = new Resolver({ timeout: patience, tries: TRIES })
    if (this.#servers.length > 0) resolver.setServers(this.#servers)
    return resolver
  }

  /** The resolver's own time-out is rough: 250 ms at the least. */
  async #within<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#isStopped) throw new Error('stopped')
    // Those of early Node 20.19 keep answers for as long as their TTL says, also where we ask more often.
    this.#resolver = this.#newResolver()
    const timer = setTimeout(() => this.#resolver.cancel(), this.#timeout).unref()
    try {
      return await ask()
    } catch (error) {
      throw this.#inWords(error)
    } finally {
      clearTimeout(timer)
    }
  }

  #inWords(error: unknown): unknown {
    if (codeOf(error) !== 'ECANCELLED') return error
    return new Error(`no answer within ${this.#timeout} ms`, { cause: error })
  }
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code
}
