import { describe, expect, test } from 'vitest'
import { growthOf } from '../../bench/proxy/loads/idle.ts'
import { figureOf } from '../../bench/report/results.ts'

test('a figure is the median of its rounds, and their ends, in whichever order they came', () => {
  expect(figureOf([10, 9, 100])).toEqual({ median: 10, min: 9, max: 100 })
  expect(figureOf([4, 1, 3, 100])).toEqual({ median: 3.5, min: 1, max: 100 })
  expect(figureOf([7])).toEqual({ median: 7, min: 7, max: 7 })
})

test('there is no figure of no rounds', () => {
  expect(() => figureOf([])).toThrow(RangeError)
})

describe('what a tunnel takes', () => {
  const steps = Array.from({ length: 15 }, (_, i) => (i + 1) * 200)

  test('is not less for tunnels at first that fill what was there before', () => {
    expect(growthOf(steps.map((x) => [x, Math.max(0, x - 1000) * 5]))).toBeCloseTo(5)
  })

  test('is not less for tunnels at last that fill what has just been freed', () => {
    expect(growthOf(steps.map((x) => [x, Math.min(x, 1500) * 8]))).toBeCloseTo(4)
  })

  test('is not moved by leaps up and down', () => {
    expect(growthOf(steps.map((x, i) => [x, x * 5 - (i % 2 === 0 ? 0 : 200)]))).toBeCloseTo(5, 1)
  })
})
