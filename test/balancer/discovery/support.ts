import { onTestFinished } from 'vitest'
import type { Timing } from '../../../src/balancer/discovery/discovery.ts'
import { type Discovered, Discovery, type DiscoverySettings, type Name } from '../../../src/balancer/discovery/index.ts'
import type { NameServer } from '../../helpers/dns.ts'

export const DNS = { dns: 'app.test', port: 3000 }
export const SRV = { srv: '_http._tcp.app.test' }
export const SLOWLY: Timing = { ttl: { min: 1000, max: 60_000 }, retry: { min: 1000, max: 30_000 }, random: () => 1 }
export const QUICKLY: Timing = { ttl: { min: 4, max: 8 }, retry: { min: 4, max: 16 }, random: () => 1 }

type News = { found: readonly Discovered[] } | { lost: true } | { failed: string; nextIn: number | undefined }

/** A Discovery that stops after the test, and its events. */
export class Watched {
  readonly discovery: Discovery
  readonly news: News[] = []
  readonly #wakes = new Set<() => void>()

  constructor(name: Name, server: NameServer, settings: Partial<DiscoverySettings> = {}, timing: Timing = SLOWLY) {
    const whole = { servers: [server.address], interval: 0, hold: 600_000, timeout: 5000, ...settings }
    const events = {
      found: (found: readonly Discovered[]) => this.heard({ found }),
      lost: () => this.heard({ lost: true }),
      failed: (error: Error) => this.heard({ failed: error.message, nextIn: this.discovery.nextIn }),
    }
    this.discovery = new Discovery(name, whole, events, timing)
    onTestFinished(() => this.discovery.stop())
  }

  heard(news: News): void {
    this.news.push(news)
    for (const wake of this.#wakes) wake()
    this.#wakes.clear()
  }

  get lists(): (readonly Discovered[])[] {
    return this.news.flatMap((one) => ('found' in one ? [one.found] : []))
  }

  get failures(): string[] {
    return this.news.flatMap((one) => ('failed' in one ? [one.failed] : []))
  }

  get ids(): string[] {
    return (this.lists.at(-1) ?? []).map(({ id }) => id)
  }

  async until(isThere: () => boolean): Promise<void> {
    while (!isThere()) await new Promise<void>((resolve) => this.#wakes.add(resolve))
  }
}

export async function first(...[name, server, ...rest]: ConstructorParameters<typeof Watched>): Promise<Watched> {
  const watched = new Watched(name, server, ...rest)
  await watched.discovery.first
  return watched
}
