import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Results } from './results.ts'
import { nodesOf } from './rows.ts'

/** 'proxy-node20', 'proxy-node20-node26': what its files are called. */
export function nameOf(results: Results, kind: string): string {
  const majors = nodesOf(results).map((version) => `node${version.split('.', 1)}`)
  return [kind, ...new Set(majors)].join('-')
}

/** No figure is known to more digits than that. */
function round(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
}

/** Writes the results into a folder, one file for each kind of run, and returns its path. */
export function saveResults(results: Results, folder: string, kind = 'proxy'): string {
  return writeResults(results, folder, nameOf(results, kind))
}

export function writeResults(results: object, folder: string, name: string): string {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${name}.json`)
  writeFileSync(file, `${JSON.stringify(results, round, 2)}\n`)
  return file
}
