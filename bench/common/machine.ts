import os from 'node:os'
import { Complaint } from './complaint.ts'
import { output } from './processes.ts'
import type { Results } from './results.ts'

/** The part of the results that says when, where and on which commit they were measured. */
export async function describeRun(): Promise<Pick<Results, 'date' | 'commit' | 'isDirty' | 'machine'>> {
  const commit = /^[0-9a-f]{40,}$/m.exec(await output(['git', 'rev-parse', 'HEAD']))?.[0] ?? ''
  const changes = await output(['git', 'status', '--porcelain', '--', '.', ':!bench/results'])
  const cpus = os.cpus()
  return {
    date: new Date().toISOString(),
    commit,
    isDirty: changes !== '',
    machine: {
      cpu: cpus[0]?.model.trim() ?? 'unknown',
      cores: cpus.length,
      memory: os.totalmem(),
      kernel: `${os.type()} ${os.release()}`,
    },
  }
}

/** @throws {Complaint} that names the programs which are not installed */
export async function checkPrograms(names: readonly string[]): Promise<void> {
  const found = await Promise.all(names.map((name) => output(['which', name])))
  const missing = names.filter((_, i) => found[i]!.trim() === '')
  if (missing.length > 0) throw new Complaint(`not installed: ${missing.join(', ')}`, 1)
}

/** A program that runs Node.js, and its version. */
export interface Node {
  path: string
  version: string
}

/** @throws {Complaint} when the program at `path` is not Node.js */
export async function findNode(path: string): Promise<Node> {
  const printed = await output([path, '-p', 'process.versions.node']).catch(() => '')
  const version = /^\d+\.\d+\.\d+\S*$/m.exec(printed)?.[0]
  if (!version) throw new Complaint(`--node: expected the path of a node, got '${path}'`)
  return { path, version }
}
