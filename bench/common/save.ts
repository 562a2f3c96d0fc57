import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { drawKeepAlive } from './chart.ts'
import type { Results } from './results.ts'
import { formatTable } from './table.ts'

/** Rounds to five significant digits. */
function round(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
}

/** Writes NAME.json, NAME.md and, from a run with keep-alive requests, keep-alive.svg. Returns their paths. */
export function saveResults(results: Results, folder: string, name: string): string[] {
  mkdirSync(folder, { recursive: true })
  const chart = drawKeepAlive(results)
  const files = [
    [`${name}.json`, JSON.stringify(results, round, 2)],
    [`${name}.md`, formatTable(results)],
    ...(chart === undefined ? [] : [['keep-alive.svg', chart]]),
  ] as const
  return files.map(([file, text]) => {
    const path = join(folder, file!)
    writeFileSync(path, `${text}\n`)
    return path
  })
}
