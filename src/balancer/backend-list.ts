import { inspect, isDeepStrictEqual } from 'node:util'
import { Backend } from './backend.ts'
import { type BackendSettings, type DnsSourceSettings, isDnsSource, type Spec, takenError } from './backend-options.ts'
import { DnsSource } from './dns-source.ts'
import type { Emit } from './events.ts'
import type { BalancerSettings } from './options.ts'
import { type Protocol, protocolsOf, speaks } from './protocol.ts'
import { RecentlyRemoved } from './recently-removed.ts'
import { stickyValues } from './sticky-value.ts'

type Settings = Pick<BalancerSettings, 'health' | 'backoff' | 'eject' | 'slowStart' | 'keys' | 'dns'>

/** ms that a removed backend has to accept the clients that are connecting to it. Then they try another one. */
const LAST_CONNECTS_MS = 1_000

export interface BackendListEvents {
  created(backend: Backend): void
  /** A backend's availability, weight or number of connections has changed. */
  changed(backend: Backend): void
  /** The list of backends, its order or its settings have changed. */
  rebuilt(backends: Iterable<Backend>): void
}

/** All backends: those configured one by one and those from the DNS. */
export class BackendList {
  readonly #emit: Emit
  readonly #events: BackendListEvents
  #settings: Settings
  /** Backends and DNS names in the order of the options. */
  #entries: (BackendSettings | DnsSource)[] = []
  #backends: ReadonlyMap<string, Backend> = new Map()
  #values: ReadonlyMap<string, readonly string[]> = new Map()
  #homes: ReadonlyMap<string, Backend> = new Map()
  readonly #recentlyRemoved = new RecentlyRemoved()
  /** Backends removed by an update. They stay until a new DNS name resolves. */
  #leaving = new Map<string, BackendSettings>()

  constructor(settings: BalancerSettings, emit: Emit, events: BackendListEvents) {
    this.#emit = emit
    this.#events = events
    this.#settings = settings
    this.update(settings)
  }

  get backends(): Iterable<Backend> {
    return this.#backends.values()
  }

  /** Removed backends that still have open connections. */
  get removed(): Iterable<Backend> {
    return this.#recentlyRemoved.open
  }

  /** The backend of a sticky value, if it speaks the client's protocol. */
  home(value: string, protocol: Protocol): Backend | undefined {
    const home = this.#homes.get(value)
    return home && speaks(home, protocol) ? home : undefined
  }

  /** Whether a backend speaks a protocol, or one that a DNS name may bring. An empty list may get one later. */
  hasFor(protocol: Protocol): boolean {
    return this.#entries.length === 0 || this.#entries.some((entry) => speaks({ settings: entry }, protocol))
  }

  /** Whether a backend is in the list: it has not been removed or replaced. */
  includes(backend: Backend): boolean {
    return this.#backends.get(backend.id) === backend
  }

  /** A backend's sticky value; empty if it has just been removed. */
  sticky({ id }: Backend): string {
    return this.#values.get(id)?.[0] ?? ''
  }

  /** @throws {RangeError} for an unknown id */
  get(id: string): Backend {
    const backend = this.#backends.get(id)
    if (!backend) throw unknown(id)
    return backend
  }

  /**
   * Sets or takes away an operator's weight.
   * @throws {RangeError} for an unknown id
   */
  setWeight(id: string, weight: number | undefined): void {
    this.get(id).setWeight(weight)
    this.#events.rebuilt(this.backends)
  }

  /** Whole seconds until the next probe of a backend that is down. */
  get retryAfter(): number {
    let least = Number.POSITIVE_INFINITY
    for (const { retryIn } of this.backends) if (retryIn !== undefined) least = Math.min(least, retryIn)
    return Number.isFinite(least) ? Math.max(1, Math.ceil(least / 1000)) : 1
  }

