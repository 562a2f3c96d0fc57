import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TokenBuckets } from '../../../src/cli/service/token-buckets.ts'

const rate = (requests: number, burst = requests) => ({ requests, per: 1_000, burst })

/** Takes as many tokens as there are. */
function takeAll(buckets: TokenBuckets, client: string, now: number): number {
  let taken = 0
  while (buckets.take(client, now) === 0) taken++
  return taken
}

/** The n-th of the networks that an attacker has. */
const network = (n: number) => `2001:db8:${(n >>> 16).toString(16)}:${(n & 0xffff).toString(16)}::/64`

test('a client has the burst at once, and then the rate', () => {
  const buckets = new TokenBuckets(rate(10, 3))
  expect(takeAll(buckets, '192.0.2.9', 1_000)).toBe(3)
  expect(buckets.take('192.0.2.1', 1_000)).toBe(0)
  for (const [now, wait] of [
    [1_000, 100],
    [1_099, 1],
    [1_100, 0],
    [1_100, 100],
    [1_150, 50],
  ] as const) {
    expect(buckets.take('192.0.2.9', now)).toBeCloseTo(wait)
  }
  expect(takeAll(buckets, '192.0.2.9', 10_000)).toBe(3)
})

test('what is refused takes no token', () => {
  const buckets = new TokenBuckets(rate(1))
  expect(buckets.take('192.0.2.1', 0)).toBe(0)
  for (let now = 0; now < 1_000; now += 100) expect(buckets.take('192.0.2.1', now)).toBeCloseTo(1_000 - now)
  expect(buckets.take('192.0.2.1', 1_000)).toBe(0)
})

test.each([1, 3, 7, 100, 999_999])('does not lose or make tokens at %i/s over a long time', (requests) => {
  const buckets = new TokenBuckets(rate(requests, 1))
  const interval = 1_000 / requests
  const start = 5e9
  expect(buckets.take('192.0.2.1', start)).toBe(0)
  for (let i = 1; i <= 1_000; i++) {
    if (requests < 1_000) expect(buckets.take('192.0.2.1', start + (i - 0.1) * interval)).toBeGreaterThan(0)
    expect(buckets.take('192.0.2.1', start + i * interval)).toBe(0)
  }
})

test.each([
  ['192.0.2.1', '192.0.2.2'],
  ['0.0.0.1', '0.0.0.0'],
  ['2001:db8::/64', '2001:db8:0:1::/64'],
  ['0::/64', '0:0:0:1::/64'],
  ['0.0.0.0', '0::/64'],
])('%s and %s have buckets of their own', (one, other) => {
  const buckets = new TokenBuckets(rate(1), 1)
  expect([one, other, one, other].map((client) => buckets.take(client, 5) === 0)).toEqual([true, true, false, false])
})

test('nobody gets more than the rate, however many addresses displace each other', () => {
  const step = fc.record({ client: fc.integer({ min: 0, max: 40 }), wait: fc.integer({ min: 0, max: 30 }) })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { minLength: 50, maxLength: 400 }), (burst, steps) => {
      // One set: 16 places for 41 clients.
      const buckets = new TokenBuckets(rate(1, burst), 1)
      const exact = new Map<number, number>()
      let now = 0
      for (const { client, wait } of steps) {
        now += wait
        if (buckets.take(network(client), now) > 0) continue
        // The time at which the bucket of this client would be full again, if all were remembered.
        const fullAt = Math.max(now, exact.get(client) ?? 0) + 1_000
        expect(fullAt - now).toBeLessThanOrEqual(burst * 1_000 + 0.01)
        exact.set(client, fullAt)
      }
    }),
  )
})

test('a flood from many networks frees no victim of its limit, and locks nobody out of a large table', () => {
  const buckets = new TokenBuckets(rate(1, 10))
  expect(takeAll(buckets, '192.0.2.1', 0)).toBe(10)
  // More networks than places, one request each.
  for (let n = 0; n < 1_200_000; n++) buckets.take(network(n), 1)
  expect(buckets.take('192.0.2.1', 2)).toBeGreaterThan(990)
  // Others have nearly their whole burst.
  for (let n = 0; n < 1_000; n++) expect(buckets.take(`198.51.${n >> 8}.${n & 255}`, 3)).toBe(0)
})

test('the lockout by a flood that empties all buckets ends when they fill up', () => {
  const buckets = new TokenBuckets(rate(10), 1)
  let accepted = 0
  for (let n = 0; n < 1_000; n++) if (buckets.take(network(n), 0) === 0) accepted++
  // 16 buckets of 10.
  expect(accepted).toBe(160)
  expect(buckets.take('192.0.2.1', 0)).toBeCloseTo(100)
  expect(buckets.take('192.0.2.1', 100)).toBe(0)
  expect(takeAll(buckets, '192.0.2.2', 1_000)).toBe(10)
})

test('a million addresses take 16 MiB', () => {
  const before = process.memoryUsage()
  const buckets = new TokenBuckets(rate(1))
  for (let n = 0; n < 1_000_000; n++) buckets.take(network(n), n / 1e6)
  const after = process.memoryUsage()
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(17.1 * 2 ** 20)
  expect(takeAll(buckets, network(999_999), 1)).toBe(0)
})

test('a changed rate applies at once, and clients keep what they have', () => {
  const buckets = new TokenBuckets(rate(10))
  for (let i = 0; i < 6; i++) buckets.take('192.0.2.1', 0)
  expect(takeAll(buckets, '192.0.2.2', 0)).toBe(10)
  buckets.change(rate(1, 10), 0)
  expect([takeAll(buckets, '192.0.2.1', 0), takeAll(buckets, '192.0.2.2', 0)]).toEqual([4, 0])
  expect(buckets.take('192.0.2.2', 0)).toBeCloseTo(1_000)
  // An empty bucket stays empty, and is not in debt.
  buckets.change(rate(100, 2), 0)
  expect(buckets.take('192.0.2.2', 0)).toBeCloseTo(10)
  expect(takeAll(buckets, '192.0.2.2', 20)).toBe(2)
  buckets.change(rate(1, 50), 100)
  expect(takeAll(buckets, '192.0.2.9', 100)).toBe(50)
})
