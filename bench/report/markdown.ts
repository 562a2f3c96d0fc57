import type { Figure, Result, Results } from './results.ts'
import { captionOf, format, formatSpread, isOnCurve, nodesOf, type Section, sectionsOf } from './rows.ts'

/** The columns of the short table, where the results have them; the others stand in the long one. */
const COLUMNS = [
  'badass',
  'badass modify',
  'net pipe',
  'haproxy http',
  'haproxy http splicing',
  'haproxy http pooled',
  'haproxy tcp',
  'nginx http',
  'nginx stream',
  'direct',
]
const PERCENTILES = { p50: 'p50', p99: 'p99', p999: 'p99.9' }
const NPM = 'cheapest npm proxy'

interface Column {
  title: string
  /** Undefined where there is none of it. */
  pick(results: readonly Measured[]): Measured | undefined
}

/** A result, and its figure that a line is about. */
interface Measured {
  result: Result
  figure: Figure
}

interface Line {
  title: string
  results: Measured[]
}

export function tableOf(lines: readonly (readonly string[])[]): string {
  const [head = [], ...rest] = lines
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [row(head), `|---|${'---:|'.repeat(head.length - 1)}`, ...rest.map(row)].join('\n')
}

function columnsOf(results: Results): Column[] {
  const nodes = nodesOf(results)
  return [COLUMNS[0]!, NPM, ...COLUMNS.slice(1)].flatMap((name) => {
    const isNative = results.results.some(({ peer, kind }) => peer === name && kind === 'native')
    return (isNative ? [undefined] : nodes).map((node): Column => {
      const isIt = ({ result }: Measured) =>
        result.node === node &&
        (name === NPM ? result.kind === 'npm' && result.reads === 'each request' : result.peer === name)
      return {
        title: node && nodes.length > 1 ? `${name}, Node ${node.split('.', 1)}` : name,
        pick: (measured) => cheapest(measured.filter(isIt)),
      }
    })
  })
}

function cheapest(measured: readonly Measured[]): Measured | undefined {
  return measured.toSorted((a, b) => a.figure.median - b.figure.median)[0]
}

/** What a section says: its cost, and its latencies where it has them. */
function linesOf({ workload, unit, rows }: Section): Line[] {
  const lines = [{ title: `${workload}, ${unit}`, results: rows.flatMap((row) => measured(row.result, row.figure)) }]
  for (const key of Object.keys(PERCENTILES) as (keyof typeof PERCENTILES)[]) {
    const results = rows.flatMap(({ result }) => measured(result, result.latency?.[key]))
    if (results.length > 0) lines.push({ title: `${workload}, ${PERCENTILES[key]} in ms`, results })
  }
  return lines
}

function measured(result: Result, figure: Figure | undefined): Measured[] {
  return figure ? [{ result, figure }] : []
}

/** The short table: what each unit of work takes; the least of each line stands out. */
export function readmeTable(results: Results): string {
  if (results.results.every(({ workload }) => workload === 'workers')) return workersTable(results)
  const lines = sectionsOf(results)
    .filter((section) => !isOnCurve(section) && section.workload !== 'session')
    .flatMap(linesOf)
  const columns = columnsOf(results).filter(({ pick }) => lines.some((line) => pick(line.results)))
  const body = lines.map(({ title, results }) => {
    const picked = columns.map(({ pick }) => pick(results))
    const least = cheapest(picked.flatMap((one) => (one && !one.result.isBaseline ? [one] : [])))
    return [title, ...picked.map((one, i) => cellOf(one, columns[i]!, one === least))]
  })
  return `${tableOf([['', ...columns.map(({ title }) => title)], ...body])}\n\n${captionOf(results)}.`
}

function cellOf(one: Measured | undefined, { title }: Column, isLeast: boolean): string {
  if (!one) return ''
  const text = isLeast ? `**${format(one.figure.median)}**` : format(one.figure.median)
  return title.startsWith(NPM) ? `${text} (${one.result.peer})` : text
}

function workersTable(results: Results): string {
  const body = results.results.map(({ node = '', peer, rate, cost, note, failed }) => [
    `${peer}; Node ${node}`,
    rate ? format(rate.median) : `failed: ${failed}`,
    rate ? formatSpread(rate) : '',
    cost ? format(cost.median) : '',
    note,
  ])
  const head = ['', 'requests a second', 'from - to', 'µs of CPU a request', 'where the cores went']
  const what = 'Workers of the command: requests a second; more is better.'
  return `${what}\n\n${tableOf([head, ...body])}\n\n${captionOf(results)}. Nothing is pinned.`
}

/** The long tables: each workload with all of its peers and how far the rounds were apart. */
export function detailTables(results: Results): string {
  return sectionsOf(results)
    .map(({ workload, title, unit, rows }) => {
      const hasLatency = rows.some(({ result }) => result.latency)
      const body = rows.map(({ name, figure, ratio, result: { rate, latency, failed } }) => [
        failed ? `${name}: failed, ${failed.replaceAll('|', '/')}` : name,
        figure ? format(figure.median) : '',
        figure ? formatSpread(figure) : '',
        ratio === undefined ? '' : ratio.toFixed(2),
        rate ? format(rate.median) : '',
        ...(hasLatency ? [latency ? [latency.p50, latency.p99, latency.p999].map(medianOf).join(' / ') : ''] : []),
      ])
      const head = [
        workload,
        unit,
        'from - to',
        '× badass',
        'a second',
        ...(hasLatency ? ['p50 / p99 / p99.9, ms'] : []),
      ]
      return `${workload}: ${title}.\n\n${tableOf([head, ...body])}`
    })
    .join('\n\n')
}

function medianOf({ median }: Figure): string {
  return format(median)
}
