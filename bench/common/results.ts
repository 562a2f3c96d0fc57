/** The median of the rounds, with the smallest and the largest value. */
export interface Figure {
  median: number
  min: number
  max: number
}

/** The result of one peer in one workload. */
export interface Result {
  workload: string
  /** What the workload does; one line. */
  title: string
  /** The unit of `cost` or `memory`: 'µs of CPU a request', 'KB a tunnel', 'ns a head'. */
  unit: string
  peer: string
  /** This package, another npm package, or a native program. */
  kind: 'badass' | 'npm' | 'native'
  /** How much of HTTP a proxy reads. */
  reads?: 'each request' | 'one head' | 'nothing'
  note: string
  /** No proxy at all: it has a latency but no cost. */
  isBaseline?: true
  version?: string
  /** The version of Node.js that ran it. */
  node?: string
  rounds: number
  cost?: Figure
  memory?: Figure
  /** Units a second. */
  rate?: Figure
  /** ms. */
  latency?: { p50: Figure; p99: Figure; p999: Figure }
  /** Why there are no figures. */
  failed?: string
}

/** The results of a run. */
export interface Results {
  date: string
  commit: string
  /** Whether the tree had uncommitted changes. */
  isDirty: boolean
  /** `memory` in bytes. */
  machine: { cpu: string; cores: number; memory: number; kernel: string }
  versions: Record<string, string>
  isShort: boolean
  results: Result[]
}

/** @throws {RangeError} without values */
export function figureOf(values: readonly number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle]
  if (high === undefined) throw new RangeError('a figure needs at least one value')
  const median = sorted.length % 2 === 1 ? high : (sorted[middle - 1]! + high) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}
