import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import { renderPage } from './page.ts'

/** How long a backend of the demo is gone when it is asked to crash. */
const CRASH_MS = 10_000

/** One backend of the demo: an application with sessions in its own memory, so that only its own clients are known to it. */
export class DemoBackend {
  readonly id: string
  readonly #color: string
  readonly #server: http.Server
  readonly #sockets: WebSocketServer
  #port = 0
  #restart: NodeJS.Timeout | undefined
  readonly #visits = new Map<string, number>()

  constructor(id: string, color: string) {
    this.id = id
    this.#color = color
    this.#server = http.createServer((request, response) => this.#answer(request, response))
    this.#sockets = new WebSocketServer({ server: this.#server, path: '/echo' })
    this.#sockets.on('connection', (socket) => {
      socket.send(JSON.stringify({ backend: id }))
      socket.on('message', (data) => socket.send(JSON.stringify({ backend: id, echo: data.toString() })))
      socket.on('error', () => undefined) // a browser that goes away; 'close' follows
    })
  }

  /** Listens on a free port of loopback; after a crash, on the same again. */
  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  get port(): number {
    return this.#port
  }

  /** Breaks off what is open, forgets its sessions, and is gone for so many ms. */
  crash(ms: number): void {
    for (const socket of this.#sockets.clients) socket.terminate()
    this.#server.close()
    this.#server.closeAllConnections()
    this.#visits.clear()
    // Somebody else may have its port by then.
    this.#restart = setTimeout(() => this.listen().catch(() => this.crash(ms)), ms)
  }

  /** Says goodbye to the WebSockets and ends after the last request. */
  close(): void {
    clearTimeout(this.#restart)
    for (const socket of this.#sockets.clients) socket.close(1001, 'the demo ends')
    this.#server.close()
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    if (request.method === 'POST' && request.url === '/forget') {
      response.writeHead(204, { 'Set-Cookie': 'session=; Path=/; HttpOnly; Max-Age=0' }).end()
    } else if (request.method === 'POST' && request.url === '/crash') {
      response.writeHead(204).end(() => this.crash(CRASH_MS))
    } else if (!['GET', 'HEAD'].includes(request.method!) || request.url !== '/') {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('not here\n')
    } else {
      this.#greet(request, response)
    }
  }

  #greet(request: http.IncomingMessage, response: http.ServerResponse): void {
    const cookies = request.headers.cookie ?? ''
    const brought = /(?:^|;\s*)session=([0-9a-f]+)/.exec(cookies)?.[1] ?? ''
    const isKnown = this.#visits.has(brought)
    const session = isKnown ? brought : randomBytes(6).toString('hex')
    const visits = (this.#visits.get(session) ?? 0) + 1
    this.#visits.set(session, visits)
    if (!isKnown) response.setHeader('Set-Cookie', `session=${session}; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400`)
    response.setHeader('Content-Type', 'text/html; charset=utf-8')
    response.setHeader('Cache-Control', 'no-store')
    response.end(renderPage({ backend: this.id, color: this.#color, session, visits, cookies }))
  }
}
