import type { Figure, Result, Results } from './results.ts'

interface Column {
  title: string
  workload: string
  figure(result: Result): Figure | undefined
}

/** Columns side by side. The table goes on below with the next ones. */
const MAX_COLUMNS = 7

/** The results as padded Markdown: a row for each peer and a column for each workload, with the medians. */
export function formatTable(all: Results): string {
  const { results } = all
  const nameOf = namesOf(results)
  const columns = columnsOf(results)
  const parts: string[] = []
  for (let i = 0; i < columns.length; i += MAX_COLUMNS) {
    parts.push(partOf(results, columns.slice(i, i + MAX_COLUMNS), nameOf))
  }
  const list = (lines: readonly string[]) => [...new Set(lines)].map((line) => `- ${line}`).join('\n')
  return [
    captionOf(all),
    ...parts,
    list(results.flatMap((one) => (one.failed ? `${nameOf(one)} failed in '${one.workload}': ${one.failed}` : []))),
    list(results.map(({ workload, unit, title }) => `**${workload}** (${unit}): ${title}.`)),
    list(results.map(({ peer, version, note }) => `**${peer}**${version ? ` ${version}` : ''}: ${note}.`)),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

/** What was measured, when, and on which machine. */
export function captionOf({ machine, commit, isDirty, date, isShort, results }: Results): string {
  const nodes = [...new Set(results.flatMap(({ node }) => node ?? []))]
  const rounds = Math.max(0, ...results.map((result) => result.rounds))
  return [
    nodes.map((node) => `Node ${node}`).join(' and '),
    `${machine.cpu}, ${machine.cores} cores, ${machine.kernel}`,
    `median of ${rounds} round${rounds === 1 ? '' : 's'}${isShort ? ' of the short form' : ''}`,
    `${date.slice(0, 10)}, commit ${commit.slice(0, 10)}${isDirty ? ' with changes' : ''}`,
  ]
    .filter((part) => part !== '')
    .join('; ')
}

function columnsOf(results: readonly Result[]): Column[] {
  const workloads = [...new Set(results.map(({ workload }) => workload))]
  return workloads.flatMap((workload): Column[] => {
    const some = results.filter((result) => result.workload === workload)
    const unit = some[0]!.unit.split(' ', 1)[0]!
    const cost: Column = { title: `${workload}, ${unit}`, workload, figure: (result) => result.memory ?? result.cost }
    if (!some.some(({ latency }) => latency)) return [cost]
    const percentiles = (['p50', 'p99'] as const).map(
      (key): Column => ({ title: `${workload} ${key}, ms`, workload, figure: (result) => result.latency?.[key] }),
    )
    return [cost, ...percentiles]
  })
}

/** How to name a peer: with the version of Node.js if there are results of several. */
export function namesOf(results: readonly Result[]): (result: Result) => string {
  const hasNodes = new Set(results.flatMap(({ node }) => node ?? [])).size > 1
  return ({ peer, node }) => (hasNodes && node ? `${peer}, Node ${node.split('.', 1)}` : peer)
}

function partOf(results: readonly Result[], columns: readonly Column[], nameOf: (result: Result) => string): string {
  const rows = [...new Set(results.map(nameOf))].map((name) => {
    const cells = columns.map((column) => {
      const result = results.find((one) => nameOf(one) === name && one.workload === column.workload)
      const figure = result && column.figure(result)
      return figure ? format(figure.median) : result?.failed ? 'failed' : ''
    })
    return [name, ...cells]
  })
  const filled = rows.filter(([, ...cells]) => cells.some((cell) => cell !== ''))
  return padded([['', ...columns.map(({ title }) => title)], ...filled])
}

/** The first column is aligned to the left, the others to the right. */
function padded(lines: readonly string[][]): string {
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)))
  const row = (cells: string[]) => `| ${cells.join(' | ')} |`
  const [head, ...rest] = lines.map((line) =>
    row(line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))),
  )
  const rule = row(widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)))
  return [head, rule, ...rest].join('\n')
}

/** Three significant digits below 1,000. */
function format(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)
}
