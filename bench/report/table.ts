import type { Results } from './results.ts'
import { captionOf, format, formatSpread, type Row, type Section, sectionsOf } from './rows.ts'

interface Column {
  title: string
  cell(row: Row): string
}

const NONE = '-'

/** Those that any of the rows has something for. */
function columnsOf({ unit, rows }: Section): Column[] {
  const columns: Column[] = [
    { title: unit, cell: ({ figure }) => (figure ? format(figure.median) : NONE) },
    { title: 'from - to', cell: ({ figure }) => (figure ? formatSpread(figure) : NONE) },
    { title: 'x badass', cell: ({ ratio }) => (ratio === undefined ? NONE : ratio.toFixed(2)) },
  ]
  if (rows.some(({ result }) => result.rate)) {
    columns.push({ title: 'a second', cell: ({ result }) => (result.rate ? format(result.rate.median) : NONE) })
  }
  if (rows.some(({ result }) => result.latency)) {
    const titles = { p50: 'p50 ms', p99: 'p99 ms', p999: 'p99.9 ms' }
    for (const key of ['p50', 'p99', 'p999'] as const) {
      columns.push({
        title: titles[key],
        cell: ({ result }) => (result.latency ? format(result.latency[key].median) : NONE),
      })
    }
  }
  return columns
}

function formatSection(section: Section): string {
  const columns = columnsOf(section)
  const cells = [
    [section.workload, ...columns.map(({ title }) => title)],
    ...section.rows.map((row) => [row.name, ...columns.map(({ cell }) => cell(row))]),
  ]
  const widths = cells[0]!.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)))
  const lines = cells.map(([name = '', ...rest], i) => {
    const line = [name.padEnd(widths[0]!), ...rest.map((cell, j) => cell.padStart(widths[j + 1]!))].join('  ')
    const failed = section.rows[i - 1]?.result.failed
    return failed ? `${line}  failed: ${failed}` : line
  })
  const rule = widths.map((width) => '-'.repeat(width)).join('  ')
  return [section.title, lines[0], rule, ...lines.slice(1)].join('\n')
}

/** All of it as plain text, a table for each workload, the cheapest first. */
export function formatTable(results: Results): string {
  const sections = sectionsOf(results)
  const notes = sections.flatMap(({ rows }) =>
    rows.map(({ name, result }) => [name, [result.version, result.note].filter(Boolean).join(': ')] as const),
  )
  return [
    captionOf(results),
    ...sections.map(formatSection),
    [...new Map(notes)].map(([name, note]) => `${name} ${note}`).join('\n'),
  ].join('\n\n')
}

export function printTable(results: Results): void {
  console.log(`\n${formatTable(results)}\n`)
}
