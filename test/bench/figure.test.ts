import { expect, test } from 'vitest'
import { slopeOf } from '../../bench/proxy/loads/idle.ts'
import { figureOf } from '../../bench/report/results.ts'

test('a figure is the median of its rounds, and their ends, in whichever order they came', () => {
  expect(figureOf([10, 9, 100])).toEqual({ median: 10, min: 9, max: 100 })
  expect(figureOf([4, 1, 3, 100])).toEqual({ median: 3.5, min: 1, max: 100 })
  expect(figureOf([7])).toEqual({ median: 7, min: 7, max: 7 })
})

test('there is no figure of no rounds', () => {
  expect(() => figureOf([])).toThrow(RangeError)
})

test('the slope goes through 0, and leaps up and down cancel out', () => {
  const line = [1, 2, 3].map((x) => [x, 5 * x] as const)
  expect(slopeOf(line)).toBe(5)
  const leap = ([x, y]: readonly [number, number], by: number) => [x, y + by] as const
  expect(slopeOf([leap(line[0]!, 3), line[1]!, leap(line[2]!, -1)])).toBe(5)
})
