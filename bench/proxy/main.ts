import { Complaint, runMain } from '../common/complaint.ts'
import { checkPrograms, describeCommit, describeMachine, nodeVersion } from '../common/machine.ts'
import { allowedCpus } from '../common/proc.ts'
import { output } from '../common/processes.ts'
import { progress } from '../common/progress.ts'
import { openWorkplace } from '../common/workplace.ts'
import { drawCharts, printTable, saveResults } from '../report/index.ts'
import type { Result, Results } from '../report/results.ts'
import { type Arguments, readArguments } from './arguments.ts'
import { judge } from './gate.ts'
import { Runner } from './runner.ts'

/**
 * Whole-proxy runs, side by side. Exits with 1 where the gate is not met or no peer had a figure, with 2 on a wrong
 * argument. Without the gate, a peer that failed is a line in the table, and no more.
 */
async function main(): Promise<number> {
  const args = readArguments(process.argv.slice(2))
  const programs = new Set(args.peers.flatMap(({ name }) => (name.startsWith('haproxy') ? ['haproxy'] : [])))
  await checkPrograms(['taskset', 'nginx', 'wrk', ...programs])
  const nodes: { path: string; version: string }[] = []
  for (const path of args.nodes) nodes.push({ path, version: await nodeVersion(path) })
  const cpus = await takeCpus()
  const runner = new Runner({ ...args, nodes, cpus, directory: openWorkplace(), progress })
  const results = await describe(args, await runner.run())
  progress.end()
  printTable(results)
  if (args.out !== undefined) {
    for (const file of [saveResults(results, args.out), ...drawCharts(results, args.out)]) console.log(file)
  }
  if (results.results.every(({ failed }) => failed)) throw new Complaint('nothing could be run', 1)
  if (!args.isGate) return 0
  const { isMet, text } = judge(results.results)
  console.log(text)
  return isMet ? 0 : 1
}

/** One core for the peer; the last for load and backend, and for this process. */
async function takeCpus(): Promise<{ peer: number; load: number }> {
  const [peer = 0, ...more] = allowedCpus()
  const load = more.at(-1) ?? peer
  if (load === peer) progress.done('one core only: load, backend and proxy share it')
  await output(['taskset', '-a', '-c', '-p', String(load), String(process.pid)])
  return { peer, load }
}

async function describe({ isShort }: Arguments, results: Result[]): Promise<Results> {
  const versions: Record<string, string> = {}
  for (const { peer, version } of results) if (version) versions[peer] = version
  versions.node = [...new Set(results.flatMap(({ node }) => node ?? []))].join(', ')
  versions.wrk = /wrk \S*?([\d.]+)/.exec(await output(['wrk', '-v']))?.[1] ?? 'unknown'
  const date = new Date().toISOString()
  return { date, ...(await describeCommit()), machine: describeMachine(), versions, isShort, results }
}

runMain(main)
