import { describe, expect, test } from 'vitest'
import { figureOf } from '../../bench/common/results.ts'
import { growthOf } from '../../bench/proxy/loads/idle.ts'

test('figureOf returns the median, the smallest and the largest value', () => {
  expect(figureOf([10, 9, 100])).toEqual({ median: 10, min: 9, max: 100 })
  expect(figureOf([4, 1, 3, 100])).toEqual({ median: 3.5, min: 1, max: 100 })
  expect(figureOf([7])).toEqual({ median: 7, min: 7, max: 7 })
})

test('figureOf needs a value', () => {
  expect(() => figureOf([])).toThrow(RangeError)
})

describe('the memory of a tunnel', () => {
  const steps = Array.from({ length: 15 }, (_, i) => (i + 1) * 200)

  test('is not underestimated when the first tunnels fit into free memory', () => {
    expect(growthOf(steps.map((x) => [x, Math.max(0, x - 1000) * 5]))).toBeCloseTo(5)
  })

  test('is not underestimated when the last tunnels fit into freed memory', () => {
    expect(growthOf(steps.map((x) => [x, Math.min(x, 1500) * 8]))).toBeCloseTo(4)
  })

  test('does not depend on leaps up and down', () => {
    expect(growthOf(steps.map((x, i) => [x, x * 5 - (i % 2 === 0 ? 0 : 200)]))).toBeCloseTo(5, 1)
  })
})