  /** @throws {TypeError} if the id, its sticky value or the DNS name is in use */
  add(place: string, spec: Spec): void {
    const isTaken = isDnsSource(spec)
      ? this.#names.some(({ source }) => source === spec.source)
      : !this.#leaving.has(spec.id) &&
        stickyValues(spec.id, this.#settings.keys).some((value) => this.#homes.has(value))
    if (isTaken) throw takenError(place, spec)
    this.#entries.push(isDnsSource(spec) ? this.#start(spec) : spec)
    this.#rebuild()
  }

  /**
   * Removes a backend or a DNS name.
   * @throws {RangeError} for an unknown id
   */
  remove(id: string): void {
    const name = this.#backends.has(id) ? undefined : this.#names.find(({ source }) => source === id)
    if (name) {
      name.stop()
      this.#entries = this.#entries.filter((entry) => entry !== name)
    } else {
      this.get(id)
      this.#entries = this.#entries.filter((entry) => entry instanceof DnsSource || entry.id !== id)
      this.#leaving.delete(id)
      // The DNS may go on returning it.
      for (const one of this.#names) one.remove(id)
    }
    this.#rebuild()
  }

  /** Replaces all backends, but keeps those that stay the same. */
  update(settings: BalancerSettings): void {
    const before = this.#settings
    const names = new Map(this.#names.map((name) => [name.source, name]))
    const isSameDns = isDeepStrictEqual(settings.dns, before.dns)
    let isNew = false
    if (!areSame(settings.keys, before.keys)) this.#values = new Map()
    this.#settings = settings
    this.#entries = settings.specs.map((spec) => {
      if (!isDnsSource(spec)) return spec
      const name = names.get(spec.source)
      if (name && isSameDns) {
        names.delete(spec.source)
        name.adjust(spec)
        return name
      }
      isNew ||= !name
      return this.#start(spec, name)
    })
    for (const name of names.values()) name.stop()
    if (isNew) this.#leaving = new Map([...this.backends].map((backend) => [backend.id, backend.settings]))
    else if (this.#names.every(({ isFound }) => isFound)) this.#leaving = new Map()
    const isSameHealth = isDeepStrictEqual([settings.health, settings.backoff], [before.health, before.backoff])
    if (!isSameHealth) for (const backend of this.backends) backend.restartHealth(settings)
    this.#rebuild()
  }

  /** Resolves after the first look-up of every DNS name, successful or not. */
  async resolved(): Promise<void> {
    await Promise.all(this.#names.map(({ first }) => first))
  }

  stop(): void {
    this.#leaving = new Map()
    for (const name of this.#names) name.stop()
    for (const backend of this.backends) backend.stop()
  }

  get #names(): DnsSource[] {
    return this.#entries.filter((entry) => entry instanceof DnsSource)
  }

  #start(settings: DnsSourceSettings, before?: DnsSource): DnsSource {
    const { source } = settings
    return new DnsSource(
      settings,
      this.#settings.dns,
      {
        resolved: (count, isFirst) => {
          if (isFirst) this.#leaving = new Map()
          this.#rebuild()
          this.#emit('resolved', source, count)
        },
        unresolved: (error) => this.#emit('unresolved', source, error),
      },
      before,
    )
  }

  /** Recomputes the backends from the entries. */
  #rebuild(): void {
    const wanted = this.#wanted()
    this.#recentlyRemoved.prune(new Set(this.#names.map(({ source }) => source)))
    const before = this.#backends
    const after = new Map<string, Backend>()
    const homes = new Map<string, Backend>()
    for (const settings of wanted) {
      const known = before.get(settings.id)
      const backend = known?.matches(settings) ? known : this.#findOrCreate(settings)
      backend.adjust(settings, this.#settings)
      after.set(backend.id, backend)
      for (const value of this.#values.get(backend.id)!) homes.set(value, backend)
    }
    this.#backends = after
    this.#homes = homes
    const gone = [...before.values()].filter((backend) => after.get(backend.id) !== backend)
    const come = [...after.values()].filter((backend) => before.get(backend.id) !== backend)
    // Only those from the DNS keep what an operator did to them.
    for (const backend of come.filter(({ settings }) => settings.source === undefined)) {
      backend.setDraining('operator', false)
      backend.setWeight(undefined)
    }
    this.#events.rebuilt(this.backends)
    for (const backend of gone) {
      backend.remove()
      this.#recentlyRemoved.add(backend)
    }
    for (const { status } of gone) this.#emit('remove', status)
    for (const { status } of come) this.#emit('add', status)
    // No check is left to end its drain.
    if (!this.#settings.health) for (const backend of after.values()) backend.setDraining('check', false)
    const busy = gone.filter(({ connections }) => connections > 0)
    if (busy.length > 0) setTimeout(() => this.#abandonConnects(busy), LAST_CONNECTS_MS).unref()
  }

  /**
   * A removed backend has no health checks that would notice its loss. Its clients stay if no other backend takes new
   * clients of each protocol that it speaks.
   */
  #abandonConnects(removed: readonly Backend[]): void {
    const others = [...this.backends].filter((one) => one.acceptsNew)
    for (const backend of removed) {
      const isReplaceable = protocolsOf(backend).every((protocol) => others.some((one) => speaks(one, protocol)))
      if (isReplaceable && !this.includes(backend)) backend.abandonConnects(new Error('the backend was removed'))
    }
  }

  /**
   * The settings of all backends, without duplicate ids or sticky values. Configured backends win over those from the
   * DNS.
   */
  #wanted(): BackendSettings[] {
    const values = new Map<string, readonly string[]>()
    const taken = new Set<string>()
    const take = ({ id }: BackendSettings) => {
      const own = this.#values.get(id) ?? stickyValues(id, this.#settings.keys)
      if (own.some((value) => taken.has(value))) return false
      for (const value of own) taken.add(value)
      values.set(id, own)
      return true
    }
    for (const entry of this.#entries) if (!(entry instanceof DnsSource)) take(entry)
    const wanted = this.#entries.flatMap((entry) =>
      entry instanceof DnsSource ? entry.backends.filter(take) : [entry],
    )
    // A new backend with the id of a leaving one replaces it.
    this.#leaving = new Map([...this.#leaving].filter(([, settings]) => take(settings)))
    wanted.push(...this.#leaving.values())
    this.#values = values
    return wanted
  }

  /** Whether at least half of the backends are left without this one, for clients of each protocol that it speaks. */
  #mayEject(backend: Backend): boolean {
    if (!this.includes(backend)) return false
    return protocolsOf(backend).every((protocol) => {
      const all = [...this.backends].filter((one) => speaks(one, protocol))
      const left = all.filter((one) => one !== backend && one.isAvailable && !one.isDraining)
      return 2 * left.length >= all.length
    })
  }

  #findOrCreate(settings: BackendSettings): Backend {
    const known = this.#recentlyRemoved.take(settings)
    if (known) {
      known.restartHealth(this.#settings)
      return known
    }
    const backend = new Backend(settings, this.#settings, {
      changed: () => this.#events.changed(backend),
      up: () => this.#emit('up', backend.status),
      down: (cause) => this.#emit('down', backend.status, cause),
      ejected: (cause) => this.#emit('eject', backend.status, cause),
      drains: (isDraining, by) => this.#emit(isDraining ? 'drain' : 'ready', backend.status, by),
      returned: () => this.#emit('uneject', backend.status),
      mayEject: () => this.#mayEject(backend),
    })
    this.#events.created(backend)
    return backend
  }
}

function areSame(some: Settings['keys'], others: Settings['keys']): boolean {
  return some.length === others.length && some.every((key, i) => key.equals(others[i]!))
}

function unknown(id: string): RangeError {
  return new RangeError(`id: expected the id of a backend, got ${inspect(id)}`)
}
