import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { BIG } from '../backends/index.ts'
import type { Round, Sample, Workload } from '../types.ts'

const CONNECTIONS = 4
const GB = 1e9

/** Reads answers into one buffer, without copies or allocations. */
class Client {
  readonly socket: Socket
  /** Bytes of the body that are still to come; undefined before the end of the head. */
  #left: number | undefined
  #head = ''
  #done: () => void = () => {}
  #failed: (error: Error) => void = () => {}

  constructor(port: number) {
    const callback = (length: number, buffer: Uint8Array) => this.#read(buffer, length)
    this.socket = connect({ port, host: '127.0.0.1', onread: { buffer: Buffer.allocUnsafe(2 ** 20), callback } })
    this.socket.on('error', (error) => this.#failed(error))
    this.socket.on('close', () => this.#failed(new Error('the connection was closed before the end of the answer')))
  }

  /** Resolves with the Content-Length at the end of the next answer. */
  async answer(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#done = resolve
      this.#failed = reject
    })
    const length = lengthOf(this.#head)
    this.#head = ''
    this.#left = undefined
    return length
  }

  #read(buffer: Uint8Array, length: number): boolean {
    let start = 0
    if (this.#left === undefined) {
      const text = this.#head + Buffer.from(buffer.buffer, buffer.byteOffset, length).toString('latin1')
      const end = text.indexOf('\r\n\r\n') + 4
      start = end < 4 ? length : end - this.#head.length
      this.#head = end < 4 ? text : text.slice(0, end)
      if (end < 4) return true
      this.#left = lengthOf(this.#head)
    }
    this.#left -= length - start
    if (this.#left === 0) this.#done()
    if (!(this.#left >= 0)) this.#failed(new Error(`a bad answer: ${this.#head.split('\r\n')[0]}`))
    return true
  }
}

/** NaN unless it is a 200 with a length. */
function lengthOf(head: string): number {
  return head.startsWith('HTTP/1.1 200 ') ? Number(/^content-length: *(\d+)/im.exec(head)?.[1]) : Number.NaN
}

/** Repeats a transfer on each connection until the time is over. */
async function transfers(
  { port, seconds }: Pick<Round, 'port' | 'seconds'>,
  connections: number,
  work: (client: Client) => Promise<void>,
): Promise<Sample> {
  const start = performance.now()
  let count = 0
  const clients = Array.from({ length: connections }, () => new Client(port))
  try {
    await Promise.all(
      clients.map(async (client) => {
        do {
          await work(client)
          count++
        } while (performance.now() - start < seconds * 1000)
      }),
    )
  } finally {
    for (const { socket } of clients) socket.destroy()
  }
  return { units: (count * BIG) / GB, seconds: (performance.now() - start) / 1000 }
}

async function down(client: Client): Promise<void> {
  client.socket.write('GET /big HTTP/1.1\r\nHost: bench\r\n\r\n')
  const length = await client.answer()
  if (length !== BIG) throw new Error(`/big: expected ${BIG} bytes, got ${length}`)
}

/** Downloads 100 MiB again and again on each connection. */
export function downloads(round: Round): Promise<Sample> {
  return transfers(round, CONNECTIONS, down)
}

const piece = Buffer.alloc(2 ** 20)

async function up(client: Client): Promise<void> {
  const answer = client.answer()
  // It is awaited below. Until then its rejection must not count as unhandled.
  answer.catch(() => {})
  client.socket.write(`POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: ${BIG}\r\n\r\n`)
  for (let sent = 0; sent < BIG; sent += piece.length) {
    if (!client.socket.write(piece)) await Promise.race([once(client.socket, 'drain'), answer])
  }
  const length = await answer
  if (length !== String(BIG).length) throw new Error('the backend received too few bytes')
}

const transfer = (name: string, title: string, backend: Workload['backend'], work: typeof down): Workload => ({
  name,
  title: `${title}, again and again on ${CONNECTIONS} connections`,
  unit: 'ms of CPU a GB',
  wantsWarmUp: true,
  backend,
  suits: () => true,
  check: async (port) => void (await transfers({ port, seconds: 0 }, 1, work)),
  run: (round) => transfers(round, CONNECTIONS, work),
})

export const download = transfer('download', '100 MiB to the client', 'nginx', down)
export const upload = transfer('upload', '100 MiB to the backend', 'sink', up)
