import type { Backend } from './backend.ts'
import type { BackendSettings } from './backend-options.ts'

/** ms for which a drain or an operator's weight survives its backend leaving the DNS. Then the address may be another host's. */
const OPERATED_MS = 5 * 60_000

/**
 * Backends that were removed, or that the DNS no longer returns. One that comes back keeps its open connections. If
 * the DNS returns it while it has some, or within minutes, it keeps its drain and the operator's weight, too.
 */
export class RecentlyRemoved {
  /** Those of the DNS. `since` is read from the monotonic clock (ms). */
  readonly #backends = new Map<string, { backend: Backend; since: number }>()
  /** Those that may still have open connections, by id. Several of an id had different addresses. */
  readonly #open = new Map<string, readonly Backend[]>()

  /** Those with open connections. */
  get open(): Backend[] {
    return [...this.#open.keys()].flatMap((id) => this.#openOf(id))
  }

  add(backend: Backend): void {
    if (backend.settings.source !== undefined) this.#backends.set(backend.id, { backend, since: performance.now() })
    if (backend.connections > 0) this.#open.set(backend.id, [...this.#openOf(backend.id), backend])
  }

  /** Removes and returns the backend that these settings describe, if it is here. */
  take(settings: BackendSettings): Backend | undefined {
    const { id } = settings
    const open = this.#openOf(id)
    const backend = this.#takeOfDns(settings) ?? open.find((one) => one.matches(settings))
    if (open.length > 0)
      this.#open.set(
        id,
        open.filter((one) => one !== backend),
      )
    return backend
  }

  /** Those with an id that have open connections. Forgets others with that id. */
  #openOf(id: string): readonly Backend[] {
    const open = this.#open.get(id)?.filter(({ connections }) => connections > 0) ?? []
    if (open.length > 0) this.#open.set(id, open)
    else this.#open.delete(id)
    return open
  }

  #takeOfDns(settings: BackendSettings): Backend | undefined {
    const backend = this.#backends.get(settings.id)?.backend
    if (!backend?.matches(settings)) return undefined
    this.#backends.delete(settings.id)
    return backend
  }

  /** Forgets backends without drain, operator's weight and connections, and those whose DNS source was removed. */
  prune(sources: ReadonlySet<string | undefined>): void {
    for (const [id, { backend, since }] of this.#backends) {
      const isOperated = (backend.isDraining || backend.isWeighed) && performance.now() - since < OPERATED_MS
      const isOpen = backend.connections > 0
      if (!sources.has(backend.settings.source) || !(isOperated || isOpen)) this.#backends.delete(id)
    }
  }
}
