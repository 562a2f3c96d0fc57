import { inspect, isDeepStrictEqual } from 'node:util'
import { stickyValues } from '../secret.ts'
import { Absent } from './absent.ts'
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
  readonly #absent = new Absent()
  /** Those that an update took out: they stay until a name that came with it, or before, is found. */
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
    let isNew = false
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
      isNew ||= !name
      return this.#start(spec, name)
    })
    for (const name of names.values()) name.stop()
    if (isNew) this.#leaving = new Map([...this.backends].map((backend) => [backend.id, backend.settings]))
    else if (this.#names.every(({ isFound }) => isFound)) this.#leaving = new Map()
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

  #start(settings: NameSettings, before?: DnsName): DnsName {
    const { source } = settings
    return new DnsName(
      settings,
      this.#settings.dns,
      {
        resolved: (count, isFirst) => {
          if (isFirst) this.#leaving = new Map()
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
    this.#absent.prune(new Set(this.#names.map(({ source }) => source)))
    const before = this.#backends
    const after = new Map<string, Backend>()
    const homes = new Map<string, Backend>()
    for (const settings of wanted) {
      const known = before.get(settings.id)
      const backend = known?.isMeantBy(settings) ? known : this.#make(settings)
      backend.adjust(settings)
      after.set(backend.id, backend)
      for (const value of this.#values.get(backend.id)!) homes.set(value, backend)
    }
    this.#backends = after
    this.#homes = homes
    const gone = [...before.values()].filter((backend) => after.get(backend.id) !== backend)
    const come = [...after.values()].filter((backend) => before.get(backend.id) !== backend)
    for (const backend of gone) {
      backend.stop()
      this.#absent.add(backend)
    }
    for (const { status } of gone) this.#tell('remove', status)
    for (const { status } of come) this.#tell('add', status)
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
    // Once another has the id of one that is leaving, that one has left.
    this.#leaving = new Map([...this.#leaving].filter(([, settings]) => take(settings)))
    wanted.push(...this.#leaving.values())
    this.#values = values
    return wanted
  }

  #make(settings: BackendSettings): Backend {
    const known = this.#absent.take(settings)
    if (known) {
      known.rewatch(this.#settings)
      return known
    }
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
