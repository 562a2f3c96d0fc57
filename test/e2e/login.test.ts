import http from 'node:http'
import type net from 'node:net'
import { describe, expect, test } from 'vitest'
import { createServer, type Dest } from '../../src/index.ts'
import { keepAliveAgent, send } from '../helpers/http.ts'
import { listen } from '../helpers/net.ts'

/** A server whose logins belong to the connection, as with NTLM, or Negotiate in one step (RFC 4559 4.1). */
class Intranet {
  readonly server = http.createServer({ keepAliveTimeout: 120_000 }, (request, response) =>
    this.#answer(request, response),
  )
  /** The user of each connection. */
  readonly #users = new WeakMap<net.Socket, string>()
  readonly #challenges = new WeakMap<net.Socket, string>()
  #count = 0
  /** Connections that are open and have a user. */
  readonly loggedIn = new Set<net.Socket>()

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { socket, url } = request
    const [scheme, kind, value] = request.headers.authorization?.split(' ') ?? []
    if (scheme === 'NTLM' && kind === 'negotiate') {
      const challenge = String(++this.#count)
      this.#challenges.set(socket, challenge)
      return this.#refuse(response, `NTLM ${challenge}`)
    }
    // The answer to a challenge counts on the connection of the challenge only.
    if (scheme === 'NTLM' && value !== this.#challenges.get(socket)) return this.#refuse(response, 'NTLM')
    if (scheme !== undefined) this.#logIn(socket, kind!)
    const user = this.#users.get(socket)
    if (url === '/public') response.end(`public ${user ?? 'nobody'}`)
    else if (user === undefined) this.#refuse(response, ['Negotiate', 'NTLM'])
    else request.resume().on('end', () => response.end(user))
  }

  #logIn(socket: net.Socket, user: string): void {
    this.#users.set(socket, user)
    this.loggedIn.add(socket)
    socket.once('close', () => this.loggedIn.delete(socket))
  }

  #refuse(response: http.ServerResponse, offers: string | string[]): void {
    response.writeHead(401, { 'WWW-Authenticate': offers }).end('log in')
  }
}

/** A browser: it logs in once, and then relies on its connection. */
class Visitor {
  readonly #port: number
  readonly #agent = keepAliveAgent(1)
  readonly name: string

  constructor(port: number, name: string) {
    this.#port = port
    this.name = name
  }

  async ask(path: string, authorization?: string, method = 'GET') {
    const headers = authorization ? { Authorization: authorization } : {}
    const body = method === 'GET' ? '' : 'x'.repeat(1_000)
    const request = http.request({ port: this.#port, host: '127.0.0.1', path, method, headers, agent: this.#agent })
    const answer = await send(request, body)
    return { text: `${answer.status} ${answer.body}`, offer: answer.headers['www-authenticate'] ?? '' }
  }

  async logIn(scheme: string): Promise<string> {
    if (scheme === 'Negotiate') return (await this.ask('/', `Negotiate ${this.name}`)).text
    await this.ask('/')
    const { offer } = await this.ask('/', 'NTLM negotiate')
    return (await this.ask('/', `NTLM ${this.name} ${offer.split(' ')[1]}`)).text
  }

  leave(): void {
    this.#agent.destroy()
  }
}

const DESTS: [name: string, dest: (port: number, server: http.Server) => Dest][] = [
  ['a port', (port) => ({ port, host: '127.0.0.1' })],
  ['a server of this process', (_, server) => ({ server })],
]

describe.each(DESTS)('a login that belongs to a connection, at %s', (_, destOf) => {
  test.for(['NTLM', 'Negotiate'])('is its client’s alone: %s', async (scheme) => {
    const intranet = new Intranet()
    const dest = destOf(await listen(intranet.server), intranet.server)
    const proxy = createServer({ requests: 'every', lookup: () => dest })
    const port = await listen(proxy)
    const names = ['alice', 'bob', 'carol']
    const users = names.map((name) => new Visitor(port, name))
    const strangers = names.map((name) => new Visitor(port, `${name}?`))
    // Pooled connections that were never refused are there already.
    for (const one of [...users, ...strangers]) expect((await one.ask('/public')).text).toBe('200 public nobody')
    expect(await Promise.all(users.map((user) => user.logIn(scheme)))).toEqual(names.map((name) => `200 ${name}`))
    for (let round = 0; round < 10; round++) {
      const texts = await Promise.all([
        ...users.map(async (user) => (await user.ask('/', undefined, round % 2 ? 'POST' : 'GET')).text),
        ...strangers.map(async (one) => (await one.ask(round % 3 ? '/public' : '/')).text),
      ])
      const refused = round % 3 ? '200 public nobody' : '401 log in'
      expect(texts).toEqual([...names.map((name) => `200 ${name}`), refused, refused, refused])
    }
    // A login dies with its client.
    for (const user of users) user.leave()
    while (proxy.active.size > strangers.length || intranet.loggedIn.size > 0) await new Promise(setImmediate)
    expect((await new Visitor(port, 'alice').ask('/')).text).toBe('401 log in')
  })
})
