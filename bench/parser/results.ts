import type { Results as AllResults, Figure } from '../report/results.ts'

/** What a peer did with an input. */
export interface Result {
  input: string
  /** Of the head. */
  bytes: number
  cut: string
  peer: string
  note: string
  /** The version of Node that ran it. */
  node: string
  rounds: number
  nsPerHead: Figure
  /** Of the median. */
  headsPerSecond: number
  bytesPerSecond: number
  /** What one head allocates on the heap of V8, and outside of it (buffers). */
  heapBytesPerHead: number
  externalBytesPerHead: number
}

/** All that a run came to. */
export type Results = AllResults<Result>

/** What `HeadScanner` is to come to, as ratios in one run. */
export interface Goals {
  /** How many times faster than Node's own parser it is on the browser's head, whole. */
  timesNode: number
  /** How many times as long as in one piece the browser's head takes byte by byte. */
  timesWhole: number
}

/** At least, and at most. */
export const GOALS: Goals = { timesNode: 1.5, timesWhole: 10 }

/** @throws {RangeError} on results that do not have it all */
export function goalsOf(results: readonly Result[], node: string): Goals {
  const median = (peer: string, cut: string) => {
    const result = results.find((r) => r.node === node && r.input === 'browser' && r.cut === cut && r.peer === peer)
    if (!result) throw new RangeError(`no result of ${peer} for the browser's head, ${cut}, Node ${node}`)
    return result.nsPerHead.median
  }
  const whole = median('HeadScanner', 'whole')
  return {
    timesNode: median('Node llhttp', 'whole') / whole,
    timesWhole: median('HeadScanner', 'byte by byte') / whole,
  }
}
