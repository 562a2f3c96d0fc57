import { expect, test } from 'vitest'
import { mergeRecent, RecentRequests, type RequestEntry } from '../../src/cli/recent-requests.ts'

const MINUTE = 60_000

function entryOf(total: number, at = 0, about: Partial<RequestEntry> = {}): RequestEntry {
  return { at, client: '', method: 'GET', path: '/', pool: '', backend: '', total, ...about }
}

function start() {
  const clock = { now: 10 * MINUTE }
  const recent = new RecentRequests(() => clock.now)
  const took = (total: number) => recent.isSlow(total) && recent.addSlow(entryOf(total))
  return { clock, recent, took, totals: () => recent.lists.slowest.map(({ total }) => total) }
}

const count = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

test('keeps the 20 slowest of each minute, and shows the 50 slowest of five', () => {
  const { clock, took, totals, recent } = start()
  for (const total of count(1, 30)) took(total)
  for (const total of count(1, 30)) took(total - 0.5)
  expect(totals()).toHaveLength(20)
  expect(totals().slice(0, 3)).toEqual([30, 29.5, 29])
  expect(recent.isSlow(20.5)).toBe(false)
  expect(recent.isSlow(21)).toBe(true)
  for (const minute of count(1, 4)) {
    clock.now = (10 + minute) * MINUTE
    for (const total of count(1, 30)) took(minute * 100 + total)
  }
  // A burst pushes nothing of other minutes out, until more than 50 are slower.
  const expected = [4, 3, 2].flatMap((minute) => count(11, 30).map((total) => minute * 100 + total))
  expect(totals()).toEqual(expected.sort((a, b) => b - a).slice(0, 50))
})

test('keeps the last 100 failed ones, the newest first', () => {
  const { recent } = start()
  for (const at of count(1, 250)) recent.addFailed(entryOf(1, at))
  expect(recent.lists.failed.map(({ at }) => at)).toEqual(count(151, 250).reverse())
})

test('forgets requests after five minutes', () => {
  const { clock, recent, took, totals } = start()
  took(1)
  recent.addFailed(entryOf(2))
  clock.now += 5 * MINUTE
  expect([totals(), recent.lists.failed]).toEqual([[1], [entryOf(2)]])
  clock.now += 1
  expect([totals(), recent.lists.failed]).toEqual([[], []])
  for (let i = 0; i < 1_000; i++, clock.now += MINUTE) took(i)
  expect(totals().length).toBeLessThanOrEqual(6)
})

test('joins the lists of several processes', () => {
  const one = { slowest: [entryOf(9), entryOf(7)], failed: [entryOf(1, 3), entryOf(1, 1)] }
  const other = { slowest: [entryOf(8)], failed: [entryOf(1, 2)] }
  const { slowest, failed } = mergeRecent([one, other])
  expect(slowest.map(({ total }) => total)).toEqual([9, 8, 7])
  expect(failed.map(({ at }) => at)).toEqual([3, 2, 1])
  const many = { slowest: count(1, 50).map((n) => entryOf(n)), failed: count(1, 100).map((n) => entryOf(1, n)) }
  const all = mergeRecent([many, many])
  expect([all.slowest.length, all.failed.length]).toEqual([50, 100])
  expect(mergeRecent([])).toEqual({ slowest: [], failed: [] })
})
