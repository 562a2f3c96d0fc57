import { setTimeout as sleep } from 'node:timers/promises'
import { descriptorsForConnections } from '../../common/proc.ts'
import type { Round, Sample, Workload } from '../types.ts'
import { LoadClient } from './client.ts'
import { openTunnel } from './upgrade.ts'
import { passesUpgrade } from './websocket.ts'

const TUNNELS = 3000
/** Tunnels that are opened and closed first, so many at a time. */
const WARM_UP = { times: 10, tunnels: 100 }
/** They are opened in so many steps, as the heap of a peer grows and shrinks by leaps. */
const STEPS = 15
const SETTLE_MS = 250

/** As many as the descriptors of the proxy allow, which has two for each. */
function tunnelsAllowed(): number {
  return Math.min(TUNNELS, Math.floor(descriptorsForConnections() / 2))
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
    return {
      units: step * STEPS,
      seconds,
      cpu: round.usage().cpu - before.cpu,
      memory: growthOf(grown),
    }
  } finally {
    await client.stop()
  }
}

type Points = readonly (readonly [tunnels: number, bytes: number])[]

/**
 * What a tunnel takes: by all that were opened, or by the slope over the later two thirds, whichever is more. The first
 * ones may fill what the peer had taken before, without growth; the last ones what a collection has just freed.
 */
export function growthOf(points: Points): number {
  const [tunnels, bytes] = points.at(-1)!
  return Math.max(bytes / tunnels, slopeOf(points.slice(Math.floor(points.length / 3))))
}

/** Of the line that is nearest to the points (least squares), wherever it begins. */
function slopeOf(points: Points): number {
  const mean = (axis: 0 | 1) => points.reduce((total, point) => total + point[axis], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const sum = (axis: 0 | 1, by: number) =>
    points.reduce((total, point) => total + (point[0] - x) * (point[axis] - by), 0)
  return sum(1, y) / sum(0, x)
}

export const idle: Workload = {
  name: 'idle tunnels',
  // What a proxy has once taken for other work it would fill with tunnels again, and not grow.
  isFresh: true,
  title: `${tunnelsAllowed()} tunnels that are open and silent`,
  unit: 'KB a tunnel',
  backend: 'echo',
  suits: passesUpgrade,
  check: async (port) => void (await openTunnel(port, '/hold')).destroy(),
  run,
}
