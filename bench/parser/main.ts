import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readOptions } from '../common/arguments.ts'
import { runMain } from '../common/complaint.ts'
import { describeCommit, describeMachine, nodeVersion } from '../common/machine.ts'
import { progress } from '../common/progress.ts'
import { writeResults } from '../report/save.ts'
import { drawParsers } from './chart.ts'
import { cellsOf } from './inputs.ts'
import type { Result, Results } from './results.ts'
import { run } from './run.ts'
import { formatNotes, formatSection } from './table.ts'

const require = createRequire(import.meta.url)
const versionOf = (name: string) => (require(`${name}/package.json`) as { version: string }).version

async function main(): Promise<number> {
  const values = readOptions(process.argv.slice(2), {
    short: { type: 'boolean', default: false },
    node: { type: 'string', multiple: true, default: [process.execPath] },
    out: { type: 'string' },
  })
  const isShort = values.short
  // The short form is a glance: it goes nowhere unless it is told to.
  const out = values.out ?? (isShort ? undefined : fileURLToPath(new URL('../../results', import.meta.url)))
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
  if (out !== undefined) {
    console.log(writeResults(all, out, 'parser'))
    writeFileSync(join(out, 'parser.svg'), drawParsers(all))
  }
  return 0
}

runMain(main)
