import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { AlgorithmName, Balancer, BalancerOptions } from '../../src/balancer/index.ts'
import { SlowStart } from '../../src/balancer/slow-start.ts'
import { createServer } from '../../src/proxy/index.ts'
import { listen } from '../helpers/net.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import {
  ask,
  balancerOf,
  CLIENT,
  clientAt,
  countOf,
  eventsOf,
  lookUp,
  misbehave,
  Named,
  requestHead,
  statusOf,
  stickyOf,
} from './support.ts'

const SLOW = 16_000

function fakeClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
  onTestFinished(() => void vi.useRealTimers())
}

/** A balancer whose backend 'a' has just come back from an ejection. */
function start(algorithm: AlgorithmName, ids = ['a', 'b'], more: BalancerOptions = {}): Balancer {
  fakeClock()
  const balancer = balancerOf({
    backends: ids.map((id, i) => ({ port: i + 1, id })),
    algorithm,
    slowStart: SLOW,
    eject: { failures: 1, min: 1, max: 1 },
    ...more,
  })
  misbehave(balancer, 'a')
  vi.advanceTimersByTime(1)
  expect(statusOf(balancer, 'a').ejectedUntil).toBeUndefined()
  return balancer
}

const countOfA = (balancer: Balancer, clients: number) => countOf(balancer, 'a', clients)

describe('a backend that comes back', () => {
  it.each(['round-robin', 'least-connections', 'random-two'] as const)('gets a growing share, with %s', (algorithm) => {
    const balancer = start(algorithm)
    expect(countOfA(balancer, 17)).toBe(1)
    vi.advanceTimersByTime(SLOW / 2)
    expect(statusOf(balancer, 'a')).toMatchObject({ weight: 1, effectiveWeight: 0.5 })
    expect(countOfA(balancer, 24)).toBe(8)
    vi.advanceTimersByTime(SLOW / 2)
    expect(countOfA(balancer, 24)).toBe(12)
    expect(statusOf(balancer, 'a')).toMatchObject({ weight: 1, effectiveWeight: 1 })
  })

  it('gets its own keys back little by little, with hash, and no other key moves', () => {
    const balancer = start('hash', ['a', 'b', 'c'])
    const homes = () =>
      Array.from({ length: 600 }, (_, i) => lookUp(balancer, requestHead(), clientAt(`10.0.1.${i}`))!.backend.id)
    const stages: string[][] = []
    for (let i = 0; i < 4; i++) {
      stages.push(homes())
      vi.advanceTimersByTime(SLOW / 3)
    }
    const counts = stages.map((stage) => stage.filter((id) => id === 'a').length)
    expect(counts).toEqual([...counts].sort((one, other) => one - other))
    // A sixteenth of its weight, then all of it.
    expect(counts[0]).toBeLessThan(40)
    expect(counts[3]).toBeGreaterThan(150)
    for (const [i, before] of stages.slice(0, -1).entries()) {
      for (const [key, id] of stages[i + 1]!.entries()) expect([before[key], 'a']).toContain(id)
    }
  })

  it('gets all clients if it is alone, and those that return', () => {
    const balancer = start('round-robin')
    expect(lookUp(balancer, requestHead(), stickyOf('a'), CLIENT)).toMatchObject({ isHome: true })
    balancer.drain('b')
    expect(countOfA(balancer, 5)).toBe(5)
  })

  it('starts again after another failure, and an update without the option ends it', () => {
    const balancer = start('round-robin')
    vi.advanceTimersByTime(SLOW / 2)
    misbehave(balancer, 'a')
    vi.advanceTimersByTime(1)
    expect(statusOf(balancer, 'a').effectiveWeight).toBe(1 / 16)
    const backends = ['a', 'b'].map((id, i) => ({ port: i + 1, id }))
    balancer.update({ backends, slowStart: SLOW / 2 })
    expect(statusOf(balancer, 'a').effectiveWeight).toBe(1 / 16)
    balancer.update({ backends })
    expect(statusOf(balancer, 'a').effectiveWeight).toBe(1)
    expect(countOfA(balancer, 10)).toBe(5)
  })

  it('does so after it was down', async () => {
    const path = join(temporaryDirectory(), 'app.sock')
    const backends = [{ path, id: 'a', weight: 3 }]
    const balancer = balancerOf({ backends, backoff: { min: 5, max: 20 }, slowStart: 3_600_000 })
    expect(statusOf(balancer, 'a').effectiveWeight).toBe(3)
    const { lookup, errback } = balancer
    expect(await ask(await listen(createServer({ lookup, errback })))).toMatch(/^HTTP\/1.1 503 /)
    const up = once(balancer, 'up')
    await new Named('back').listen({ path })
    expect((await up)[0]).toMatchObject({ weight: 3, effectiveWeight: 3 / 16 })
  })
})

it('new backends are not held back, at the start or later', () => {
  const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }], slowStart: SLOW })
  const events = eventsOf(balancer)
  balancer.add({ port: 2, id: 'b' })
  expect(events).toEqual(['add b'])
  expect(countOfA(balancer, 10)).toBe(5)
})

it('grows in 15 even steps by the monotonic clock', () => {
  fakeClock()
  const shares: number[] = []
  const slowStart = new SlowStart(() => shares.push(slowStart.share * 16))
  slowStart.use(1500)
  slowStart.begin()
  for (let i = 1; i <= 15; i++) {
    expect(slowStart.share).toBe(i / 16)
    vi.advanceTimersByTime(100)
  }
  expect(shares).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
  expect(vi.getTimerCount()).toBe(0)
  slowStart.begin()
  slowStart.stop()
  expect([slowStart.share, vi.getTimerCount()]).toEqual([1, 0])
})
