export interface Backoff {
  /** ms after the first failure. */
  min: number
  /** ms after many: each failure doubles the wait until then. */
  max: number
}

/**
 * How long to wait after so many failures, in whole ms: from half of the doubled wait to all of it, so that those who
 * failed together do not come back together.
 */
export function delayAfter(failures: number, { min, max }: Backoff, random: () => number): number {
  return Math.round(Math.min(max, min * 2 ** (failures - 1)) * (0.5 + random() / 2))
}
