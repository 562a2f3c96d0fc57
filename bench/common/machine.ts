import os from 'node:os'
import { Complaint } from './complaint.ts'
import { output } from './processes.ts'

/** What the figures were measured on. `memory` in bytes. */
export function describeMachine() {
  const cpus = os.cpus()
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memory: os.totalmem(),
    kernel: `${os.type()} ${os.release()}`,
  }
}

/** What was measured; empty where this is no checkout. */
export async function describeCommit(): Promise<{ commit: string; isDirty: boolean }> {
  const commit = /^[0-9a-f]{40,}$/m.exec(await output(['git', 'rev-parse', 'HEAD']))?.[0] ?? ''
  // A run leaves its own results.
  const changes = await output(['git', 'status', '--porcelain', '--', '.', ':!bench/results'])
  return { commit, isDirty: changes !== '' }
}

/** @throws {Complaint} where programs are missing: it names them all */
export async function checkPrograms(names: readonly string[]): Promise<void> {
  const found = await Promise.all(names.map((name) => output(['which', name])))
  const missing = names.filter((_, i) => found[i]!.trim() === '')
  if (missing.length > 0) throw new Complaint(`not installed: ${missing.join(', ')}`, 1)
}

/** The version of a Node. @throws {Complaint} where it is none */
export async function nodeVersion(node: string): Promise<string> {
  const said = await output([node, '-p', 'process.versions.node']).catch(() => '')
  const version = /^\d+\.\d+\.\d+\S*$/m.exec(said)?.[0]
  if (!version) throw new Complaint(`--node: '${node}' is no node that runs`)
  return version
}
