import { onTestFinished, vi } from 'vitest'
import { Health, type HealthOptions, validateHealth } from '../../../src/balancer/health/index.ts'
import type { StreamDest } from '../../../src/proxy/index.ts'
import type { Peer } from '../../helpers/net.ts'

/** A long time-out for checks that should pass: the machine may be busy. */
export const SOON: HealthOptions = { interval: 4, timeout: 20_000 }
const BACKOFF = { min: 4, max: 32 }

interface Setup {
  health?: HealthOptions
  backoff?: { min: number; max: number }
  random?: () => number
}

/** A Health that stops after the test, and its events in order: 'up', 'down CODE', 'failed CODE'. */
export class Watched {
  readonly health: Health
  readonly news: string[] = []
  readonly errors: Error[] = []
  /** ms until the next probe, at each event. Meaningful only with a stopped clock. */
  readonly delays: (number | undefined)[] = []
  /** Called at each event. */
  heard: (news: string) => void = () => undefined
  /** Called after each passed check. */
  passed: (drains: boolean) => void = () => undefined
  readonly #wakes = new Set<() => void>()

  constructor(dest: StreamDest, { health, backoff = BACKOFF, random = () => 1 }: Setup = {}) {
    const events = {
      up: () => this.#heard('up'),
      down: (cause: Error) => this.#heard('down', cause),
      passed: (drains: boolean) => this.passed(drains),
      failed: (cause: Error) => this.#heard('failed', cause),
    }
    this.health = new Health(dest, health && validateHealth(health), backoff, events, random)
    onTestFinished(() => this.health.stop())
  }

  async until(isThere: () => boolean): Promise<void> {
    while (!isThere()) await new Promise<void>((resolve) => this.#wakes.add(resolve))
  }

  /** Resolves with the first events. */
  async first(count: number): Promise<string[]> {
    await this.until(() => this.news.length >= count)
    return this.news.slice(0, count)
  }

  #heard(name: string, cause?: NodeJS.ErrnoException): void {
    const news = cause ? `${name} ${cause.code}` : name
    this.news.push(news)
    if (cause) this.errors.push(cause)
    this.delays.push(this.health.retryIn)
    for (const wake of this.#wakes) wake()
    this.#wakes.clear()
    this.heard(news)
  }
}

/** The error of a refused connect. */
export function refusal(): Error {
  return Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
}

/** Stops both clocks; timers and sockets keep running. */
export function stopClocks(...more: 'setTimeout'[]): void {
  const toFake = ['Date' as const, 'performance' as const, ...more]
  vi.useFakeTimers(more.length > 0 ? { toFake: [...toFake, 'clearTimeout'] } : { toFake })
  onTestFinished(() => void vi.useRealTimers())
}

/** Resolves when the other side has closed or reset the connection; closes this side too. */
export async function abandoned(peer: Peer): Promise<void> {
  await peer.ended().catch(() => undefined)
  peer.end()
  await peer.closed()
}
