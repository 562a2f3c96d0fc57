/** Classes of status codes. 'none': no response was seen. */
export const CODES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'] as const

/** A histogram of durations. */
export interface Histogram {
  readonly name: string
  readonly help: string
  /** Upper bounds of the buckets in seconds. One more bucket, +Inf, follows. */
  readonly bounds: readonly number[]
}

const CONNECT: Histogram = {
  name: 'badass_connect_duration_seconds',
  help: 'Time to open a new backend connection, with failed attempts before it.',
  // A lost SYN is sent again after 1 s.
  bounds: [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.5, 5],
}
const FIRST_BYTE: Histogram = {
  name: 'badass_first_byte_duration_seconds',
  help: 'Time from the backend connection to the first byte of its response.',
  bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
}
const REQUEST: Histogram = {
  name: 'badass_request_duration_seconds',
  help: 'Time from the request head to the end of the response.',
  bounds: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
}

export const HISTOGRAMS: readonly [Histogram, Histogram, Histogram] = [CONNECT, FIRST_BYTE, REQUEST]

/** Where a histogram begins in the figures: its buckets, then the sum in seconds. */
export const STARTS = HISTOGRAMS.map((_, i) =>
  HISTOGRAMS.slice(0, i).reduce<number>((start, { bounds }) => start + bounds.length + 2, CODES.length),
)

/** How many figures there are. */
export const FIGURES = STARTS.at(-1)! + REQUEST.bounds.length + 2

/** The requests of a backend. */
export interface RequestCounts {
  /** The pool of the backend. Empty without a backend of a pool. */
  readonly pool: string
  /** The id of the backend in its pool; 'own' for a user's own Dest; empty if no backend was reached. */
  readonly backend: string
  /** Its id on the admin page, which names the pool too. Undefined without a backend of a pool. */
  readonly id: string | undefined
  /** Requests by class of status, then the histograms. In one array, so that adding up is a loop. */
  readonly figures: number[]
}

export function noRequests(pool: string, backend: string, id?: string): RequestCounts {
  return { pool, backend, id, figures: new Array<number>(FIGURES).fill(0) }
}

export function countStatus({ figures }: RequestCounts, status: number | undefined): void {
  // RFC 9110 15: an invalid status counts as a 5xx.
  const index = status === undefined ? CODES.indexOf('none') : Math.min(Math.floor(status / 100), 5) - 1
  figures[index]!++
}

/** `index`: that of the histogram. */
export function observe({ figures }: RequestCounts, index: 0 | 1 | 2, ms: number): void {
  const { bounds } = HISTOGRAMS[index]
  const seconds = ms / 1_000
  let bucket = 0
  while (bucket < bounds.length && seconds > bounds[bucket]!) bucket++
  const start = STARTS[index]!
  figures[start + bucket]!++
  figures[start + bounds.length + 1]! += seconds
}
