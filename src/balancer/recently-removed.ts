import type { Backend } from './backend.ts'
import type { BackendSettings } from './backend-options.ts'

/** How long a drain survives its backend leaving the DNS (ms). After that the address may belong to another host. */
const DRAIN_MS = 5 * 60_000

/** Backends that the DNS no longer returns. One that comes back within minutes keeps its connections and its drain. */
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

  /** Forgets backends that neither drain nor have connections, and those whose DNS source was removed. */
  prune(sources: ReadonlySet<string | undefined>): void {
    for (const [id, { backend, since }] of this.#backends) {
      const isDraining = backend.isDraining && performance.now() - since < DRAIN_MS
      const isOpen = backend.connections > 0
      if (!sources.has(backend.settings.source) || !(isDraining || isOpen)) this.#backends.delete(id)
    }
  }
}
