import net from 'node:net'
import { type Backoff, delayAfter } from '../../backoff.ts'
import { show } from '../../show.ts'
import type { Rule } from '../../validate.ts'
import { type Discovered, hostBackends, serviceBackends, usableRecords } from './records.ts'
import { isNotFound, NotFoundError, Resolver } from './resolver.ts'

/** A DNS name to resolve. No search domain is appended. */
export type Name = { dns: string; port: number } | { srv: string }

export interface DiscoverySettings {
  /** Addresses of name servers, each with an optional port; undefined: the system's. */
  readonly servers: readonly string[] | undefined
  /** Time between look-ups (ms); 0: the TTL. */
  readonly interval: number
  /** How long the last addresses stay after the DNS says that there are none (ms). */
  readonly hold: number
  /** Time-out of one query, retries and all servers included (ms). */
  readonly timeout: number
}

export interface DiscoveryEvents {
  /** All current backends, at least one, sorted by id. */
  found(list: readonly Discovered[]): void
  /** A look-up failed. The last backends stay valid. */
  failed(error: Error): void
  /** The DNS has said for `hold` ms that there are none: the last backends are no longer valid. Follows `failed`. */
  lost(): void
}

interface Answer {
  found: readonly Discovered[]
  /** TTL in seconds. Node gives none for SRV records: it is that of their addresses. */
  ttl: number
  /** Some queries failed, so backends may be missing. */
  isPartial: boolean
}

export interface Timing {
  /** Limits for the TTL (ms). */
  ttl: { min: number; max: number }
  /** Wait after failures. */
  retry: Backoff
  random(): number
}

const TIMING: Timing = { ttl: { min: 1000, max: 60_000 }, retry: { min: 1000, max: 30_000 }, random: Math.random }

/** RFC 1035 2.3.4, with the underscore of RFC 2782. International names must be in their ASCII form. */
const NAME = /^(?=.{1,254}$)(?:[a-z\d_-]{1,63}\.)*[a-z\d_-]{1,63}\.?$/i

export const dnsName: Rule = {
  expected: "a name of the DNS, as in 'app.internal'",
  validate: (value) => typeof value === 'string' && net.isIP(value) === 0 && NAME.test(value),
}

/** Keeps the list of backends of a DNS name up to date. */
export class Discovery {
  /** Resolves after the first look-up, successful or not, and when stopped. */
  readonly first: Promise<void>
  readonly #name: Name
  readonly #resolver: Resolver
  readonly #interval: number
  readonly #hold: number
  readonly #events: DiscoveryEvents
  readonly #timing: Timing
  #tried!: () => void
  #failures = 0
  /** Time between the last successful look-up and the next (ms). */
  #kept = Number.POSITIVE_INFINITY
  /** Since when the DNS has been saying that there is nothing. This and `#nextAt` are on the monotonic clock (ms). */
  #missingSince: number | undefined
  #isStopped = false
  #nextAt: number | undefined
  #timer: NodeJS.Timeout | undefined

  /** @throws {TypeError} for an invalid DNS name or server address */
  constructor(name: Name, settings: DiscoverySettings, events: DiscoveryEvents, timing: Timing = TIMING) {
    const [option, value] = 'srv' in name ? ['srv', name.srv] : ['dns', name.dns]
    if (!dnsName.validate(value)) throw new TypeError(`${option}: expected ${dnsName.expected}, got ${show(value)}`)
    this.#name = name
    this.#resolver = new Resolver(settings.servers ?? [], settings.timeout)
    this.#interval = settings.interval
    this.#hold = settings.hold
    this.#events = events
    this.#timing = timing
    this.first = new Promise((resolve) => {
      this.#tried = resolve
    })
    void this.#look()
  }

  /** ms until the next look-up; undefined during one. */
  get nextIn(): number | undefined {
    return this.#nextAt === undefined ? undefined : this.#nextAt - performance.now()
  }

  /** Stops all timers and queries. No event follows. */
  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#nextAt = undefined
    this.#resolver.stop()
    this.#tried()
  }

  // Events are emitted last: a listener may stop the discovery, or throw.

  async #look(): Promise<void> {
    this.#nextAt = undefined
    let answer: Answer
    try {
      answer = await this.#ask()
    } catch (error) {
      if (this.#isStopped) return
      return this.#failed(error as Error)
    }
    if (this.#isStopped) return
    this.#missingSince = undefined
    if (answer.isPartial) this.#retry()
    else this.#keep(answer.ttl)
    this.#events.found(answer.found)
  }

  #keep(ttl: number): void {
    this.#failures = 0
    const { min, max } = this.#timing.ttl
    this.#kept = this.#interval || Math.min(max, Math.max(min, ttl * 1000))
    this.#schedule(this.#kept)
  }

  #failed(error: Error): void {
    const now = performance.now()
    const isMissing = isNotFound(error)
    if (isMissing) this.#missingSince ??= now
    const left = this.#missingSince === undefined ? 0 : this.#missingSince + this.#hold - now
    const isLost = isMissing && left <= 0
    // Look up again when the hold time ends: that result decides.
    this.#retry(isMissing && left > 0 ? left : undefined)
    this.#events.failed(error)
    if (isLost && !this.#isStopped) this.#events.lost()
  }

  /** Schedules a retry after a failure, never later than after a success, so that an outage is not prolonged. */
  #retry(most = Number.POSITIVE_INFINITY): void {
    this.#failures++
    const delay = delayAfter(this.#failures, this.#timing.retry, this.#timing.random)
    this.#schedule(Math.ceil(Math.min(delay, this.#interval || this.#kept, most)))
  }

  async #ask(): Promise<Answer> {
    const name = this.#name
    if (!('srv' in name)) {
      const { lists, ...rest } = await this.#resolver.addresses([name.dns])
      return { found: hostBackends(lists[0]!, name.port), ...rest }
    }
    const records = usableRecords(await this.#resolver.service(name.srv))
    if (records.length === 0) throw new NotFoundError(`querySrv ${name.srv}: the service is not offered (RFC 2782)`)
    const targets = [...new Set(records.map((record) => record.name))]
    const { lists, ...rest } = await this.#resolver.addresses(targets)
    const byTarget = new Map(targets.map((target, i) => [target, lists[i]!]))
    return { found: serviceBackends(records, (target) => byTarget.get(target)!), ...rest }
  }

  #schedule(delay: number): void {
    this.#tried()
    this.#nextAt = performance.now() + delay
    this.#timer = setTimeout(() => void this.#look(), delay).unref()
  }
}
