import type { Backend, BackendSettings } from './backend.ts'

/** ms that a drain outlasts the last word of the DNS. After that the address may well be somebody else's. */
const DRAIN_MS = 5 * 60_000

/**
 * Backends that the DNS no longer names, and may name again, as one that was not ready for a while: what they have open
 * is still theirs then, and for some minutes so is a drain.
 */
export class Absent {
  readonly #backends = new Map<string, { backend: Backend; since: number }>()

  add(backend: Backend): void {
    if (backend.settings.source !== undefined) this.#backends.set(backend.id, { backend, since: Date.now() })
  }

  /** The one that is back, where it is the same. */
  take(settings: BackendSettings): Backend | undefined {
    const backend = this.#backends.get(settings.id)?.backend
    if (!backend?.isMeantBy(settings)) return undefined
    this.#backends.delete(settings.id)
    return backend
  }

  /** Forgets those with nothing to remember, and those of names that are no more. */
  prune(sources: ReadonlySet<string | undefined>): void {
    for (const [id, { backend, since }] of this.#backends) {
      const isDraining = backend.isDraining && Date.now() - since < DRAIN_MS
      const isOpen = backend.connections > 0
      if (!sources.has(backend.settings.source) || !(isDraining || isOpen)) this.#backends.delete(id)
    }
  }
}
