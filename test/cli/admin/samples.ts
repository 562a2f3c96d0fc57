import { type Figures, History } from '../../../src/cli/admin/history.ts'
import { historyText } from '../../../src/cli/admin/history-text.ts'
import { countStatus, noRequests, observe, type RequestCounts } from '../../../src/cli/request-counts.ts'
import { COUNTERS, statusOf } from './support.ts'

export type List = (number | null)[]

interface ShownSeries {
  open: List
  rate: List
  in: List
  out: List
  codes: Record<string, List>
  firstByte: Record<'p50' | 'p95' | 'p99', List>
  duration: Record<'p50' | 'p95' | 'p99', List>
}

/** The answer of /api/history. */
export interface Shown {
  interval: number
  times: number[]
  all: ShownSeries
  pools: Record<string, ShownSeries>
  backends: Record<string, Record<'open' | 'rate' | 'in' | 'out' | 'errors' | 'firstByteP99', List>>
}

/** The answer for one backend. */
export interface ShownBackend {
  times: number[]
  backend: ShownSeries
}

export const START = 1_700_000_000_000

/** A service whose counts and clock a test sets. */
export class Recorded {
  /** ms since the start. */
  now = 0
  /** ms by which the clock on the wall is ahead. */
  ahead = 0
  figures = {
    counters: { ...COUNTERS, open: 0, accepted: 0, bytesRead: 0, bytesWritten: 0 },
    backends: [statusOf('a')],
    removed: [] as Figures['backends'],
    requests: [] as RequestCounts[],
  }
  readonly history = new History({ now: () => this.now, date: () => START + this.now + this.ahead })

  /** Takes a sample, `ms` after the one before. */
  sample(ms = 2_000): void {
    this.now += ms
    this.history.add(this.figures)
  }

  /** Counts requests of a backend, each of so many ms. */
  requests(id: string, status: number | undefined, ...durations: number[]): void {
    let counts = this.figures.requests.find(({ backend }) => backend === id)
    if (!counts) {
      counts = noRequests('default', id, id)
      this.figures.requests.push(counts)
    }
    for (const ms of durations) {
      countStatus(counts, status)
      if (status !== undefined) observe(counts, 1, ms)
      observe(counts, 2, ms)
    }
  }

  shown(since?: number): Shown {
    return JSON.parse([...historyText(this.history, this.history.range(since))].join(''))
  }
}
