import type { Target } from '../config/index.ts'

/** Of the most connections that a backend takes, those of one of several workers: together they are as many, or one each. */
export function shareOf(most: number, number: number, count: number): number {
  return Math.max(1, Math.floor((most + number - 1) / count))
}

/** A backend as one of several workers has it. */
export function portionOf(target: Target, number: number, count: number): Target {
  const { maxConnections } = target
  return maxConnections === undefined ? target : { ...target, maxConnections: shareOf(maxConnections, number, count) }
}
