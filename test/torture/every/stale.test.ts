import http from 'node:http'
import net from 'node:net'
import { expect, test } from 'vitest'
import { MessageReader } from '../../../src/parser/index.ts'
import { listen } from '../../helpers/net.ts'
import { expectNoWarnings, startProxy } from '../../helpers/proxy.ts'
import { report } from '../../helpers/report.ts'
import { turns } from '../../helpers/turns.ts'
import { Random } from '../soak/random.ts'

expectNoWarnings()

const REQUESTS = Number(process.env.STALE_REQUESTS ?? 6_000)
const SEED = Number(process.env.STALE_SEED ?? Date.now() % 2 ** 31)
const CLIENTS = 24

/** How a backend ends a connection: whether its last response says so, when, and by what. */
const ENDINGS = [
  ...['at once', 'late', 'at the next request'].flatMap((when) =>
    ['FIN', 'reset'].map((by) => ({ saysClose: false, when, by })),
  ),
  ...['at once', 'late', 'never'].flatMap((when) => ['FIN', 'reset'].map((by) => ({ saysClose: true, when, by }))),
]

/** What the backend saw of the requests, by path. */
interface Sight {
  times: number
  answers: number
}

/** A connection of the backend. It answers up to `left` requests, and then ends in its own way. */
class Served {
  readonly #socket: net.Socket
  readonly #random: Random
  readonly #seen: Map<string, Sight>
  readonly #reader = new MessageReader('request')
  readonly #ending: (typeof ENDINGS)[number]
  #left: number
  #first = ''
  #hasSaidClose = false

  constructor(socket: net.Socket, random: Random, seen: Map<string, Sight>) {
    this.#socket = socket
    this.#random = random
    this.#seen = seen
    this.#ending = random.pick(ENDINGS)
    this.#left = random.between(1, 6)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => this.#read(chunk))
  }

  #read(chunk: Buffer): void {
    for (const part of this.#reader.push(chunk)) {
      if (part.kind === 'head') this.#see(part.head.method, part.head.target)
      else if (part.kind === 'end' && this.#left > 0) this.#answer()
    }
  }

  #see(method: string, path: string): void {
    this.#first = `${method} ${path}`
    const sight = this.#seen.get(path) ?? { times: 0, answers: 0 }
    sight.times += this.#hasSaidClose ? 1_000 : 1
    this.#seen.set(path, sight)
    if (this.#left === 0 && this.#ending.when === 'at the next request') this.#end()
  }

  #answer(): void {
    this.#left--
    const { saysClose, when } = this.#ending
    const isLast = this.#left === 0
    this.#hasSaidClose = isLast && saysClose
    const [method, path] = this.#first.split(' ')
    this.#seen.get(path!)!.answers++
    const body = this.#first
    const fields = `Content-Length: ${body.length}\r\n${this.#hasSaidClose ? 'Connection: close\r\n' : ''}`
    this.#socket.write(`HTTP/1.1 200 OK\r\n${fields}\r\n${method === 'HEAD' ? '' : body}`)
    if (!isLast) return
    if (when === 'at once') this.#end()
    else if (when === 'late') void turns(this.#random.between(1, 12)).then(() => this.#end())
  }

  #end(): void {
    if (this.#ending.by === 'FIN') this.#socket.end()
    else this.#socket.resetAndDestroy()
  }
}

const METHODS = ['GET', 'GET', 'GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'POST', 'POST', 'PATCH']

/** Sends a request. Returns the status and the body, or the code of the error. */
function ask(port: number, agent: http.Agent, method: string, path: string, body: string): Promise<string> {
  return new Promise((resolve) => {
    const headers = body ? { 'Content-Length': body.length } : {}
    const request = http.request({ port, host: '127.0.0.1', agent, method, path, headers }, (response) => {
      let text = ''
      response.setEncoding('latin1')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve(`${response.statusCode} ${text}`))
      response.on('error', (error: NodeJS.ErrnoException) => resolve(`cut: ${error.code}`))
    })
    request.on('error', (error: NodeJS.ErrnoException) => resolve(`failed: ${error.code}`))
    request.end(body)
  })
}

/** Returns what is wrong about the answer to a request. */
function faultOf(method: string, path: string, got: string, { times, answers }: Sight): string | undefined {
  const isRight = got === (method === 'HEAD' ? '200 ' : `200 ${method} ${path}`)
  if (times >= 1_000) return 'was sent after Connection: close'
  if (method === 'POST' || method === 'PATCH') {
    if (times > 1) return `was sent ${times} times`
    // The backend may have served it, so the client must not take it for refused.
    return isRight || got === 'failed: ECONNRESET' ? undefined : `got ${got}`
  }
  if (times > 2) return `was sent ${times} times`
  return isRight && answers >= 1 ? undefined : `got ${got}`
}

test(`of ${REQUESTS} requests to backends that close, no idempotent one fails, and no other is sent twice`, {
  timeout: 60_000 + 100 * REQUESTS,
}, async () => {
  const random = new Random(SEED)
  const seen = new Map<string, Sight>()
  const backend = await listen(
    net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      new Served(socket, random, seen)
      socket.on('end', () => socket.end())
    }),
  )
  const { port } = await startProxy({ requests: 'every', lookup: () => ({ port: backend, host: '127.0.0.1' }) })
  const wrong: string[] = []
  const counts = { refused: 0, again: 0 }
  let next = 0
  const work = async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    while (next < REQUESTS) {
      const path = `/${next++}`
      const method = random.pick(METHODS)
      const body = ['PUT', 'POST', 'PATCH'].includes(method) ? 'x'.repeat(random.between(0, 3_000)) : ''
      const got = await ask(port, agent, method, path, body)
      const sight = seen.get(path) ?? { times: 0, answers: 0 }
      const fault = faultOf(method, path, got, sight)
      if (fault) wrong.push(`${method} ${path}: ${fault}`)
      if (got.startsWith('failed')) counts.refused++
      if (sight.times > 1) counts.again++
      seen.delete(path)
    }
    agent.destroy()
  }
  await Promise.all(Array.from({ length: CLIENTS }, work))
  expect(wrong, `STALE_SEED=${SEED}`).toEqual([])
  report('requests to backends that close', `${REQUESTS}: ${counts.again} sent again, ${counts.refused} not repeatable`)
})
