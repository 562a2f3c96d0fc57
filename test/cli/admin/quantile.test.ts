import fc from 'fast-check'
import { expect, test } from 'vitest'
import { quantile } from '../../../src/cli/admin/quantile.ts'

const BOUNDS = [0.1, 0.5, 1]

test.each([
  ['the middle of the only bucket', 0.5, [0, 8, 0, 0], 0.3],
  ['from 0 in the first bucket', 0.5, [8, 0, 0, 0], 0.05],
  ['the share of a bucket', 0.75, [2, 2, 0, 0], 0.3],
  ['the end of a bucket', 0.5, [2, 0, 2, 0], 0.1],
  ['over an empty bucket', 0.75, [2, 0, 2, 0], 0.75],
  ['the highest bound in the last bucket', 0.99, [50, 0, 0, 50], 1],
  ['the whole', 1, [1, 1, 1, 0], 1],
])('%s', (_, q, counts, expected) => {
  expect(quantile(q, counts, BOUNDS)).toBeCloseTo(expected, 10)
})

test('there is none without observations', () => {
  expect(quantile(0.5, [0, 0, 0, 0], BOUNDS)).toBeNaN()
})

const counts = fc.array(fc.nat({ max: 1_000 }), { minLength: 4, maxLength: 4 }).filter((all) => all.some(Boolean))
const q = fc.double({ min: 0.001, max: 1, noNaN: true })

test('lies in the bucket where so many observations are reached, and grows with q', () => {
  fc.assert(
    fc.property(counts, q, q, (counts, one, other) => {
      const value = quantile(one, counts, BOUNDS)
      const rank = one * counts.reduce((sum, count) => sum + count, 0)
      let reached = 0
      const bucket = counts.findIndex((count) => {
        reached += count
        // The last sum may be less than the rank by a rounding error.
        return count > 0 && reached >= rank * (1 - 1e-12)
      })
      const lower = BOUNDS[bucket - 1] ?? 0
      expect(value).toBeGreaterThanOrEqual(Math.min(lower, 1))
      expect(value).toBeLessThanOrEqual(BOUNDS[bucket] ?? 1)
      const [less, more] = [Math.min(one, other), Math.max(one, other)]
      expect(quantile(less, counts, BOUNDS)).toBeLessThanOrEqual(quantile(more, counts, BOUNDS) + 1e-12)
    }),
  )
})
