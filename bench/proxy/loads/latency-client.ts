import { once } from 'node:events'
import net from 'node:net'
import { optionsOf, say } from './client.ts'

// Sends requests at a fixed rate, each on a free connection. Latency runs from when a request was due to the end of its
// answer, so waiting for a free connection counts. Timers are too coarse for this, so the process spins. The backend has
// precedence on their core.

interface Options {
  port: number
  connections: number
  /** Requests a second. */
  rate: number
}

const { port, connections, rate } = optionsOf<Options>()
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n')
const interval = 1000 / rate

const free: Connection[] = []
/** When the requests were due that wait for a free connection. */
const waiting: number[] = []
let latencies: number[] = []

class Connection {
  readonly #socket: net.Socket
  #text = ''
  #due = 0

  constructor(socket: net.Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1')
      if (!isWhole(this.#text)) return
      latencies.push(performance.now() - this.#due)
      this.#text = ''
      free.push(this)
    })
    socket.on('close', () => {
      throw new Error('a connection was closed too early')
    })
  }

  send(due: number): void {
    this.#due = due
    this.#socket.write(REQUEST)
  }
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  if (!text.startsWith('HTTP/1.1 200 ')) throw new Error(`expected status 200, got '${text.split('\r\n', 1)}'`)
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)
  return length ? text.length === end + 4 + Number(length[1]) : text.endsWith('\r\n0\r\n\r\n')
}

/** Sends requests for so many seconds and waits for the last answer. */
async function work(seconds: number): Promise<object> {
  latencies = []
  const total = Math.round(rate * seconds)
  const start = performance.now()
  for (let issued = 0; latencies.length < total; ) {
    const now = performance.now()
    while (issued < total && start + issued * interval <= now) waiting.push(start + issued++ * interval)
    while (waiting.length > 0 && free.length > 0) free.shift()!.send(waiting.shift()!)
    await new Promise(setImmediate)
  }
  return { units: total, seconds: (performance.now() - start) / 1000, latency: percentiles() }
}

function percentiles(): { p50: number; p99: number; p999: number } {
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]!
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

for (let i = 0; i < connections; i++) {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  free.push(new Connection(socket))
}
let seconds = await say<number>('connected')
for (;;) seconds = await say<number>(await work(seconds))
