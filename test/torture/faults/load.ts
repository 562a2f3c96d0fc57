import { once } from 'node:events'
import http from 'node:http'
import { onTestFinished } from 'vitest'
import { noise, readAll } from '../../helpers/bytes.ts'
import { listen } from '../../helpers/net.ts'

const BODY = noise(100_000, 9)
/** Number of requests that a client still sends on its connection after a drain started. */
const MORE = 5

/** A slow backend that sends the body in pieces. */
export async function startSlowBackend(): Promise<number> {
  const server = http.createServer(async (request, response) => {
    await readAll(request)
    response.writeHead(200, { 'Content-Length': BODY.length })
    for (const [from, to] of [
      [0, 1_000],
      [1_000, 60_000],
      [60_000, BODY.length],
    ]) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      response.write(BODY.subarray(from, to))
    }
    response.end()
  })
  server.on('connection', (socket) => socket.on('error', () => undefined))
  return listen(server)
}

/** A connection of a client. */
interface Made {
  port: number
  /** Why a request on it got no complete answer. */
  cut: Error | undefined
}

/** Clients that send requests, some with a connection per request, until they are refused. */
export class Load {
  /** Number of requests with complete answers. */
  whole = 0
  readonly made: Made[] = []
  /** A drain has started. */
  isEnding = false
  readonly #port: number
  #wake: () => void = () => undefined

  constructor(port: number) {
    this.#port = port
  }

  /** Resolves when `count` requests have been answered. */
  async until(count: number): Promise<void> {
    while (this.whole < count) await new Promise<void>((resolve) => (this.#wake = resolve))
  }

  /** Resolves when all clients have left. */
  async run(clients: number): Promise<void> {
    const one = (i: number) => (i % 2 === 0 ? this.#oneShots() : this.#keepAlive())
    await Promise.all(Array.from({ length: clients }, (_, i) => one(i)))
  }

  /** The accepted connections that were cut, by port. */
  cut(accepted: readonly number[]): Made[] {
    const left = [...accepted]
    return this.made.filter(({ port, cut }) => {
      const at = left.indexOf(port)
      if (at >= 0) left.splice(at, 1)
      return cut && at >= 0
    })
  }

  async #oneShots(): Promise<void> {
    while (await this.#ask(new http.Agent()));
  }

  async #keepAlive(): Promise<void> {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    for (let left = MORE; left > 0 && (await this.#ask(agent)); ) if (this.isEnding) left--
    agent.destroy()
  }

  /** Whether the answer is complete. Throws on a wrong answer. */
  async #ask(agent: http.Agent): Promise<boolean> {
    const request = http.request({ port: this.#port, host: '127.0.0.1', agent, method: 'POST' })
    let made: Made | undefined
    request.on('socket', (socket) => {
      const connected = () => {
        made = { port: socket.localPort!, cut: undefined }
        if (!request.reusedSocket) this.made.push(made)
        else made = this.made.findLast(({ port }) => port === socket.localPort)
      }
      if (socket.connecting) socket.once('connect', connected)
      else connected()
    })
    try {
      request.end(BODY)
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      const body = await readAll(response)
      if (!body.equals(BODY)) throw new Error(`got ${response.statusCode} with ${body.length} bytes`)
    } catch (cause) {
      if (made) made.cut = cause as Error
      return false
    }
    this.whole++
    this.#wake()
    return true
  }
}
