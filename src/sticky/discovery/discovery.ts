import net from 'node:net'
import { inspect } from 'node:util'
import type { Rule } from '../../proxy/index.ts'
import { type Backoff, delayAfter } from '../backoff.ts'
import { Questions } from './questions.ts'
import { type Found, hostBackends, serviceBackends, usableRecords } from './records.ts'

/** A name of the DNS that stands for backends. It is asked for as it is: no search domain is put behind it. */
export type Name = { dns: string; port: number } | { srv: string }

export interface DiscoverySettings {
  /** Addresses of name servers, each with an optional port; none: the system's. */
  readonly servers: readonly string[] | undefined
  /** ms between two look-ups; 0: as long as the answers may be kept. */
  readonly interval: number
  /** ms for one question, with its repeats, to all of the servers. */
  readonly timeout: number
}

export interface DiscoveryEvents {
  /** The backends of now: all of them, at least one, in the order of their ids. */
  found(list: readonly Found[]): void
  /** A look-up gave nothing: what was found before stays. */
  failed(error: Error): void
}

interface Answer {
  found: readonly Found[]
  /** s for which it may be kept. Node gives no TTL for SRV itself: the addresses' own. */
  ttl: number
  /** There may be more, which could not be asked for. */
  isPartial: boolean
}

export interface Pace {
  /** ms that an answer is kept at the least and at the most, whatever its TTL. */
  ttl: { min: number; max: number }
  /** Between failures. */
  retry: Backoff
  random(): number
}

const PACE: Pace = { ttl: { min: 1000, max: 60_000 }, retry: { min: 1000, max: 30_000 }, random: Math.random }

/** RFC 1035 2.3.4, with the underscore of RFC 2782. Other scripts are not translated: what would be asked for is to be seen. */
const NAME = /^(?=.{1,254}$)(?:[a-z\d_-]{1,63}\.)*[a-z\d_-]{1,63}\.?$/i

export const dnsName: Rule = {
  takes: "a name of the DNS, as in 'app.internal'",
  isRight: (value) => typeof value === 'string' && net.isIP(value) === 0 && NAME.test(value),
}

/** Keeps the list of backends that a name of the DNS stands for. */
export class Discovery {
  /** Resolves after the first look-up, for better or worse, or when stopped. */
  readonly first: Promise<void>
  readonly #name: Name
  readonly #questions: Questions
  readonly #interval: number
  readonly #events: DiscoveryEvents
  readonly #pace: Pace
  #tried!: () => void
  #failures = 0
  #isStopped = false
  #nextAt: number | undefined
  #timer: NodeJS.Timeout | undefined

  /** @throws {TypeError} on what is no name of the DNS, or no address of a server */
  constructor(name: Name, settings: DiscoverySettings, events: DiscoveryEvents, pace: Pace = PACE) {
    const [option, value] = 'srv' in name ? ['srv', name.srv] : ['dns', name.dns]
    if (!dnsName.isRight(value)) throw new TypeError(`${option}: got ${inspect(value)}; takes ${dnsName.takes}`)
    this.#name = name
    this.#questions = new Questions(settings.servers ?? [], settings.timeout)
    this.#interval = settings.interval
    this.#events = events
    this.#pace = pace
    this.first = new Promise((resolve) => {
      this.#tried = resolve
    })
    void this.#look()
  }

  /** ms since 1970 of the next look-up; undefined while one goes on. */
  get nextAt(): number | undefined {
    return this.#nextAt
  }

  /** No event comes after this, and no timer and no question is left. */
  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#nextAt = undefined
    this.#questions.stop()
    this.#tried()
  }

  // Each event comes last: whoever hears it may stop us, or throw.

  async #look(): Promise<void> {
    this.#nextAt = undefined
    let answer: Answer
    try {
      answer = await this.#ask()
    } catch (error) {
      if (this.#isStopped) return
      this.#retry()
      return this.#events.failed(error as Error)
    }
    if (this.#isStopped) return
    if (answer.isPartial) this.#retry()
    else this.#keep(answer.ttl)
    this.#events.found(answer.found)
  }

  #keep(ttl: number): void {
    this.#failures = 0
    const { min, max } = this.#pace.ttl
    this.#schedule(this.#interval || Math.min(max, Math.max(min, ttl * 1000)))
  }

  #retry(): void {
    this.#failures++
    this.#schedule(delayAfter(this.#failures, this.#pace.retry, this.#pace.random))
  }

  async #ask(): Promise<Answer> {
    const name = this.#name
    if (!('srv' in name)) {
      const { lists, ...rest } = await this.#questions.addresses([name.dns])
      return { found: hostBackends(lists[0]!, name.port), ...rest }
    }
    const records = usableRecords(await this.#questions.service(name.srv))
    if (records.length === 0) throw new Error(`querySrv ${name.srv}: the service is not offered (RFC 2782)`)
    const targets = [...new Set(records.map((record) => record.name))]
    const { lists, ...rest } = await this.#questions.addresses(targets)
    const byTarget = new Map(targets.map((target, i) => [target, lists[i]!]))
    return { found: serviceBackends(records, (target) => byTarget.get(target)!), ...rest }
  }

  #schedule(delay: number): void {
    this.#tried()
    this.#nextAt = Date.now() + delay
    this.#timer = setTimeout(() => void this.#look(), delay).unref()
  }
}
