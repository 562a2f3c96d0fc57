import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Recorded, START } from './samples.ts'
import { statusOf } from './support.ts'

test('the first sample has no rates, the next ones those of the true time between them', () => {
  const recorded = new Recorded()
  const { figures } = recorded
  figures.counters.open = 3
  recorded.requests('a', 200, 5)
  recorded.sample()
  figures.counters.accepted = 30
  figures.counters.bytesRead = 600
  figures.counters.bytesWritten = 900
  figures.backends = [statusOf('a', { connections: 2, total: 15, bytesRead: 300, bytesWritten: 450 })]
  recorded.requests('a', 200, 5, 5, 5)
  recorded.sample(3_000)
  const { interval, times, all, pools, backends } = recorded.shown()
  expect([interval, times]).toEqual([2_000, [START + 2_000, START + 5_000]])
  expect(all).toMatchObject({ open: [3, 3], rate: [null, 10], in: [null, 200], out: [null, 300] })
  expect(pools).toMatchObject({ default: { open: [0, 2], rate: [null, 5], in: [null, 100], out: [null, 150] } })
  expect(backends).toMatchObject({ a: { open: [0, 2], rate: [null, 5], in: [null, 100], out: [null, 150] } })
  for (const { codes } of [all, pools.default!]) {
    expect(codes).toEqual({
      '1xx': [null, 0],
      '2xx': [null, 1],
      '3xx': [null, 0],
      '4xx': [null, 0],
      '5xx': [null, 0],
      none: [null, 0],
    })
  }
})

test('errors of a backend are the requests with a 5xx or without a response', () => {
  const recorded = new Recorded()
  recorded.sample()
  recorded.requests('a', 503, 5)
  recorded.requests('a', undefined, 5, 5)
  recorded.requests('a', 404, 5)
  recorded.sample()
  expect(recorded.shown().backends.a!.errors).toEqual([null, 1.5])
})

test('percentiles are those of the requests of the last five samples', () => {
  const recorded = new Recorded()
  recorded.sample()
  recorded.requests('a', 200, ...new Array(98).fill(20), 300, 20_000)
  recorded.sample()
  for (let i = 0; i < 5; i++) recorded.sample()
  const { all, pools, backends } = recorded.shown()
  // 99 of 100 take up to 0.5 s; one takes longer than every bound.
  const [none, p99, p95] = [null, 0.5, 0.02454]
  expect(all.duration).toEqual({
    p50: [none, ...new Array(5).fill(0.01765), none],
    p95: [none, ...new Array(5).fill(p95), none],
    p99: [none, ...new Array(5).fill(p99), none],
  })
  expect(pools.default!.duration).toEqual(all.duration)
  expect(all.firstByte.p50).toEqual([none, ...new Array(5).fill(0.01765), none])
  expect(backends.a!.firstByteP99).toEqual(all.firstByte.p99)
})

test('a quantile over all bounds is the highest bound', () => {
  const recorded = new Recorded()
  recorded.sample()
  recorded.requests('a', 200, 60_000)
  recorded.sample()
  const { firstByte, duration } = recorded.shown().all
  expect([firstByte.p50[1], duration.p50[1]]).toEqual([5, 10])
})

test('after a pause there is a sample of nulls, and percentiles are not of requests before it', () => {
  const recorded = new Recorded()
  recorded.sample()
  recorded.requests('a', 200, 20)
  recorded.sample()
  recorded.figures.counters.accepted = 80
  recorded.sample(8_000)
  const { times, all } = recorded.shown()
  expect(times).toEqual([2_000, 4_000, 8_000, 12_000].map((ms) => START + ms))
  expect(all).toMatchObject({ open: [0, 0, null, 0], rate: [null, 0, null, 10] })
  expect(all.duration.p50).toEqual([null, expect.any(Number), null, null])
})

test('time that only the clock on the wall counts is a pause too', () => {
  const recorded = new Recorded()
  recorded.sample()
  recorded.ahead = 60_000
  recorded.figures.counters.accepted = 4
  recorded.sample()
  const { times, all } = recorded.shown()
  expect(times).toEqual([2_000, 33_000, 64_000].map((ms) => START + ms))
  expect(all.rate).toEqual([null, null, 2])
})

test('a clock that is set back begins a new history', () => {
  const recorded = new Recorded()
  for (let i = 0; i < 3; i++) recorded.sample()
  const last = recorded.shown().times.at(-1)!
  recorded.ahead = -3_600_000
  recorded.sample()
  const { times, all } = recorded.shown()
  expect([times, all.rate]).toEqual([[START + 8_000 - 3_600_000], [0]])
  // Whoever has the old samples gets the new ones.
  expect(recorded.shown(last).times).toEqual(times)
})

