import { inspect, isDeepStrictEqual } from 'node:util'
import { stickyValues } from '../secret.ts'
import { Backend, type BackendSettings } from './backend.ts'
import { isName, type NameSettings, type Spec, takenError } from './backend-options.ts'
import { DnsName } from './dns-name.ts'
import type { Tell } from './events.ts'
import type { BalancerSettings } from './options.ts'

type Settings = Pick<BalancerSettings, 'health' | 'backoff' | 'keys' | 'dns'>

/** The backends there are: those that were named one by one, and those that the DNS names. */
export class Pool {
  readonly #tell: Tell
  readonly #made: (backend: Backend) => void
  #settings: Settings
  /** In the order in which they were given. */
  #entries: (BackendSettings | DnsName)[] = []
  #backends: ReadonlyMap<string, Backend> = new Map()
  #values: ReadonlyMap<string, readonly string[]> = new Map()
  #homes: ReadonlyMap<string, Backend> = new Map()
  /** Those that the DNS no longer names, while they have connections, or drain. */
  readonly #absent = new Map<string, Backend>()
  /** Those that an update took out: where there is no other, they stay until the names that it brought are looked up. */
  #leaving = new Map<string, BackendSettings>()

  constructor(settings: BalancerSettings, tell: Tell, made: (backend: Backend) => void) {
    this.#tell = tell
    this.#made = made
    this.#settings = settings
    this.update(settings)
  }

  get backends(): Iterable<Backend> {
    return this.#backends.values()
  }

  /** The backend that a sticky value names. */
  home(value: string): Backend | undefined {
    return this.#homes.get(value)
  }

  /** What stands for a backend in a cookie. One that has just gone has none. */
  sticky({ id }: Backend): string {
    return this.#values.get(id)?.[0] ?? ''
  }

  /** @throws {RangeError} on an id that no backend has */
  get(id: string): Backend {
    const backend = this.#backends.get(id)
    if (!backend) throw unknown(id)
    return backend
  }

