import { isDeepStrictEqual } from 'node:util'
import { type BackendSettings, type DnsSourceSettings, foundSettings } from './backend-options.ts'
import { type Discovered, Discovery, type DiscoverySettings } from './discovery/index.ts'

export interface DnsSourceEvents {
  /**
   * The list of backends changed, or a look-up succeeded after a failure. `isFirst`: no look-up had succeeded before.
   */
  resolved(count: number, isFirst: boolean): void
  /** A look-up failed; the one before had not. */
  unresolved(error: Error): void
}

/** A DNS name and the backends it last resolved to. */
export class DnsSource {
  readonly #discovery: Discovery
  #settings: DnsSourceSettings
  #found: readonly Discovered[]
  #isFound: boolean
  /** Ids removed by the operator. They stay removed while the DNS returns them. */
  readonly #removed = new Set<string>()
  #state: 'new' | 'resolved' | 'unresolved' = 'new'

  /** `before`: the same name with other DNS settings. Its backends stay until the first answer. */
  constructor(settings: DnsSourceSettings, dns: DiscoverySettings, events: DnsSourceEvents, before?: DnsSource) {
    this.#settings = settings
    this.#found = before ? before.#found : []
    this.#isFound = before?.isFound ?? false
    this.#discovery = new Discovery(settings.name, dns, {
      found: (list) => {
        const isFirst = !this.isFound
        if (this.#take(list)) events.resolved(list.length, isFirst)
      },
      failed: (error) => this.#turn('unresolved') && events.unresolved(error),
      lost: () => this.#lose() && events.resolved(0, false),
    })
  }

  get source(): string {
    return this.#settings.source
  }

  /** What its backends speak. */
  get protocol(): DnsSourceSettings['protocol'] {
    return this.#settings.protocol
  }

  /** Resolves after the first look-up, successful or not. */
  get first(): Promise<void> {
    return this.#discovery.first
  }

  /** Whether a look-up has ever succeeded. */
  get isFound(): boolean {
    return this.#isFound
  }

  get backends(): BackendSettings[] {
    return this.#found.filter(({ id }) => !this.#removed.has(id)).map((found) => foundSettings(this.#settings, found))
  }

  /** Applies new settings for the same name. Removed backends return. */
  adjust(settings: DnsSourceSettings): void {
    this.#settings = settings
    this.#removed.clear()
  }

  remove(id: string): void {
    if (this.#found.some((found) => found.id === id)) this.#removed.add(id)
  }

  stop(): void {
    this.#discovery.stop()
  }

  /** Returns whether anything changed. */
  #take(list: readonly Discovered[]): boolean {
    const isOther = !isDeepStrictEqual(list, this.#found)
    this.#found = list
    this.#isFound = true
    for (const id of this.#removed) if (!list.some((found) => found.id === id)) this.#removed.delete(id)
    return this.#turn('resolved') || isOther
  }

  /** Returns whether anything changed. */
  #lose(): boolean {
    const isChange = this.#found.length > 0
    this.#found = []
    this.#removed.clear()
    return isChange
  }

  #turn(state: 'resolved' | 'unresolved'): boolean {
    const isChange = this.#state !== state
    this.#state = state
    return isChange
  }
}
