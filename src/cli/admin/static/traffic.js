import { at, make } from './dom.js'
import { bytes, bytesParts, count, firstByte, perSecond, wholeRequest } from './format.js'
import { dark, Graph } from './graph.js'
import { History, seriesOf } from './history.js'
import { goTo, placeOf } from './place.js'

/** Classes of status, the worst at the bottom of the stack, where its height can be read. */
const CODES = ['none', '5xx', '4xx', '3xx', '2xx', '1xx']
const LABELS = { none: 'no status' }
const RARE = ['none', '1xx', '3xx', '4xx']
const rate = (n) => `${perSecond(n)}/s`

export const RESPONSES = {
  title: 'Responses per second',
  stacked: true,
  least: 1,
  text: rate,
  axis: shortCount,
  linesOf: ({ codes }) =>
    CODES.map((code) => ({
      label: LABELS[code] ?? code,
      color: `--code-${code}`,
      values: codes[code],
      isRare: RARE.includes(code),
    })),
}

export const FIRST_BYTE = {
  title: 'Time to first byte',
  least: 0.01,
  text: firstByte,
  axis: shortLatency,
  linesOf: (series) => percentiles(series.firstByte),
}

const WHOLE = {
  ...FIRST_BYTE,
  title: 'Time of whole request',
  text: wholeRequest,
  linesOf: ({ duration }) => percentiles(duration),
}

const CONNECTIONS = {
  title: 'Connections',
  least: 4,
  text: (n) => (Number.isInteger(n) ? count(n) : perSecond(n)),
  axis: shortCount,
  linesOf: ({ open, rate }) => [
    { label: 'open', color: '--out', values: open, width: 2 },
    { label: 'new per second', color: '--in', values: rate, dash: [5, 3] },
  ],
}

const THROUGHPUT = {
  title: 'Throughput',
  least: 1000,
  text: (n) => `${bytes(n)}/s`,
  axis: shortBytes,
  linesOf: (series) => [
    { label: 'to clients', color: '--out', values: series.out, width: 2 },
    { label: 'from clients', color: '--in', values: series.in, dash: [5, 3] },
  ],
}

function percentiles({ p50, p95, p99 }) {
  return [
    { label: 'p99', color: '--p99', values: p99, width: 2 },
    { label: 'p95', color: '--p95', values: p95 },
    { label: 'p50', color: '--p50', values: p50, dash: [5, 3] },
  ]
}

function shortCount(n) {
  return n >= 10_000 ? `${Number((n / 1000).toFixed(1))}k` : String(Number(n.toPrecision(3)))
}

function shortLatency(seconds) {
  return seconds === 0 ? '0' : seconds >= 1 ? `${Number(seconds.toPrecision(3))} s` : `${Math.round(seconds * 1000)} ms`
}

function shortBytes(n) {
  const [number, unit] = bytesParts(n)
  return n === 0 ? '0' : `${Number(number)}\u202f${unit}/s`
}

/** The graphs of everything, of a pool, or of a backend. */
export class Traffic {
  #history
  /** The history of the chosen backend. */
  #chosen
  #graphs

  /** `history`: that of everything. */
  constructor(history) {
    this.#history = history
    const kinds = [RESPONSES, FIRST_BYTE, WHOLE, CONNECTIONS, THROUGHPUT]
    this.#graphs = kinds.map((kind) => new Graph(at('graphs').appendChild(make('figure')), kind))
    at('scope').onchange = () => this.choose(at('scope').value)
    at('scope-all').onclick = () => this.choose('')
    dark.addEventListener('change', () => this.show())
  }

  /** `scope`: '' for all, 'pool:NAME' or 'backend:ID'. */
  choose(scope) {
    goTo({ graphs: scope })
    void this.load()
  }

  /** Fetches the past of the chosen backend, and shows it. */
  async load() {
    const scope = placeOf('graphs')
    if (!scope.startsWith('backend:')) this.#chosen = undefined
    else if (this.#chosen?.scope !== scope) {
      this.#chosen = { scope, history: new History(scope.slice('backend:'.length)) }
    }
    await this.#chosen?.history.load().catch(() => undefined)
    this.show()
  }

  /** Fills the list of what can be chosen. */
  offer(pools) {
    const scope = placeOf('graphs')
    const values = ['', ...pools.map((name) => `pool:${name}`)]
    if (scope && !values.includes(scope)) values.push(scope)
    const select = at('scope')
    if (values.join('\n') !== [...select.options].map(({ value }) => value).join('\n')) {
      select.replaceChildren(...values.map((value) => make('option', { value, textContent: nameOf(value) })))
    }
    if (select.value !== scope) select.value = scope
    at('scope-all').hidden = scope === ''
  }

  show() {
    const scope = placeOf('graphs')
    const { past } = scope.startsWith('backend:') ? (this.#chosen?.history ?? {}) : this.#history
    for (const graph of this.#graphs) graph.show(past?.times ?? [], past && seriesIn(past, scope))
  }
}

function seriesIn(past, scope) {
  if (scope.startsWith('backend:')) return past.backend
  return scope.startsWith('pool:') ? seriesOf(past.pools, scope.slice('pool:'.length)) : past.all
}

function nameOf(scope) {
  return scope === '' ? 'everything' : scope.replace(':', ' ')
}
