import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { readNumber, readOptions } from '../common/arguments.ts'
import { killAll, output, type Program, start } from '../common/processes.ts'

// How long a scrape of /metrics keeps clients waiting: npm run bench:scrape. The command has 1,000 backends, each of which has
// served requests. Rounds with scrapes, one after another, and rounds without take turns. The figures are those of the least
// disturbed round: the CPU time of the main thread in the longest turn of the event loop of a process that serves clients,
// and the longest wait of a client.

const options = readOptions(process.argv.slice(2), {
  command: { type: 'string', default: 'dist/cli/main.js' },
  node: { type: 'string', default: process.execPath },
  backends: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
})
const backends = readNumber('--backends', options.backends, 1_000)
const rounds = readNumber('--rounds', options.rounds, 3)
const seconds = readNumber('--seconds', options.seconds, 2)

/** Runs in each process of the command. Between two calls of the timer there is at most one long turn. */
const PROBE = `
import cluster from 'node:cluster'
import { readFileSync } from 'node:fs'
// The main thread alone: threads that collect garbage or compile do not block the event loop.
const cpu = () => {
  // Brings the kernel's account of this thread up to date. Otherwise it is as old as the last tick: 4 ms at 250 Hz.
  process.cpuUsage()
  return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[0]) / 1e6
}
let [last, most] = [cpu(), 0]
setInterval(() => {
  const now = cpu()
  most = Math.max(most, now - last)
  last = now
}, 1).unref()
process.on('SIGUSR2', () => {
  const { workers } = cluster
  if (cluster.isWorker || Object.keys(workers).length === 0) process.stderr.write('longest turn: ' + most + '\\n')
  for (const one of Object.values(workers ?? {})) one.process.kill('SIGUSR2')
  ;[last, most] = [cpu(), 0]
})`

interface Round {
  /** ms of CPU time. */
  turn: number
  /** ms. */
  wait: number
  scrapes: number
}

async function ask(agent: http.Agent, url: string): Promise<string> {
  const [response] = (await once(http.get(url, { agent }), 'response')) as [http.IncomingMessage]
  let text = ''
  for await (const part of response.setEncoding('latin1')) text += part
  if (response.statusCode !== 200) throw new Error(`${url}: ${response.statusCode}`)
  return text
}

/** The longest turn of each process that serves since the last call. */
async function turnsOf(program: Program, workers: number, said: string[]): Promise<number> {
  said.length = 0
  process.kill(program.pid, 'SIGUSR2')
  const turns = () => [...said.join('').matchAll(/longest turn: ([\d.]+)\n/g)].map(([, ms]) => Number(ms))
  while (turns().length < workers) await sleep(10)
  return Math.max(...turns())
}

async function playRound(
  program: Program,
  workers: number,
  said: string[],
  url: string,
  admin?: string,
): Promise<Round> {
  await turnsOf(program, workers, said)
  const agent = new http.Agent({ keepAlive: true })
  const end = performance.now() + seconds * 1_000
  let [wait, scrapes] = [0, 0]
  const clients = Array.from({ length: 4 }, async () => {
    while (performance.now() < end) {
      const begin = performance.now()
      await ask(agent, url)
      wait = Math.max(wait, performance.now() - begin)
      await sleep(2)
    }
  })
  while (admin !== undefined && performance.now() < end) {
    // By another process, as parsing the text would delay the clients of this one.
    const status = await output(['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', `${admin}metrics`])
    if (status !== '200') throw new Error(`/metrics: ${status}`)
    scrapes++
  }
  await Promise.all(clients)
  agent.destroy()
  return { turn: await turnsOf(program, workers, said), wait, scrapes }
}

async function measure(workers: number, port: number): Promise<void> {
  const said: string[] = []
  const targets = Array.from({ length: backends }, (_, i) => `127.1.${i >> 8}.${i & 255}:${port}`)
  const probe = `data:text/javascript,${encodeURIComponent(PROBE)}`
  const own = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--requests', 'every', '--workers', String(workers)]
  const command = [options.node, '--import', probe, options.command, ...own, ...targets]
  const ready = workers > 1 ? /(\d+) workers serve/ : /listening on (\S+)/
  const program = await start(command, { ready, complained: (text) => said.push(text) })
  const all = said.join('')
  const url = /listening on (http\S+)/.exec(all)![1]!
  const admin = /admin page on (\S+)#/.exec(all)![1]!
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })
  await Promise.all(Array.from({ length: 2 * workers * backends }, () => ask(agent, url)))
  agent.destroy()
  const played = { without: [] as Round[], with: [] as Round[] }
  for (let i = 0; i < rounds; i++) {
    played.without.push(await playRound(program, workers, said, url))
    played.with.push(await playRound(program, workers, said, url, admin))
  }
  await program.stop()
  for (const [kind, list] of Object.entries(played)) {
    const turn = Math.min(...list.map((one) => one.turn))
    const wait = Math.min(...list.map((one) => one.wait))
    const scrapes = list.reduce((sum, one) => sum + one.scrapes, 0)
    const figures = `longest turn ${turn.toFixed(1)} ms of CPU, longest wait ${wait.toFixed(1)} ms`
    console.log(`${workers} serving, ${backends} backends, ${kind} scrapes (${scrapes}): ${figures}`)
  }
}

process.on('exit', killAll)
const server = http.createServer({ keepAliveTimeout: 60_000 }, (_, response) => response.end('ok'))
server.listen(0)
await once(server, 'listening')
const { port } = server.address() as AddressInfo
for (const workers of [1, 2]) await measure(workers, port)
server.close()
server.closeAllConnections()
