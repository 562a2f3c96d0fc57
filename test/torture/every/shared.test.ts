import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { Head } from '../../../src/index.ts'
import { listen } from '../../helpers/net.ts'
import { hasProgram, startNginx } from '../../helpers/peers.ts'
import { expectNoWarnings, startProxy } from '../../helpers/proxy.ts'
import { report } from '../../helpers/report.ts'
import { pieceOf, Verifier } from '../soak/pattern.ts'
import { Random } from '../soak/random.ts'

expectNoWarnings()

const SEED = Number(process.env.EVERY_SEED ?? Date.now() % 2 ** 31)
const REQUESTS = Number(process.env.SHARED_REQUESTS ?? 600)
const CLIENTS = 8
const BACKENDS = 2

/** A request, and what the backend does with it. A client knows each byte that it must get. */
interface Job {
  readonly client: number
  readonly isEcho: boolean
  readonly seed: number
  readonly length: number
  readonly isChunked: boolean
  /** The backend breaks off after as many bytes of the response. */
  readonly cut: number | undefined
  /** The client leaves after as many bytes of the response, or of its body. */
  readonly leave: number | undefined
  readonly isReset: boolean
}

function jobOf(random: Random, client: number): Job {
  const length = random.size(1, 300_000)
  const within = (share: number) => (random.chance(share) ? random.between(0, length) : undefined)
  return {
    client,
    isEcho: random.chance(0.4),
    seed: random.between(0, 900_000),
    length,
    isChunked: random.chance(0.5),
    cut: within(0.12),
    leave: within(0.15),
    isReset: random.chance(0.5),
  }
}

const pathOf = (job: Job) => `/${encodeURIComponent(JSON.stringify(job))}`
const jobIn = (path: string): Job => JSON.parse(decodeURIComponent(path.slice(1)))

/** Writes a part of a body in pieces of random sizes, some of them in turns of their own. */
async function write(to: NodeJS.WritableStream, { seed, client }: Job, length: number): Promise<void> {
  const random = new Random(seed + client)
  for (let at = 0; at < length && to.writable; ) {
    const bytes = pieceOf(seed, at, Math.min(random.size(1, 65_536), length - at))
    at += bytes.length
    if (!to.write(bytes)) await Promise.race([drained(to), closed(to)])
    else if (random.chance(0.3)) await turn()
  }
}

const drained = (to: NodeJS.WritableStream) => new Promise((resolve) => to.once('drain', resolve))
const closed = (to: NodeJS.WritableStream) => new Promise((resolve) => to.once('close', resolve))

function breakOff(socket: net.Socket | null, isReset: boolean): void {
  if (isReset) socket?.resetAndDestroy()
  else socket?.destroy()
}

/** Answers jobs. An upload is compared with its job, and then sent back. */
async function serve(request: http.IncomingMessage, response: http.ServerResponse, wrong: string[]): Promise<void> {
  const job = jobIn(request.url!)
  const verifier = new Verifier(job.seed, job.isEcho ? job.length : 0)
  try {
    for await (const bytes of request) verifier.push(bytes as Buffer)
    verifier.end()
  } catch (error) {
    if ((error as Error).name === 'Mismatch' && request.complete) wrong.push(`${request.url}: backend: ${error}`)
    return void response.destroy()
  }
  response.on('error', () => undefined)
  response.setHeader('X-Seed', job.seed)
  if (!job.isChunked) response.setHeader('Content-Length', job.length)
  await write(response, job, job.cut ?? job.length)
  // A cut behind the last byte of a known length would be none.
  const isWhole = job.cut === undefined || (job.cut === job.length && !job.isChunked)
  if (isWhole) response.end()
  else breakOff(response.socket, job.isReset)
}

