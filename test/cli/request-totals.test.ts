import { expect, test } from 'vitest'
import { CODES, countStatus, HISTOGRAMS, noRequests, observe, STARTS } from '../../src/cli/request-counts.ts'
import { RequestTotals } from '../../src/cli/request-totals.ts'
import { statusOf } from './admin/support.ts'

const MINUTE = 60_000

/** One request of a backend of the default pool. */
function one(id: string) {
  const counts = noRequests('default', id, id)
  countStatus(counts, 200)
  return counts
}

test.each([
  [101, '1xx'],
  [200, '2xx'],
  [308, '3xx'],
  [499, '4xx'],
  [503, '5xx'],
  [999, '5xx'],
  [undefined, 'none'],
] as const)('status %s counts as %s', (status, code) => {
  const counts = noRequests('', '')
  countStatus(counts, status)
  expect(CODES.filter((_, i) => counts.figures[i] === 1)).toEqual([code])
})

test.each([0, 1, 2] as const)('histogram %i: a bound belongs to its bucket, and all else stays 0', (index) => {
  const { bounds } = HISTOGRAMS[index]
  expect(bounds.length).toBeLessThan(10)
  expect([...bounds].sort((a, b) => a - b)).toEqual(bounds)
  const counts = noRequests('', '')
  const seconds = [0, ...bounds, 1_000]
  for (const one of seconds) observe(counts, index, one * 1_000)
  const start = STARTS[index]!
  const ours = counts.figures.slice(start, start + bounds.length + 2)
  expect(ours.slice(0, -1)).toEqual([2, ...bounds.slice(1).map(() => 1), 1])
  expect(ours.at(-1)).toBeCloseTo(seconds.reduce((sum, one) => sum + one, 0))
  const sum = (all: readonly number[]) => all.reduce((so, one) => so + one, 0)
  expect(sum(counts.figures)).toBeCloseTo(sum(ours))
})

test('counts of several processes add up, and the totals are independent of what was added', () => {
  const totals = new RequestTotals()
  const [a, b] = [one('a'), one('b')]
  totals.add([a, b])
  totals.add([a])
  const elsewhere = { ...one('a'), pool: 'other', id: 'other/a' }
  totals.add([elsewhere])
  countStatus(a, 200)
  expect(totals.all.map(({ pool, backend, figures }) => [pool, backend, figures[1]])).toEqual([
    ['default', 'a', 2],
    ['default', 'b', 1],
    ['other', 'a', 1],
  ])
})

test('the counts of a removed backend stay for ten minutes after its last request', () => {
  let now = 0
  const totals = new RequestTotals(() => now)
  const ids = () => totals.all.map(({ backend }) => backend)
  const present = [statusOf('a')]
  const after = (minutes: number) => {
    now += minutes * MINUTE
    totals.prune(() => present)
  }
  totals.add([one('a'), one('b'), noRequests('', 'own'), noRequests('default', '')])
  after(10)
  expect(ids()).toEqual(['a', 'b', 'own', ''])
  totals.add([one('b')])
  after(10)
  expect(ids()).toEqual(['a', 'b', 'own', ''])
  after(1)
  expect(ids()).toEqual(['a', 'own', ''])
  present.pop()
  after(10)
  expect(ids()).toEqual(['a', 'own', ''])
  after(1)
  expect(ids()).toEqual(['own', ''])
})

test('looks at the backends at most once a minute', () => {
  let now = 0
  const totals = new RequestTotals(() => now)
  let looks = 0
  for (; now < 3 * MINUTE; now += MINUTE / 12) {
    totals.prune(() => {
      looks++
      return []
    })
  }
  expect(looks).toBe(2)
})