  /** @throws {TypeError} on one that is there */
  add(place: string, spec: Spec): void {
    const isTaken = isName(spec)
      ? this.#names.some(({ source }) => source === spec.source)
      : !this.#leaving.has(spec.id) &&
        stickyValues(spec.id, this.#settings.keys).some((value) => this.#homes.has(value))
    if (isTaken) throw takenError(place, spec)
    this.#entries.push(isName(spec) ? this.#start(spec) : spec)
    this.#arrange()
  }

  /** Takes a backend out, or a name of the DNS. @throws {RangeError} on one that is not there */
  remove(id: string): void {
    const name = this.#backends.has(id) ? undefined : this.#names.find(({ source }) => source === id)
    if (name) {
      name.stop()
      this.#entries = this.#entries.filter((entry) => entry !== name)
    } else {
      this.get(id)
      this.#entries = this.#entries.filter((entry) => entry instanceof DnsName || entry.id !== id)
      this.#leaving.delete(id)
      // The name that it comes from goes on to name it.
      for (const one of this.#names) one.remove(id)
    }
    this.#arrange()
  }

  /** Puts others in the place of all, but keeps those that stay the same. */
  update(settings: BalancerSettings): void {
    const before = this.#settings
    const names = new Map(this.#names.map((name) => [name.source, name]))
    const isSameDns = isDeepStrictEqual(settings.dns, before.dns)
    const untried: DnsName[] = []
    if (!areSame(settings.keys, before.keys)) this.#values = new Map()
    this.#settings = settings
    this.#entries = settings.specs.map((spec) => {
      if (!isName(spec)) return spec
      const name = names.get(spec.source)
      if (name && isSameDns) {
        names.delete(spec.source)
        name.adjust(spec)
        return name
      }
      const started = this.#start(spec, name)
      if (!name) untried.push(started)
      return started
    })
    for (const name of names.values()) name.stop()
    this.#keepUntilTried(untried)
    const isSameHealth = isDeepStrictEqual([settings.health, settings.backoff], [before.health, before.backoff])
    if (!isSameHealth) for (const backend of this.backends) backend.rewatch(settings)
    this.#arrange()
  }

  /** Each name of the DNS has been looked up once. */
  async resolved(): Promise<void> {
    await Promise.all(this.#names.map(({ first }) => first))
  }

  stop(): void {
    this.#leaving = new Map()
    for (const name of this.#names) name.stop()
    for (const backend of this.backends) backend.stop()
  }

  get #names(): DnsName[] {
    return this.#entries.filter((entry) => entry instanceof DnsName)
  }

  #keepUntilTried(names: readonly DnsName[]): void {
    const leaving = new Map(names.length > 0 ? [...this.backends].map(({ settings }) => [settings.id, settings]) : [])
    this.#leaving = leaving
    if (leaving.size === 0) return
    void Promise.all(names.map(({ first }) => first)).then(() => {
      // Another update has its own.
      if (this.#leaving !== leaving) return
      this.#leaving = new Map()
      this.#arrange()
    })
  }

  #start(settings: NameSettings, before?: DnsName): DnsName {
    const { source } = settings
    return new DnsName(
      settings,
      this.#settings.dns,
      {
        resolved: (count) => {
          this.#arrange()
          this.#tell('resolved', source, count)
        },
        unresolved: (error) => this.#tell('unresolved', source, error),
      },
      before,
    )
  }

  /** Makes the backends what the entries say. */
  #arrange(): void {
    const wanted = this.#wanted()
    const before = this.#backends
    const after = new Map<string, Backend>()
    const homes = new Map<string, Backend>()
    for (const settings of wanted) {
      const known = before.get(settings.id)
      const backend = known?.isMeantBy(settings) ? known : (this.#takeUp(settings) ?? this.#make(settings))
      backend.adjust(settings)
      after.set(backend.id, backend)
      for (const value of this.#values.get(backend.id)!) homes.set(value, backend)
    }
    this.#backends = after
    this.#homes = homes
    const gone = [...before.values()].filter((backend) => after.get(backend.id) !== backend)
    const come = [...after.values()].filter((backend) => before.get(backend.id) !== backend)
    for (const backend of gone) backend.stop()
    this.#keepAbsent(gone)
    for (const { status } of gone) this.#tell('remove', status)
    for (const { status } of come) this.#tell('add', status)
  }

  /** The DNS may leave a backend out for a while, as one that is not ready: a drain and what is open outlast that. */
  #keepAbsent(gone: readonly Backend[]): void {
    for (const backend of gone) if (backend.settings.source !== undefined) this.#absent.set(backend.id, backend)
    for (const [id, { connections, isDraining }] of this.#absent) {
      if (connections === 0 && !isDraining) this.#absent.delete(id)
    }
  }

  #takeUp(settings: BackendSettings): Backend | undefined {
    const backend = this.#absent.get(settings.id)
    if (!backend?.isMeantBy(settings)) return undefined
    this.#absent.delete(settings.id)
    backend.rewatch(this.#settings)
    return backend
  }

  /** No two with the same id, or value: one that was given goes before those that the DNS names. */
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
    for (const entry of this.#entries) if (!(entry instanceof DnsName)) take(entry)
    const wanted = this.#entries.flatMap((entry) => (entry instanceof DnsName ? entry.backends.filter(take) : [entry]))
    if (wanted.length === 0) wanted.push(...[...this.#leaving.values()].filter(take))
    this.#values = values
    return wanted
  }

  #make(settings: BackendSettings): Backend {
    const backend = new Backend(settings, this.#settings, {
      up: () => this.#tell('up', backend.status),
      down: (cause) => this.#tell('down', backend.status, cause),
    })
    this.#made(backend)
    return backend
  }
}

function areSame(some: Settings['keys'], others: Settings['keys']): boolean {
  return some.length === others.length && some.every((key, i) => key.equals(others[i]!))
}

function unknown(id: string): RangeError {
  return new RangeError(`id: got ${inspect(id)}; takes the id of a backend`)
}
