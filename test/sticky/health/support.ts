import { onTestFinished, vi } from 'vitest'
import type { StreamDest } from '../../../src/proxy/index.ts'
import { checkHealth, Health, type HealthOptions } from '../../../src/sticky/health/index.ts'
import type { Peer } from '../../helpers/net.ts'

/** Patient, as the tests share two cores: for checks that are to pass. */
export const SOON: HealthOptions = { interval: 4, timeout: 20_000 }
const BACKOFF = { min: 4, max: 32 }

interface Setup {
  health?: HealthOptions
  backoff?: { min: number; max: number }
  random?: () => number
}

/** A Health, until the test is over, and what it tells, in order: 'up', 'down CODE', 'failed CODE'. */
export class Watched {
  readonly health: Health
  readonly news: string[] = []
  readonly errors: Error[] = []
  /** ms to the next probe, as it was at each event. Right only while Date stands still. */
  readonly delays: (number | undefined)[] = []
  /** Called at each event. */
  heard: (news: string) => void = () => undefined
  readonly #wakes = new Set<() => void>()

  constructor(dest: StreamDest, { health, backoff = BACKOFF, random = () => 1 }: Setup = {}) {
    const events = {
      up: () => this.#heard('up'),
      down: (cause: Error) => this.#heard('down', cause),
      failed: (cause: Error) => this.#heard('failed', cause),
    }
    this.health = new Health(dest, health && checkHealth(health), backoff, events, random)
    onTestFinished(() => this.health.stop())
  }

  async until(isThere: () => boolean): Promise<void> {
    while (!isThere()) await new Promise<void>((resolve) => this.#wakes.add(resolve))
  }

  /** The first so many events. */
  async first(count: number): Promise<string[]> {
    await this.until(() => this.news.length >= count)
    return this.news.slice(0, count)
  }

  #heard(name: string, cause?: NodeJS.ErrnoException): void {
    const news = cause ? `${name} ${cause.code}` : name
    this.news.push(news)
    if (cause) this.errors.push(cause)
    const { retryAt } = this.health
    this.delays.push(retryAt && retryAt - Date.now())
    for (const wake of this.#wakes) wake()
    this.#wakes.clear()
    this.heard(news)
  }
}

/** What a client's connect may fail with. */
export function refusal(): Error {
  return Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
}

/** Both clocks stand still until they are advanced; timers and sockets go on as ever. */
export function stopClocks(...more: 'setTimeout'[]): void {
  const toFake = ['Date' as const, 'performance' as const, ...more]
  vi.useFakeTimers(more.length > 0 ? { toFake: [...toFake, 'clearTimeout'] } : { toFake })
  onTestFinished(() => void vi.useRealTimers())
}

/** Resolves when the other side has let go of a connection, by whichever way; lets go of it too. */
export async function abandoned(peer: Peer): Promise<void> {
  await peer.ended().catch(() => undefined)
  peer.end()
  await peer.closed()
}
