import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { readNumber, readOptions } from '../common/arguments.ts'
import { killAll, LISTENING, start } from '../common/processes.ts'

// Counts connections that clients lose while workers are replaced: npm run bench:workers. Clients open short connections
// without a break, and one worker after another gets a SIGTERM. `--command FILE` measures another build, `--node PATH`
// another Node.

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const RESPONSE = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'

const options = readOptions(process.argv.slice(2), {
  command: { type: 'string', default: 'dist/cli/main.js' },
  node: { type: 'string', default: process.execPath },
  replacements: { type: 'string' },
  clients: { type: 'string' },
})
const replacements = readNumber('--replacements', options.replacements, 100)
const clients = readNumber('--clients', options.clients, 100)

/** The number of connections by how they ended: 'ok', 'cut short', or the code of an error. */
const ends = new Map<string, number>()
let isOver = false

async function ask(port: number): Promise<void> {
  const end = await new Promise<string>((resolve) => {
    let text = ''
    const socket = net.connect({ port, host: '127.0.0.1' }, () => socket.write(REQUEST))
    socket.setEncoding('latin1').on('data', (more) => (text += more))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.on('close', () => resolve(text === RESPONSE ? 'ok' : 'cut short'))
  })
  ends.set(end, (ends.get(end) ?? 0) + 1)
}

async function askOnAndOn(port: number): Promise<void> {
  while (!isOver) await ask(port)
}

/** The child processes of a process, oldest first. */
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number)
}

/** Ends the oldest worker. Resolves when it is gone and another has taken its place. */
async function replaceOne(primary: number): Promise<void> {
  const before = childrenOf(primary)
  process.kill(before[0]!, 'SIGTERM')
  for (;;) {
    await sleep(20)
    const now = childrenOf(primary)
    if (now.length === before.length && !now.includes(before[0]!)) return
  }
}

process.on('exit', killAll)
const backend = net.createServer((socket) => {
  socket.on('error', () => undefined)
  socket.on('data', () => socket.end(RESPONSE))
})
backend.listen(0, '127.0.0.1')
await once(backend, 'listening')
const target = String((backend.address() as net.AddressInfo).port)
const command = [options.node, options.command, target, '--listen', '127.0.0.1:0', '--workers', '2']
const { pid, firstLine, stop } = await start(command, { ready: LISTENING })
const asking = Array.from({ length: clients }, () => askOnAndOn(Number(firstLine)))
for (let i = 0; i < replacements; i++) await replaceOne(pid)
isOver = true
await Promise.all(asking)
backend.close()
await stop()
console.log(`${replacements} replacements, ${clients} clients at a time:`, Object.fromEntries(ends))
