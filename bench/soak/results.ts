import type { Results } from '../report/results.ts'
import { OUTCOMES, type Outcome } from './judge.ts'
import type { Delay } from './observer.ts'

/** How the command was at a time. Memory in bytes, delays (since the sample before) in ms. */
export interface Sample {
  /** Seconds since the load began. */
  at: number
  rss: number
  heap: number
  /** Outside of the heap of V8: buffers. */
  external: number
  /** What is left of the heap when the garbage has been collected; not at every sample, as that takes time. */
  clean?: number
  delay: Delay
  /** Connections of clients. */
  open: number
}

export type Counts = Record<Outcome, number>

/** All that a soak came to. */
export interface Soak extends Omit<Results, 'results'> {
  seed: number
  workers: number
  /** Of load. */
  seconds: number
  connections: number
  /** Bytes over all connections of clients. */
  sent: number
  received: number
  /** By the kind of client. */
  exchanges: Record<string, Counts>
  backends: { kills: number; blackouts: number; pauses: number }
  mismatches: number
  /** What nothing accounts for: the first ones. */
  faults: string[]
  faultCount: number
  /** Of the command, without load: before and after. */
  sockets: { before: number; after: number }
  clean: { before: number; after: number }
  delay: Delay
  samples: Sample[]
}

export function noCounts(): Counts {
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Counts
}

export function totalOf(exchanges: Soak['exchanges']): Counts {
  const total = noCounts()
  for (const counts of Object.values(exchanges)) for (const outcome of OUTCOMES) total[outcome] += counts[outcome]
  return total
}

/**
 * Bytes by which the heap may have grown, its garbage collected, from before the load to after it. What is compiled and
 * loaded on the way takes a few MB; 1 KB that stays of each connection is more than that after 20 minutes, and far more.
 */
const MOST_GROWTH = 16 * 2 ** 20

/** Why a soak has failed, a line for each reason; none where it has not. */
export function complaintsOf({ faults, faultCount, sockets, clean, exchanges }: Soak): string[] {
  const complaints = faults.slice()
  if (faultCount > faults.length) complaints.push(`and ${faultCount - faults.length} more`)
  for (const [name, { complete, aborted, rejected }] of Object.entries(exchanges)) {
    if (complete + aborted + rejected === 0) complaints.push(`${name}: nothing of it was done`)
  }
  if (sockets.after > sockets.before) complaints.push(`${sockets.after - sockets.before} sockets were left open`)
  const growth = clean.after - clean.before
  if (growth > MOST_GROWTH) complaints.push(`the heap has grown by ${(growth / 2 ** 20).toFixed(1)} MB`)
  return complaints
}

/** By how much it grew in a minute, over the second half: the slope of the line that fits best. */
export function slopeOf(samples: readonly Sample[], figureOf: (sample: Sample) => number | undefined): number {
  const half = (samples.at(-1)?.at ?? 0) / 2
  const points = samples.flatMap((sample) => {
    const y = figureOf(sample)
    return sample.at < half || y === undefined ? [] : { x: sample.at / 60, y }
  })
  const mean = (of: (point: { x: number; y: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)]
  const spread = mean((point) => (point.x - x) ** 2)
  return spread > 0 ? mean((point) => (point.x - x) * (point.y - y)) / spread : 0
}
