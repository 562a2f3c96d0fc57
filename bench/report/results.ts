import type { Peer } from '../proxy/types.ts'

/** What several rounds gave. */
export interface Figure {
  median: number
  min: number
  max: number
}

/** What a peer did of a workload. */
export interface Result {
  workload: string
  /** What it does, for people; one line. */
  title: string
  /** Of the cost, or of the memory where that is what is asked. */
  unit: string
  peer: string
  kind: Peer['kind']
  reads: Peer['reads']
  note: string
  /** Whether there was no proxy: it has no cost, and is in no contest. */
  isBaseline?: true
  version: string
  /** The version of Node that ran it. */
  node?: string
  rounds: number
  cost?: Figure
  /** Units a second. */
  rate?: Figure
  /** ms. */
  latency?: { p50: Figure; p99: Figure; p999: Figure }
  memory?: Figure
  /** Why there are no figures. */
  failed?: string
}

/** All that a run of the bench came to. */
export interface Results<R = Result> {
  date: string
  commit: string
  /** Whether the tree had changes that are not in the commit. */
  isDirty: boolean
  /** `memory` in bytes. */
  machine: { cpu: string; cores: number; memory: number; kernel: string }
  versions: Record<string, string>
  isShort: boolean
  results: R[]
}

/** The median, and how far it spreads. */
export function figureOf(values: number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle]
  if (high === undefined) throw new RangeError('a figure of no values')
  const median = sorted.length % 2 === 1 ? high : (sorted[middle - 1]! + high) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}
