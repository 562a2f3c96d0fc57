import { fileURLToPath } from 'node:url'
import { readNumber, readOptions } from '../common/arguments.ts'
import { runMain } from '../common/complaint.ts'
import { checkPrograms, describeCommit, describeMachine, nodeVersion } from '../common/machine.ts'
import { endedCpu } from '../common/proc.ts'
import { freePort, type Program, start } from '../common/processes.ts'
import { progress } from '../common/progress.ts'
import { openWorkplace } from '../common/workplace.ts'
import { printTable, saveResults } from '../report/index.ts'
import { figureOf, type Result } from '../report/results.ts'
import { wrk } from './loads/wrk.ts'
import { nginxConf, startNginx } from './peers/nginx.ts'
import { usageOf } from './usage.ts'

// What a second worker of the command gives. Nothing is pinned: proxy, load and backend share the cores, so their shares
// are said beside the requests.
//   --node PATH (repeatable)  --rounds N  --seconds N  --out FOLDER

const CONNECTIONS = 64

interface Contender {
  node: { path: string; version: string }
  workers: number
  samples: { units: number; seconds: number; proxy: number; load: number; backend: number }[]
  failed?: string
}

async function startProxy({ node, workers }: Contender, port: number, backend: number): Promise<Program> {
  const main = fileURLToPath(new URL('dist/cli/main.js', import.meta.resolve('badass/package.json')))
  const more = workers > 1 ? ['--workers', String(workers)] : []
  return start([node.path, main, '--listen', `127.0.0.1:${port}`, ...more, `127.0.0.1:${backend}`], { port })
}

/** One round: a proxy that has just started, warmed up by a load of a second. */
async function play(contender: Contender, backend: Program & { port: number }, seconds: number): Promise<void> {
  const port = await freePort()
  const proxy = await startProxy(contender, port, backend.port)
  try {
    const load = { port, connections: CONNECTIONS }
    await wrk({ ...load, seconds: 1 })
    const look = () => ({
      proxy: usageOf(proxy.pids()).cpu,
      backend: usageOf(backend.pids()).cpu,
      load: endedCpu(),
    })
    const before = look()
    const done = await wrk({ ...load, seconds })
    const after = look()
    contender.samples.push({
      ...done,
      proxy: after.proxy - before.proxy,
      load: after.load - before.load,
      backend: after.backend - before.backend,
    })
  } finally {
    await proxy.stop()
  }
}

function resultOf({ node, workers, samples, failed }: Contender): Result {
  const cores = (of: 'proxy' | 'load' | 'backend') =>
    figureOf(samples.map((sample) => sample[of] / sample.seconds)).median.toFixed(2)
  const result: Result = {
    workload: 'workers',
    title: `small requests on ${CONNECTIONS} connections that stay open (wrk); nothing is pinned`,
    unit: 'µs of CPU a request',
    peer: `badass, workers: ${workers}`,
    kind: 'badass',
    reads: 'one head',
    note: failed ? '' : `cores taken: proxy ${cores('proxy')}, wrk ${cores('load')}, nginx behind ${cores('backend')}`,
    version: 'of this tree',
    node: node.version,
    rounds: samples.length,
  }
  if (failed) return { ...result, failed }
  return {
    ...result,
    cost: figureOf(samples.map(({ proxy, units }) => (proxy / units) * 1e6)),
    rate: figureOf(samples.map(({ units, seconds }) => units / seconds)),
  }
}

async function main(): Promise<number> {
  const values = readOptions(process.argv.slice(2), {
    node: { type: 'string', multiple: true, default: [process.execPath] },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    out: { type: 'string' },
  })
  const rounds = readNumber('--rounds', values.rounds, 5)
  const seconds = readNumber('--seconds', values.seconds, 4)
  await checkPrograms(['nginx', 'wrk'])
  const directory = openWorkplace()
  const port = await freePort()
  const server = `server { listen 127.0.0.1:${port} backlog=4096; keepalive_requests 1000000000; return 200 'ok'; }`
  const backend = await startNginx(directory, nginxConf(directory, { http: server }), port)
  const contenders: Contender[] = []
  for (const path of values.node) {
    const node = { path, version: await nodeVersion(path) }
    for (const workers of [1, 2]) contenders.push({ node, workers, samples: [] })
  }
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      if (contender.failed) continue
      progress.now(`round ${round}: ${contender.workers} workers, Node ${contender.node.version}`)
      await play(contender, backend, seconds).catch((error: Error) => {
        contender.failed = error.message
      })
    }
  }
  progress.end()
  const results = {
    date: new Date().toISOString(),
    ...(await describeCommit()),
    machine: describeMachine(),
    versions: { node: contenders.map(({ node }) => node.version).join(', '), nginx: backend.version },
    isShort: false,
    results: contenders.map(resultOf),
  }
  printTable(results)
  if (values.out !== undefined) console.log(saveResults(results, values.out, 'workers'))
  return contenders.some(({ failed }) => failed) ? 1 : 0
}

runMain(main)
