import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Results } from './results.ts'
import { captionOf, isOnCurve, isOurs, type Section, sectionsOf } from './rows.ts'
import { nameOf } from './save.ts'
import { type Bar, drawBars, drawLines, GREY, type LinePanel } from './svg.ts'

const COLORS = { badass: '#ffc9a9', npm: GREY, native: '#74879b' }

function barsOf(sections: readonly Section[]): { title: string; bars: Bar[] }[] {
  return sections.map(({ workload, unit, rows }) => ({
    title: `${workload}: ${unit}`,
    bars: rows.flatMap(({ name, figure, result }) =>
      figure ? { name, value: figure.median, isOurs: isOurs(result), color: COLORS[result.kind] } : [],
    ),
  }))
}

/** CPU time by unit of work, a panel for each workload; latency, where it was measured, has panels of its own. */
export function drawCosts(results: Results): string {
  const sections = sectionsOf(results).filter((section) => !isOnCurve(section))
  const costs = barsOf(sections)
  const latencies = sections.flatMap((section) =>
    (['p50', 'p99'] as const).flatMap((key) => {
      const rows = section.rows.flatMap((row) =>
        row.result.latency ? { ...row, figure: row.result.latency[key] } : [],
      )
      rows.sort((a, b) => a.figure.median - b.figure.median)
      return rows.length > 0 ? { ...section, unit: `${key}, ms`, rows } : []
    }),
  )
  const title = 'What a proxy takes for each unit of work (less is better; dark: native, light: Node)'
  return drawBars({ title, subtitle: captionOf(results) }, [...costs, ...barsOf(latencies)])
}

const CURVES = [
  { prefix: 'scale', title: 'µs of CPU a small request', xName: 'connections' },
  { prefix: 'open', title: 'µs of CPU a connection with one request', xName: 'other connections that are open' },
]

/** What a unit of work takes by the number of connections; undefined where that was not measured. */
export function drawScale(results: Results): string | undefined {
  const sections = sectionsOf(results).filter(isOnCurve)
  const panels = CURVES.flatMap(({ prefix, title, xName }): LinePanel[] => {
    const points = sections.filter(({ workload }) => workload.startsWith(`${prefix} `))
    if (points.length === 0) return []
    const rows = points.flatMap((point) => point.rows)
    const names = [...new Set(rows.map(({ name }) => name))].sort()
    const lines = names.map((name) => ({
      name,
      isOurs: rows.some((row) => row.name === name && isOurs(row.result)),
      values: points.map((point) => point.rows.find((row) => row.name === name)?.figure?.median ?? null),
    }))
    return [{ title, xName, xs: points.map(({ workload }) => workload.slice(prefix.length + 1)), lines }]
  })
  if (panels.length === 0) return undefined
  return drawLines({ title: 'What a unit takes by the number of connections', subtitle: captionOf(results) }, panels)
}

/** Writes the charts beside the results that saveResults() writes, and returns their paths. */
export function drawCharts(results: Results, folder: string, kind = 'proxy'): string[] {
  mkdirSync(folder, { recursive: true })
  const charts = { cost: drawCosts(results), scale: drawScale(results) }
  return Object.entries(charts).flatMap(([name, svg]) => {
    if (svg === undefined) return []
    const file = join(folder, `${nameOf(results, kind)}-${name}.svg`)
    writeFileSync(file, svg)
    return file
  })
}
