import { setTimeout as sleep } from 'node:timers/promises'
import { descriptorsForConnections } from '../../common/proc.ts'
import type { Round, Sample, Workload } from '../types.ts'
import { LoadClient, openWebSocket } from './client.ts'
import { passesUpgrade } from './websocket.ts'

const TUNNELS = 3000
/** Tunnels that are opened and closed before the measurement. */
const WARM_UP = { times: 10, tunnels: 100 }
/** Tunnels are opened in steps, because the heap of a peer grows and shrinks in leaps. */
const STEPS = 15
const SETTLE_MS = 250

/** The proxy needs two descriptors for each tunnel. */
function tunnelsAllowed(): number {
  return Math.min(TUNNELS, Math.floor(descriptorsForConnections() / 2))
}

/** Measures how the memory of a fresh proxy grows, garbage included. The first tunnels, which are closed, warm it up. */
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
 * Bytes a tunnel: the growth over all steps, or the slope over the last two thirds, whichever is larger. The first tunnels
 * can fit into memory that the peer has already, and the last ones into memory that a garbage collection has just freed.
 */
export function growthOf(points: Points): number {
  const [tunnels, bytes] = points.at(-1)!
  return Math.max(bytes / tunnels, slopeOf(points.slice(Math.floor(points.length / 3))))
}

/** The slope of the line that fits best (least squares). */
function slopeOf(points: Points): number {
  const mean = (axis: 0 | 1) => points.reduce((total, point) => total + point[axis], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const sum = (axis: 0 | 1, by: number) =>
    points.reduce((total, point) => total + (point[0] - x) * (point[axis] - by), 0)
  return sum(1, y) / sum(0, x)
}

export const idle: Workload = {
  name: 'idle tunnels',
  // Tunnels would fill the memory of earlier work, and the proxy would not grow.
  isFresh: true,
  title: `${tunnelsAllowed()} open, silent tunnels`,
  unit: 'KB a tunnel',
  backend: 'echo',
  suits: passesUpgrade,
  check: async (port) => void (await openWebSocket(port)).terminate(),
  run,
}
