import { isDeepStrictEqual } from 'node:util'
import { Discovery, type DiscoverySettings, type Found } from '../discovery/index.ts'
import type { BackendSettings } from './backend.ts'
import { foundSettings, type NameSettings } from './backend-options.ts'

export interface DnsNameEvents {
  /** It stands for other backends than before, or could not be looked up the last time. `isFirst`: or not ever. */
  resolved(count: number, isFirst: boolean): void
  /** It can no longer be looked up. */
  unresolved(error: Error): void
}

/** A name of the DNS among the backends, and what it was last found to stand for. */
export class DnsName {
  readonly #discovery: Discovery
  #settings: NameSettings
  #found: readonly Found[]
  /** Backends that were taken out by hand: they stay out for as long as the name stands for them. */
  readonly #removed = new Set<string>()
  #state: 'new' | 'resolved' | 'unresolved' = 'new'

  /** `before`: the same name, looked up in another way. What it has found stays until there is an answer. */
  constructor(settings: NameSettings, dns: DiscoverySettings, events: DnsNameEvents, before?: DnsName) {
    this.#settings = settings
    this.#found = before ? before.#found : []
    this.#discovery = new Discovery(settings.name, dns, {
      found: (list) => {
        const isFirst = !this.isFound
        if (this.#take(list)) events.resolved(list.length, isFirst)
      },
      failed: (error) => this.#turn('unresolved') && events.unresolved(error),
    })
  }

  get source(): string {
    return this.#settings.source
  }

  /** Resolves after the first look-up, for better or worse. */
  get first(): Promise<void> {
    return this.#discovery.first
  }

  /** Whether it has ever been found to stand for any. */
  get isFound(): boolean {
    return this.#found.length > 0
  }

  get backends(): BackendSettings[] {
    return this.#found.filter(({ id }) => !this.#removed.has(id)).map((found) => foundSettings(this.#settings, found))
  }

  /** Takes on other settings for the same name. All that it stands for is in again. */
  adjust(settings: NameSettings): void {
    this.#settings = settings
    this.#removed.clear()
  }

  remove(id: string): void {
    if (this.#found.some((found) => found.id === id)) this.#removed.add(id)
  }

  stop(): void {
    this.#discovery.stop()
  }

  /** Whether that was a change. */
  #take(list: readonly Found[]): boolean {
    const isOther = !isDeepStrictEqual(list, this.#found)
    this.#found = list
    for (const id of this.#removed) if (!list.some((found) => found.id === id)) this.#removed.delete(id)
    return this.#turn('resolved') || isOther
  }

  #turn(state: 'resolved' | 'unresolved'): boolean {
    const isChange = this.#state !== state
    this.#state = state
    return isChange
  }
}
