import { once } from 'node:events'
import http from 'node:http'
import { onTestFinished } from 'vitest'
import { noise, readAll } from '../helpers/bytes.ts'
import { listen } from '../helpers/net.ts'

const BODY = noise(100_000, 9)
/** Requests that a client goes on to make on a connection that it has when a drain begins. */
const MORE = 5

/** A backend that takes its time, and gives the body in pieces. */
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

/** A connection that a client has made. */
interface Made {
  port: number
  /** Why a request on it got no whole answer. */
  cut: Error | undefined
}

/** Clients that ask again and again, some with a connection for each request, until nobody takes them any more. */
export class Load {
  /** Requests with whole answers. */
  whole = 0
  readonly made: Made[] = []
  /** A drain has begun. */
  isEnding = false
  readonly #port: number
  #wake: () => void = () => undefined

  constructor(port: number) {
    this.#port = port
  }

  /** Resolves when so many requests have been answered. */
  async until(count: number): Promise<void> {
    while (this.whole < count) await new Promise<void>((resolve) => (this.#wake = resolve))
  }

  /** Resolves when all have left. */
  async run(clients: number): Promise<void> {
    const one = (i: number) => (i % 2 === 0 ? this.#oneShots() : this.#keepAlive())
    await Promise.all(Array.from({ length: clients }, (_, i) => one(i)))
  }

  /** Connections that were cut, of those that were accepted: by their ports, in the order of accepts. */
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

  /** Whether there is a whole answer. Anything else that came is no less than an error. */
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
