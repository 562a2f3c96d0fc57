import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { describeCommit, describeMachine, nodeVersion } from '../proxy/machine.ts'
import { progress } from '../proxy/progress.ts'
import { drawParsers } from './chart.ts'
import { cellsOf } from './inputs.ts'
import type { Result, Results } from './results.ts'
import { run } from './run.ts'
import { formatNotes, formatSection } from './table.ts'

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    node: { type: 'string', multiple: true, default: [process.execPath] },
    out: { type: 'string', default: fileURLToPath(new URL('../../results', import.meta.url)) },
  },
})

const require = createRequire(import.meta.url)
const versionOf = (name: string) => (require(`${name}/package.json`) as { version: string }).version

const isShort = values.short
const [rounds, time] = isShort ? [3, 20] : [15, 100]
const nodes = await Promise.all(values.node.map(async (path) => ({ path, version: await nodeVersion(path) })))
const cells = cellsOf(isShort)
const results: Result[] = []
const start = performance.now()
progress.now('the first')
for await (const some of run(nodes, cells, rounds, time)) {
  results.push(...some)
  progress.done(`${formatSection(some)}\n`)
  progress.now(
    `${results.length / some.length} of ${nodes.length * cells.length} done, ${Math.round((performance.now() - start) / 1000)} s`,
  )
}
progress.end()

const all: Results = {
  date: new Date().toISOString(),
  ...(await describeCommit()),
  machine: describeMachine(),
  versions: Object.fromEntries(['http-parser-js', 'undici'].map((name) => [name, versionOf(name)])),
  isShort,
  results,
}
console.log(formatNotes(all))
mkdirSync(values.out, { recursive: true })
const round = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value)
writeFileSync(`${values.out}/parser.json`, `${JSON.stringify(all, round, 2)}\n`)
writeFileSync(`${values.out}/parser.svg`, drawParsers(all))
