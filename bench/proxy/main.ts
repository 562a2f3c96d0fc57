import { Complaint, runMain } from '../common/complaint.ts'
import { checkPrograms, describeRun, findNode } from '../common/machine.ts'
import { allowedCpus } from '../common/proc.ts'
import { output } from '../common/processes.ts'
import { progress } from '../common/progress.ts'
import type { Result, Results } from '../common/results.ts'
import { saveResults } from '../common/save.ts'
import { formatTable } from '../common/table.ts'
import { openWorkplace } from '../common/workplace.ts'
import { readArguments } from './arguments.ts'
import { judge } from './gate.ts'
import { Runner } from './runner.ts'

// Whole proxies side by side:
//   npm run bench:proxy -- [--short] [--gate] [--only WORKLOAD,...] [--peers PEER,...] [--rounds N] [--seconds N]
//                          [--node PATH]... [--out FOLDER]

/**
 * Exits with 1 when the gate is not met or no peer has a result, and with 2 on a wrong argument. Without the gate, a peer
 * that failed is only shown as failed.
 */
async function main(): Promise<number> {
  const args = readArguments(process.argv.slice(2))
  const native = args.peers.flatMap(({ name }) => ['haproxy', 'caddy'].filter((program) => name.startsWith(program)))
  await checkPrograms(['taskset', 'nginx', 'wrk', ...new Set(native)])
  const nodes = await Promise.all(args.nodes.map(findNode))
  const cpus = await takeCpus()
  const runner = new Runner({ ...args, nodes, cpus, directory: openWorkplace(), progress })
  const results = await runner.run()
  const all: Results = { ...(await describeRun()), versions: await versionsOf(results), isShort: args.isShort, results }
  progress.end()
  console.log(`\n${formatTable(all)}\n`)
  if (args.out !== undefined) {
    const majors = nodes.map(({ version }) => `node${version.split('.', 1)}`)
    for (const file of saveResults(all, args.out, ['proxy', ...new Set(majors)].join('-'))) console.log(file)
  }
  if (results.every(({ failed }) => failed)) throw new Complaint('no peer has a result', 1)
  if (!args.isGate) return 0
  const { isMet, text } = judge(results)
  console.log(text)
  return isMet ? 0 : 1
}

/** The first core is the peer's. The last one is for load and backend, and for this process. */
async function takeCpus(): Promise<{ peer: number; load: number }> {
  const [peer = 0, ...more] = allowedCpus()
  const load = more.at(-1) ?? peer
  if (load === peer) progress.done('there is one core only: load, backend and proxy share it')
  await output(['taskset', '-a', '-c', '-p', String(load), String(process.pid)])
  return { peer, load }
}

async function versionsOf(results: readonly Result[]): Promise<Record<string, string>> {
  const peers = results.flatMap(({ peer, version }) => (version ? [[peer, version]] : []))
  const node = [...new Set(results.flatMap(({ node }) => node ?? []))].join(', ')
  const wrk = /wrk \S*?([\d.]+)/.exec(await output(['wrk', '-v']))?.[1] ?? 'unknown'
  return { ...Object.fromEntries(peers), node, wrk }
}

runMain(main)
