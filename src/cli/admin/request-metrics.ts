import { CODES, HISTOGRAMS, type Histogram, type RequestCounts, STARTS } from '../request-counts.ts'

const REQUESTS = 'badass_http_requests_total'

/** The metrics of the requests of each backend, as Prometheus text. */
export function requestMetrics(all: readonly RequestCounts[]): string {
  const labelled = all.map(({ pool, backend, figures }) => {
    return { labels: `pool="${escapeLabel(pool)}",backend="${escapeLabel(backend)}"`, figures }
  })
  const lines = [...about(REQUESTS, 'Requests that have ended, by class of status.', 'counter')]
  for (const { labels, figures } of labelled) {
    for (const [i, code] of CODES.entries()) lines.push(`${REQUESTS}{${labels},code="${code}"} ${figures[i]}`)
  }
  for (const [i, histogram] of HISTOGRAMS.entries()) {
    lines.push(...about(histogram.name, histogram.help, 'histogram'))
    for (const { labels, figures } of labelled) addHistogram(lines, histogram, labels, figures, STARTS[i]!)
  }
  return `${lines.join('\n')}\n`
}

function about(name: string, help: string, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]
}

/** Adds nothing if nothing was observed. */
function addHistogram(
  lines: string[],
  { name, bounds }: Histogram,
  labels: string,
  figures: readonly number[],
  start: number,
): void {
  const end = start + bounds.length
  const count = figures.slice(start, end + 1).reduce((sum, one) => sum + one, 0)
  if (count === 0) return
  let below = 0
  for (const [i, bound] of bounds.entries()) {
    below += figures[start + i]!
    lines.push(`${name}_bucket{${labels},le="${bound}"} ${below}`)
  }
  lines.push(`${name}_bucket{${labels},le="+Inf"} ${count}`)
  lines.push(`${name}_sum{${labels}} ${figures[end + 1]}`, `${name}_count{${labels}} ${count}`)
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (one) => (one === '\n' ? '\\n' : `\\${one}`))
}
