import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parserTable } from '../parser/markdown.ts'
import type { Results as ParserResults } from '../parser/results.ts'
import { soakBlock } from '../soak/report.ts'
import type { Soak } from '../soak/results.ts'
import { goalsTable } from './goals.ts'
import { detailTables, readmeTable, tableOf } from './markdown.ts'
import type { Results } from './results.ts'

const START = '<!-- bench -->'
const END = '<!-- /bench -->'

/** A file of results of whole proxies, and the charts of it. */
interface Saved {
  name: string
  results: Results
  charts: string[]
}

/** The results of whole proxies that a folder has, by name; undefined where there is none. */
function read(folder: string): Saved[] {
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).sort()
  return files.flatMap((file) => {
    const name = /^((?:proxy|workers).*)\.json$/.exec(file)?.[1]
    if (name === undefined) return []
    const results = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Results
    return [{ name, results, charts: files.filter((chart) => chart.startsWith(`${name}-`) && chart.endsWith('.svg')) }]
  })
}

/** What stands between the marks. `path` is the way from the document to the folder of the results. */
export function blockOf(folder: string, path: string, isLong: boolean): string {
  const parts = read(folder).flatMap(({ name, results, charts }) => [
    readmeTable(results),
    ...charts.map((chart) => `![${chart.replace('.svg', '').replaceAll('-', ' ')}](${path}/${chart})`),
    ...(name.startsWith('proxy') ? [tableOf(goalsTable(results)), ...(isLong ? [detailTables(results)] : [])] : []),
  ])
  const parser = join(folder, 'parser.json')
  if (existsSync(parser)) {
    parts.push(parserTable(JSON.parse(readFileSync(parser, 'utf8')) as ParserResults, isLong))
    if (isLong) parts.push(`![parser](${path}/parser.svg)`)
  }
  const soak = join(folder, 'soak.json')
  if (isLong && existsSync(soak)) {
    parts.push(soakBlock(JSON.parse(readFileSync(soak, 'utf8')) as Soak), `![soak](${path}/soak.svg)`)
  }
  return `\n${parts.join('\n\n')}\n`
}

/** What stands between the marks of a document; undefined where it has none. */
export function blockIn(document: string): string | undefined {
  const [from, to] = [document.indexOf(START), document.indexOf(END)]
  return from < 0 || to < from ? undefined : document.slice(from + START.length, to)
}

/** The document with this block in the place of the one that it has. */
export function replaceBlock(document: string, block: string): string {
  const old = blockIn(document)
  if (old === undefined) throw new Error(`the document has no ${START} and ${END}`)
  return document.replace(START + old + END, () => START + block + END)
}

/** The documents with figures, and what each of their blocks is to be. */
export function documentsOf(root: string): { file: string; block: string }[] {
  const folder = join(root, 'bench', 'results')
  return [
    { file: join(root, 'README.md'), block: blockOf(folder, 'bench/results', false) },
    { file: join(root, 'bench', 'README.md'), block: blockOf(folder, 'results', true) },
  ]
}
