import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Round, Sample, Workload } from '../types.ts'
import { LoadClient } from './client.ts'
import { openTunnel } from './upgrade.ts'
import { passesUpgrade } from './websocket.ts'

const TUNNELS = 3000
/** Tunnels that are opened and closed first, so many at a time. */
const WARM_UP = { times: 10, tunnels: 100 }
/** They are opened in so many steps, as the heap of a peer grows and shrinks by leaps. */
const STEPS = 10
const SETTLE_MS = 250
/** What a process has open besides its tunnels. */
const SPARE_DESCRIPTORS = 200

/** As many as the descriptors of the proxy allow, which has two for each. */
function tunnelsAllowed(): number {
  const limit = /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
  const descriptors = limit === 'unlimited' ? Infinity : Number(limit)
  return Math.min(TUNNELS, Math.floor((descriptors - SPARE_DESCRIPTORS) / 2))
}

/**
 * What the memory of a proxy that has just started grows by, garbage and all. It has compiled what it runs, and its heap
 * has grown to what the opening of tunnels takes for itself, by those that came and went before.
 */
async function run(round: Round): Promise<Sample> {
  const step = Math.floor(tunnelsAllowed() / STEPS)
  const client = new LoadClient('idle-client.js', round.cpu, { port: round.port })
  try {
    await client.next()
    for (let i = 0; i < WARM_UP.times; i++) {
      await client.ask(WARM_UP.tunnels)
      await client.ask(0)
    }
    await sleep(SETTLE_MS)
    const before = round.usage()
    const grown: [tunnels: number, bytes: number][] = []
    let seconds = 0
    for (let i = 1; i <= STEPS; i++) {
      const start = performance.now()
      const tunnels = await client.ask<number>(step)
      seconds += (performance.now() - start) / 1000
      await sleep(SETTLE_MS)
      grown.push([tunnels, round.usage().memory - before.memory])
    }
    return { units: step * STEPS, seconds, cpu: round.usage().cpu - before.cpu, memory: slopeOf(grown) }
  } finally {
    await client.stop()
  }
}

/** Of the line through 0 that is nearest to the points (least squares). */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const sum = (of: (x: number, y: number) => number) => points.reduce((total, [x, y]) => total + of(x, y), 0)
  return sum((x, y) => x * y) / sum((x) => x * x)
}

export const idle: Workload = {
  name: 'idle tunnels',
  isFresh: true,
  title: `${tunnelsAllowed()} tunnels that are open and silent`,
  unit: 'KB a tunnel',
  backend: 'echo',
  suits: passesUpgrade,
  check: async (port) => void (await openTunnel(port, '/hold')).destroy(),
  run,
}
