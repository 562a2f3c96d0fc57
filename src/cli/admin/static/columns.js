// What the table of backends shows of each, and how it is sorted and filtered. Does not touch the page.
import { conditionOf } from './format.js'
import { latest, recent, seriesOf } from './history.js'

/** The worst first. */
export const CONDITIONS = ['down', 'ejected', 'draining', 'up']

/** Values to sort by, by the name of the column, and the direction in which most people want them first. */
const COLUMNS = {
  id: { value: ({ backend }) => backend.id, isRising: true },
  state: { value: ({ backend, condition }) => [CONDITIONS.indexOf(condition), -backend.since], isRising: true },
  open: { value: ({ backend }) => backend.connections },
  rate: { value: ({ rate }) => rate },
  errors: { value: ({ errors }) => errors },
  p99: { value: ({ p99 }) => p99 },
  in: { value: (item) => item.in },
  out: { value: ({ out }) => out },
  weight: { value: ({ backend }) => backend.weight },
  error: { value: ({ backend }) => backend.lastError?.at ?? null },
}
const collator = new Intl.Collator('en', { numeric: true })

/**
 * A backend with its figures: rates per second, seconds of latency; null where they are unknown. `isBlind`: badass does
 * not read the responses, so that each request ends without a status, which is no error then.
 */
export function itemOf(backend, past, isBlind = false) {
  const series = past && seriesOf(past.backends, backend.id)
  const failures = isBlind ? [] : (series?.errors ?? [])
  return {
    backend,
    pool: backend.pool ?? 'default',
    condition: conditionOf(backend),
    rate: recent(series?.rate),
    in: recent(series?.in),
    out: recent(series?.out),
    errors: recent(failures),
    p99: latest(series?.firstByteP99),
    latencies: series?.firstByteP99 ?? [],
    failures,
  }
}

/** The sum of some items, for a pool. */
export function sumOf(items) {
  const add = (name) => {
    const values = items.map((item) => item[name]).filter((value) => value !== null)
    return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) : null
  }
  const open = items.reduce((sum, { backend }) => sum + backend.connections, 0)
  return { open, rate: add('rate'), in: add('in'), out: add('out'), errors: add('errors') }
}

export function isColumn(name) {
  return Object.hasOwn(COLUMNS, name)
}

/** Whether a column begins with its smallest value when it is chosen. */
export function isRisingFirst(name) {
  return COLUMNS[name].isRising === true
}

/** The items in the order of a column. Without one, in that of the config. Unknown values are last. */
export function sorted(items, column, isRising) {
  if (!isColumn(column)) return [...items]
  const { value } = COLUMNS[column]
  const keyed = items.map((item) => [value(item), item])
  const sign = isRising ? 1 : -1
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null)
    return sign * compare(a, b)
  })
  return keyed.map(([, item]) => item)
}

function compare(a, b) {
  if (Array.isArray(a)) return compare(a[0], b[0]) || compare(a[1], b[1])
  return typeof a === 'string' ? collator.compare(a, b) : a - b
}

/** Whether every word of the filter is in what is known of a backend, and its condition is the chosen one, if any. */
export function matcherOf(filter, condition) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean)
  return (item) => {
    if (condition && item.condition !== condition) return false
    const { id, address, source = '', lastError } = item.backend
    const text = [id, address, source, item.pool, item.condition, lastError?.message].join('\n').toLowerCase()
    return words.every((word) => text.includes(word))
  }
}
