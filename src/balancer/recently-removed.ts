import type { Backend } from './backend.ts'
import type { BackendSettings } from './backend-options.ts'

/** ms for which a drain or an operator's weight survives its backend leaving the DNS. Then the address may be another host's. */
const OPERATED_MS = 5 * 60_000

/**
 * Backends that the DNS no longer returns. One that comes back within minutes keeps its connections, its drain and the
 * operator's weight.
 */
export class RecentlyRemoved {
  /** `since` is read from the monotonic clock (ms). */
  readonly #backends = new Map<string, { backend: Backend; since: number }>()

  add(backend: Backend): void {
    if (backend.settings.source !== undefined) this.#backends.set(backend.id, { backend, since: performance.now() })
  }

  /** Removes and returns the backend that these settings describe, if it is here. */
  take(settings: BackendSettings): Backend | undefined {
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
