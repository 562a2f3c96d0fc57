import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { drawCharts, printTable, saveResults } from '../report/index.ts'
import type { Result, Results } from '../report/results.ts'
import { type Arguments, readArguments } from './arguments.ts'
import { Complaint } from './complaint.ts'
import { judge } from './gate.ts'
import { checkPrograms, describeCommit, describeMachine, nodeVersion } from './machine.ts'
import { allowedCpus, killAll, output, stopAll } from './processes.ts'
import { progress } from './progress.ts'
import { Runner } from './runner.ts'

/** Whole-proxy runs, side by side. Exits with 1 where the gate is not met or nothing could be run, with 2 on a wrong argument. */
async function main(): Promise<number> {
  const args = readArguments(process.argv.slice(2))
  const programs = new Set(args.peers.flatMap(({ name }) => (name.startsWith('haproxy') ? ['haproxy'] : [])))
  await checkPrograms(['taskset', 'nginx', 'wrk', ...programs])
  const nodes: { path: string; version: string }[] = []
  for (const path of args.nodes) nodes.push({ path, version: await nodeVersion(path) })
  const cpus = await takeCpus()
  const directory = mkdtempSync(join(os.tmpdir(), 'badass-bench-'))
  cleanUpAtExit(directory)
  const runner = new Runner({ ...args, nodes, cpus, directory, progress })
  const results = await describe(args, await runner.run())
  progress.end()
  printTable(results)
  if (args.out !== undefined) {
    for (const file of [saveResults(results, args.out), ...drawCharts(results, args.out)]) console.log(file)
  }
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

function cleanUpAtExit(directory: string): void {
  process.on('exit', () => {
    killAll()
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  })
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.once(signal, () => {
      progress.silence()
      void stopAll().finally(() => process.exit(128 + number))
    })
  }
}

async function describe({ isShort }: Arguments, results: Result[]): Promise<Results> {
  const versions: Record<string, string> = {}
  for (const { peer, version } of results) if (version) versions[peer] = version
  versions.node = [...new Set(results.flatMap(({ node }) => node ?? []))].join(', ')
  versions.wrk = /wrk \S*?([\d.]+)/.exec(await output(['wrk', '-v']))?.[1] ?? 'unknown'
  const date = new Date().toISOString()
  return { date, ...(await describeCommit()), machine: describeMachine(), versions, isShort, results }
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    progress.end()
    const isExpected = error instanceof Complaint
    console.error(`bench: ${isExpected ? error.message : (error.stack ?? error)}`)
    process.exit(isExpected ? error.exitCode : 1)
  },
)
