import { CODES, HISTOGRAMS, type Histogram, type RequestCounts, STARTS } from '../request-counts.ts'
import { about, labelsOf, sample } from './text-format.ts'

const REQUESTS = 'badass_http_requests_total'

/** The metrics of the requests of each backend, as Prometheus text in small parts. */
export function* requestMetrics(all: readonly RequestCounts[]): Generator<string> {
  yield about(REQUESTS, 'counter', 'Requests that have ended, by class of status.')
  for (const { pool, backend, figures } of all) {
    const labels = labelsOf({ pool, backend })
    yield CODES.map((code, i) => sample(REQUESTS, `${labels},code="${code}"`, figures[i]!)).join('')
  }
  for (const [i, histogram] of HISTOGRAMS.entries()) {
    yield about(histogram.name, 'histogram', histogram.help)
    for (const { pool, backend, figures } of all) {
      yield samplesOf(histogram, labelsOf({ pool, backend }), figures, STARTS[i]!)
    }
  }
}

/** Empty if nothing was observed. */
function samplesOf({ name, bounds }: Histogram, labels: string, figures: readonly number[], start: number): string {
  let count = 0
  let text = ''
  for (const [i, bound] of [...bounds, '+Inf'].entries()) {
    count += figures[start + i]!
    text += sample(`${name}_bucket`, `${labels},le="${bound}"`, count)
  }
  if (count === 0) return ''
  const sum = figures[start + bounds.length + 1]!
  return text + sample(`${name}_sum`, labels, sum) + sample(`${name}_count`, labels, count)
}