test('counts that go down give no negative rates', () => {
  const rise = fc.record({ accepted: fc.nat(), total: fc.nat(), read: fc.nat(), counted: fc.nat({ max: 9 }) })
  fc.assert(
    fc.property(fc.array(rise, { minLength: 2, maxLength: 8 }), (all) => {
      const recorded = new Recorded()
      for (const { accepted, total, read, counted } of all) {
        Object.assign(recorded.figures.counters, { accepted, bytesRead: read })
        recorded.figures.backends = [statusOf('a', { total, bytesRead: read })]
        recorded.figures.requests = []
        recorded.requests('a', 200, ...new Array(counted).fill(5))
        recorded.sample()
      }
      const shown = recorded.shown()
      const { rate, in: read, codes } = shown.all
      const lists = [rate, read, codes['2xx']!, shown.backends.a!.rate, shown.pools.default!.rate]
      for (const value of lists.flat()) expect(value ?? 0).toBeGreaterThanOrEqual(0)
    }),
  )
})

test('shows five minutes, and only later samples on request', () => {
  const recorded = new Recorded()
  for (let i = 0; i < 400; i++) {
    recorded.figures.counters.open = i
    recorded.sample()
  }
  const { times, all } = recorded.shown()
  expect([times.length, times[0], times.at(-1)]).toEqual([150, START + 502_000, START + 800_000])
  expect(all.open).toEqual(Array.from({ length: 150 }, (_, i) => 250 + i))
  const later = recorded.shown(times[147])
  expect([later.times, later.all.open]).toEqual([times.slice(148), [398, 399]])
  expect(recorded.shown(times[149])).toMatchObject({ times: [], all: { open: [] } })
  expect(recorded.shown(times[149]! + 1).times).toEqual(times)
})

test('a removed backend stays until its last sample is too old', () => {
  const recorded = new Recorded()
  recorded.sample()
  recorded.figures.removed = [statusOf('b', { pool: 'old', connections: 1 })]
  recorded.sample()
  recorded.figures.removed = []
  for (let i = 0; i < 149; i++) recorded.sample()
  expect(recorded.shown().backends.b!.open).toEqual([1, ...new Array(149).fill(null)])
  expect(Object.keys(recorded.shown().pools)).toEqual(['default', 'old'])
  recorded.sample()
  expect([...recorded.history.backends.keys(), ...recorded.history.pools.keys()]).toEqual(['a', 'default'])
})

test('a backend that comes later has nulls before', () => {
  const recorded = new Recorded()
  recorded.sample()
  recorded.figures.backends = [statusOf('a'), statusOf('b', { connections: 1, total: 7 })]
  // Its counts of requests began after the first sample, so they are known.
  recorded.requests('b', 500, 5, 5)
  recorded.sample()
  recorded.sample()
  expect(recorded.shown().backends.b).toMatchObject({ open: [null, 1, 1], rate: [null, null, 0], errors: [null, 1, 0] })
})

test('a backend that was away for a sample has no rates when it is back', () => {
  const recorded = new Recorded()
  recorded.figures.backends = [statusOf('a', { total: 5 })]
  recorded.sample()
  recorded.figures.backends = []
  recorded.sample()
  recorded.figures.backends = [statusOf('a', { total: 9 })]
  recorded.sample()
  const { backends, pools } = recorded.shown()
  for (const one of [backends.a, pools.default]) {
    expect(one).toMatchObject({ open: [0, null, 0], rate: [null, null, null] })
  }
})

test('the rate of a pool is that of its backends, of which some come and go', () => {
  const recorded = new Recorded()
  recorded.figures.backends = [statusOf('a', { total: 100 }), statusOf('b', { total: 4 })]
  recorded.sample()
  recorded.figures.backends = [statusOf('b', { total: 8 }), statusOf('c', { total: 50 })]
  recorded.sample()
  expect(recorded.shown().pools.default!.rate).toEqual([null, 2])
})

test('a backend that is added again while connections to it are open is one', () => {
  const recorded = new Recorded()
  recorded.figures.backends = [statusOf('a', { connections: 2, total: 10 })]
  recorded.sample()
  recorded.figures.removed = [statusOf('a', { connections: 2, total: 10 })]
  recorded.figures.backends = [statusOf('a', { connections: 1, total: 4 })]
  recorded.sample()
  expect(recorded.shown().backends.a).toMatchObject({ open: [2, 3], rate: [null, 2] })
})

test('names of objects are ids like others', () => {
  const recorded = new Recorded()
  recorded.figures.backends = [statusOf('__proto__'), statusOf('constructor')]
  recorded.sample()
  expect(Object.keys(recorded.shown().backends)).toEqual(['__proto__', 'constructor'])
})
