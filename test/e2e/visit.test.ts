import { randomBytes } from 'node:crypto'
import http from 'node:http'
import type { Page } from 'puppeteer-core'
import { expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { Command } from '../cli/command.ts'
import { launch, PageWatch } from '../helpers/browser.ts'
import { listen } from '../helpers/net.ts'

const LOGIN = '<title>log in</title><form method=post action=/login><input name=user><button>Log in</button></form>'

/** Talks to its node in every way, and shows what came. The field that it forges must not reach the node. */
const HOME = `<title>home</title><ol></ol><script>
  const show = (text) => document.querySelector('ol').append(Object.assign(document.createElement('li'), { textContent: text }))
  const socket = new WebSocket('ws://' + location.host + '/socket')
  socket.onopen = () => socket.send('hello')
  socket.onmessage = ({ data }) => show('socket: ' + data)
  const source = new EventSource('/events')
  source.onmessage = ({ data }) => show('event: ' + data)
  for (let i = 0; i < 4; i++) {
    fetch('/whoami', { method: 'POST', body: 'x'.repeat(10_000), headers: { 'X-Forwarded-For': '6.6.6.6' } })
      .then((response) => response.text()).then((text) => show('fetch: ' + text))
  }
</script>`

/** One node of an application that keeps its sessions in memory. */
class Node {
  readonly name: string
  readonly #users = new Map<string, string>()
  /** The forwarding fields of each request. */
  readonly forwarded: string[] = []
  /** Requests with the session of another node. */
  readonly unknown: string[] = []

  constructor(name: string) {
    this.name = name
  }

  async start(): Promise<number> {
    const server = http.createServer((request, response) => void this.#answer(request, response))
    const sockets = new WebSocketServer({ server, path: '/socket' })
    sockets.on('connection', (socket, request) => {
      const user = this.#userOf(request)
      socket.on('message', (data) => socket.send(`${this.name}: ${user}: ${data}`))
    })
    return listen(server)
  }

  #userOf(request: http.IncomingMessage): string | undefined {
    const { headers, url, method } = request
    this.forwarded.push(`${headers['x-forwarded-for']} ${headers['x-forwarded-proto']} ${headers['x-forwarded-host']}`)
    const session = /session=(\w+)/.exec(headers.cookie ?? '')?.[1]
    const user = session && this.#users.get(session)
    if (session && !user) this.unknown.push(`${method} ${url}`)
    return user
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const user = this.#userOf(request)
    let body = ''
    for await (const chunk of request) body += chunk
    response.setHeader('Cache-Control', 'no-store')
    if (request.url === '/login') {
      const session = randomBytes(8).toString('hex')
      this.#users.set(session, new URLSearchParams(body).get('user')!)
      return void response.writeHead(303, { Location: '/', 'Set-Cookie': `session=${session}; Path=/; HttpOnly` }).end()
    }
    if (request.url === '/favicon.ico') return void response.writeHead(204).end()
    if (request.url === '/whoami') return void response.end(`${this.name}: ${user}`)
    if (request.url === '/events') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      for (let i = 1; i <= 3; i++) response.write(`data: ${this.name}: ${user}: ${i}\n\n`)
      return
    }
    response.setHeader('Content-Type', 'text/html')
    response.end(user ? HOME : LOGIN)
  }
}

/** Everything that the page shows once all has come. */
async function shown(page: Page): Promise<string[]> {
  // A page in the background draws no frames, which is the default to wait for.
  await page.waitForFunction("document.querySelectorAll('li').length === 8", { polling: 'mutation' })
  return (await page.$$eval('li', (lines) => lines.map((line) => String(line.textContent)))).sort()
}

test('visitors of the command with --forwarded --sticky stay at their nodes: login, WebSocket, events, reload', async (context) => {
  const nodes = ['a', 'b', 'c'].map((name) => new Node(name))
  const ports = await Promise.all(nodes.map((node) => node.start()))
  const browser = await launch(context)
  const command = Command.start(
    '--listen',
    '127.0.0.1:0',
    '--forwarded',
    '--sticky',
    '--grace',
    '1s',
    ...ports.map(String),
  )
  const url = `http://127.0.0.1:${await command.port()}/`
  const visits = await Promise.all(
    ['alice', 'bob', 'carol', 'dave'].map(async (user) => {
      const profile = await browser.createBrowserContext()
      const page = await profile.newPage()
      const watch = new PageWatch(page)
      await page.goto(url)
      await page.type('input', user)
      await Promise.all([page.waitForNavigation(), page.click('button')])
      return { user, page, watch, first: await shown(page) }
    }),
  )
  for (let round = 0; round < 2; round++) {
    for (const { user, page, watch, first } of visits) {
      const home = first[0]!.split(' ')[1]!.slice(0, 1)
      expect(first).toEqual([
        ...[1, 2, 3].map((i) => `event: ${home}: ${user}: ${i}`),
        ...Array<string>(4).fill(`fetch: ${home}: ${user}`),
        `socket: ${home}: ${user}: hello`,
      ])
      await page.reload()
      expect(await shown(page)).toEqual(first)
      expect(watch.errors).toEqual([])
    }
  }
  expect(nodes.flatMap(({ unknown }) => unknown)).toEqual([])
  const { host } = new URL(url)
  expect(new Set(nodes.flatMap(({ forwarded }) => forwarded))).toEqual(new Set([`127.0.0.1 http ${host}`]))
  command.signal('SIGTERM')
  await browser.close()
  expect(await command.exited).toBe(0)
})
