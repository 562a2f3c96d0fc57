import { CODES } from '../request-counts.ts'
import { type History, INTERVAL_MS } from './history.ts'
import { AT, PERCENTILES, type Series } from './series.ts'

/** Samples from `from`, up to but without `to`. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** A value in small parts. */
type Text = Iterable<string>

/** Rates with 2 decimals, bytes with none, seconds to 10 µs: more digits say nothing, and cost time. */
const RATE = 100
const BYTES = 1
const SECONDS = 100_000

/** The samples of everything as JSON: all figures of the service and its pools, some of each backend. */
export function historyText(history: History, range: Range): Text {
  return object([
    ...head(history, range),
    ['all', full(history.all, range)],
    ['pools', object(within(history.pools, range).map(([name, series]) => [name, full(series, range)]))],
    ['backends', object(within(history.backends, range).map(([id, series]) => [id, short(series, range)]))],
  ])
}

/** All figures of one backend as JSON. */
export function backendText(history: History, range: Range, series: Series): Text {
  return object([...head(history, range), ['backend', full(series, range)]])
}

function head(history: History, { from, to }: Range): [string, Text][] {
  const times = Array.from({ length: to - from }, (_, i) => history.timeOf(from + i))
  return [
    ['interval', [String(INTERVAL_MS)]],
    ['times', [JSON.stringify(times)]],
  ]
}

/** Those with samples in the range. Others came or went at its edge. */
function within(all: ReadonlyMap<string, Series>, { from, to }: Range): [string, Series][] {
  return [...all].filter(([, { first, last }]) => last >= from && first < to)
}

function full(series: Series, range: Range): Text {
  const list = (figure: number, scale: number) => listOf(range, scale, (n) => series.get(n, figure))
  const percentiles = (start: number) =>
    object(PERCENTILES.map((q, i) => [`p${q * 100}`, list(start + i, SECONDS)] as const))
  return object([
    ['open', list(AT.open, 1)],
    ['rate', list(AT.rate, RATE)],
    ['in', list(AT.in, BYTES)],
    ['out', list(AT.out, BYTES)],
    ['codes', object(CODES.map((code, i) => [code, list(AT.codes + i, RATE)] as const))],
    ['firstByte', percentiles(AT.firstByte)],
    ['duration', percentiles(AT.duration)],
  ])
}

function short(series: Series, range: Range): Text {
  const list = (figure: number, scale: number) => listOf(range, scale, (n) => series.get(n, figure))
  const [failed, none] = [AT.codes + CODES.indexOf('5xx'), AT.codes + CODES.indexOf('none')]
  return object([
    ['open', list(AT.open, 1)],
    ['rate', list(AT.rate, RATE)],
    ['in', list(AT.in, BYTES)],
    ['out', list(AT.out, BYTES)],
    ['errors', listOf(range, RATE, (n) => series.get(n, failed) + series.get(n, none))],
    ['firstByteP99', list(AT.firstByte + PERCENTILES.indexOf(0.99), SECONDS)],
  ])
}

/** JSON has no NaN: null stands for it. */
function* listOf({ from, to }: Range, scale: number, get: (n: number) => number): Generator<string> {
  yield JSON.stringify(Array.from({ length: to - from }, (_, i) => Math.round(get(from + i) * scale) / scale))
}

function* object(entries: readonly (readonly [name: string, value: Text])[]): Generator<string> {
  yield '{'
  for (const [i, [name, value]] of entries.entries()) {
    yield `${i > 0 ? ',' : ''}${JSON.stringify(name)}:`
    yield* value
  }
  yield '}'
}
