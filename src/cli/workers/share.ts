import type { Config, PoolSettings, Target } from '../config/index.ts'

/** The share of one worker in a limit on connections. The shares add up to the limit, but each is at least 1. */
export function shareOf(limit: number, number: number, count: number): number {
  return Math.max(1, Math.floor((limit + number - 1) / count))
}

/** A pool whose backends have one worker's share of their `maxConnections`. */
export function shareOfPool<P extends PoolSettings>(pool: P, number: number, count: number): P {
  const backends = pool.backends.map((target): Target => {
    const { maxConnections } = target
    return maxConnections === undefined ? target : { ...target, maxConnections: shareOf(maxConnections, number, count) }
  })
  return { ...pool, backends }
}

/** One worker's share of the limits on clients. */
export function shareOfLimits(config: Omit<Config, 'hooks'>, number: number, count: number) {
  const { maxConnections: all, maxConnectionsPerClient: each, rate } = config
  return {
    ...(all && { maxConnections: shareOf(all, number, count) }),
    ...(each && { maxConnectionsPerClient: shareOf(each, number, count) }),
    ...(rate && { rate: { ...rate, requests: rate.requests / count, burst: shareOf(rate.burst, number, count) } }),
  }
}
