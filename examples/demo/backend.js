import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { WebSocketServer } from 'ws'
import { renderPage } from './page.js'

/** ms for which a backend is gone after 'crash'. */
const CRASH_MS = 10_000

/** ms for which all backends are gone after 'restart'. */
const RESTART_MS = 2_000

/** One backend of the demo: an application that keeps its sessions in memory, so only it knows its clients. */
export class DemoBackend {
  #color
  #server
  #sockets
  #restartAll
  #port = 0
  /** @type {NodeJS.Timeout | undefined} */
  #restart
  /** @type {Map<string, number>} */
  #visits = new Map()

  /**
   * @param {string} id
   * @param {string} color
   * @param {(ms: number) => void} [restartAll]
   */
  constructor(id, color, restartAll = (ms) => this.crash(ms)) {
    this.id = id
    this.#color = color
    this.#restartAll = restartAll
    this.#server = http.createServer((request, response) => this.#answer(request, response))
    this.#sockets = new WebSocketServer({ server: this.#server, path: '/echo' })
    this.#sockets.on('connection', (socket) => {
      socket.send(JSON.stringify({ backend: id }))
      socket.on('message', (data) => socket.send(JSON.stringify({ backend: id, echo: data.toString() })))
      socket.on('error', () => undefined) // a browser that goes away; 'close' follows
    })
  }

  /** Listens on a free port of loopback; after a crash, on the same again. */
  async listen() {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = /** @type {import('node:net').AddressInfo} */ (this.#server.address()).port
  }

  get port() {
    return this.#port
  }

  /**
   * Resets every connection, forgets all sessions and stays away for `ms` milliseconds.
   * @param {number} ms
   */
  crash(ms) {
    for (const socket of this.#sockets.clients) socket.terminate()
    this.#server.close()
    this.#server.closeAllConnections()
    this.#visits.clear()
    // Another program may have taken the port by then: then try again later.
    this.#restart = setTimeout(() => this.listen().catch(() => this.crash(ms)), ms)
  }

  /** Closes the WebSockets and stops after the last request. */
  close() {
    clearTimeout(this.#restart)
    for (const socket of this.#sockets.clients) socket.close(1001, 'the demo ends')
    this.#server.close()
  }

  /**
   * @param {http.IncomingMessage} request
   * @param {http.ServerResponse} response
   */
  #answer(request, response) {
    if (request.method === 'POST' && request.url === '/forget') {
      response.writeHead(204, { 'Set-Cookie': 'session=; Path=/; HttpOnly; Max-Age=0' }).end()
    } else if (request.method === 'POST' && request.url === '/crash') {
      response.writeHead(204).end(() => this.crash(CRASH_MS))
    } else if (request.method === 'POST' && request.url === '/restart') {
      response.writeHead(204).end(() => this.#restartAll(RESTART_MS))
    } else if (!['GET', 'HEAD'].includes(request.method ?? '') || request.url !== '/') {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('not here\n')
    } else {
      this.#greet(request, response)
    }
  }

  /**
   * @param {http.IncomingMessage} request
   * @param {http.ServerResponse} response
   */
  #greet(request, response) {
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