/** Sends a job. Resolves with what is wrong about the answer. */
function send(port: number, agent: http.Agent, job: Job): Promise<string | undefined> {
  return new Promise((resolve) => {
    const isLeaving = job.leave !== undefined
    const headers = { ...(job.isEcho && !job.isChunked && { 'Content-Length': job.length }), 'X-Client': job.client }
    const method = job.isEcho ? 'POST' : 'GET'
    const request = http.request({ port, host: '127.0.0.1', agent, method, path: pathOf(job), headers })
    const broken = (error: NodeJS.ErrnoException) =>
      resolve(job.cut === undefined && !isLeaving ? `failed: ${error.code}` : undefined)
    request.on('error', broken)
    request.on('response', (response) => {
      response.on('error', () => undefined)
      void read(response, job).then(resolve)
    })
    const sends = async () => {
      if (!job.isEcho) return void request.end()
      // Some leave inside of their own body.
      const isHalf = isLeaving && job.isReset
      await write(request, job, isHalf ? job.leave! : job.length)
      if (!isHalf) return void request.end()
      if (!request.socket) await once(request, 'socket')
      breakOff(request.socket, job.isReset)
    }
    void sends()
  })
}

async function read(response: http.IncomingMessage, job: Job): Promise<string | undefined> {
  const { seed, length, cut, leave } = job
  if (response.statusCode === 502 && cut !== undefined) return void response.resume()
  if (response.statusCode !== 200) return `status ${response.statusCode}`
  if (response.headers['x-seed'] !== String(seed)) return `the answer to ${response.headers['x-seed']}`
  const verifier = new Verifier(seed, length)
  try {
    for await (const bytes of response) {
      verifier.push(bytes as Buffer)
      if (leave === undefined || verifier.position < leave) continue
      breakOff(response.socket, job.isReset)
      return undefined
    }
    verifier.end()
  } catch (error) {
    return (error as Error).name === 'Mismatch' || cut === undefined ? String(error) : undefined
  }
  // A cut body of a known length that is whole had all its bytes.
  return cut === undefined || (cut === length && !job.isChunked) ? undefined : 'complete, but the backend broke off'
}

/** The clients that used each connection. */
class Users {
  readonly #byConnection = new Map<unknown, Set<string>>()

  add(connection: unknown, client: string): void {
    const clients = this.#byConnection.get(connection) ?? new Set()
    this.#byConnection.set(connection, clients.add(client))
  }

  /** The number of connections that several clients used. */
  get shared(): number {
    return [...this.#byConnection.values()].filter(({ size }) => size > 1).length
  }
}

async function startChain() {
  const wrong: string[] = []
  const [front, back] = [new Users(), new Users()]
  const start = () =>
    listen(
      http.createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
        back.add(request.socket, String(request.headers['x-client']))
        void serve(request, response, wrong)
      }),
    )
  const ports = await Promise.all(Array.from({ length: BACKENDS }, start))
  const proxy = await startProxy({
    requests: 'every',
    lookup: (head: Head, client) => {
      front.add(client.remotePort, head.get('x-client')!)
      return { port: ports[jobIn(head.target).seed % BACKENDS]!, host: '127.0.0.1' }
    },
    modify: (head) => void head.set('X-Modified', '1'),
  })
  const port = await startNginx(
    (at) => `
      upstream badass { server 127.0.0.1:${proxy.port}; keepalive 4; }
      server {
        listen 127.0.0.1:${at};
        client_max_body_size 0;
        location / {
          proxy_pass http://badass;
          proxy_http_version 1.1;
          proxy_set_header Connection '';
          proxy_buffering off;
          proxy_request_buffering off;
          proxy_next_upstream off;
        }
      }
    `,
  )
  return { port, wrong, front, back }
}

test.skipIf(!hasProgram('nginx') && !process.env.CI)(
  'no byte of a client reaches another over shared connections on both sides',
  async () => {
    const { port, wrong, front, back } = await startChain()
    let left = REQUESTS
    const work = async (_: unknown, client: number) => {
      const random = new Random(SEED + client)
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      onTestFinished(() => agent.destroy())
      while (left-- > 0) {
        const job = jobOf(random, client)
        const fault = await send(port, agent, job)
        if (fault) wrong.push(`${JSON.stringify(job)}: ${fault}`)
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, work))
    expect(wrong, `EVERY_SEED=${SEED}`).toEqual([])
    expect(front.shared).toBeGreaterThan(0)
    expect(back.shared).toBeGreaterThan(0)
    report('requests over shared connections', `${REQUESTS} of ${CLIENTS} clients, seed ${SEED}, every byte checked`)
  },
)
