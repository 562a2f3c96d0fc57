import { createRequire } from 'node:module'
import { readOptions } from '../common/arguments.ts'
import { runMain } from '../common/complaint.ts'
import { describeRun, findNode } from '../common/machine.ts'
import { progress } from '../common/progress.ts'
import type { Result } from '../common/results.ts'
import { saveResults } from '../common/save.ts'
import { formatTable } from '../common/table.ts'
import { cellsOf } from './inputs.ts'
import { runCell } from './run.ts'

// Parsers side by side:
//   npm run bench:parser -- [--short] [--node PATH]... [--out FOLDER]

const require = createRequire(import.meta.url)
const versionOf = (name: string) => (require(`${name}/package.json`) as { version: string }).version

async function main(): Promise<number> {
  const { short, node, out } = readOptions(process.argv.slice(2), {
    short: { type: 'boolean', default: false },
    node: { type: 'string', multiple: true, default: [process.execPath] },
    out: { type: 'string' },
  })
  const [rounds, time] = short ? [3, 20] : [15, 100]
  const results: Result[] = []
  for (const found of await Promise.all(node.map(findNode))) {
    for (const cell of cellsOf(short)) {
      const title = `${cell.input.name}, ${cell.cut.name}, Node ${found.version}`
      progress.now(title)
      const some = await runCell(found, cell, rounds, time)
      progress.done(`${title}: ${some.map(({ peer, cost }) => `${peer} ${Math.round(cost!.median)} ns`).join(', ')}`)
      results.push(...some)
    }
  }
  progress.end()
  const versions = Object.fromEntries(['http-parser-js', 'undici'].map((name) => [name, versionOf(name)]))
  const all = { ...(await describeRun()), versions, isShort: short, results }
  console.log(`\n${formatTable(all)}\n`)
  if (out !== undefined) for (const file of saveResults(all, out, 'parser')) console.log(file)
  return 0
}

runMain(main)
