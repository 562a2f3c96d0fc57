import { once } from 'node:events'
import { io, type Socket } from 'socket.io-client'
import { expect, onTestFinished, test } from 'vitest'
import { type Balancer, createBalancer } from '../../src/balancer/index.ts'
import { createServer, type ProxyServer } from '../../src/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'
import { Child } from '../helpers/child.ts'
import { CookieAgent } from '../helpers/cookie-agent.ts'
import { listen } from '../helpers/net.ts'
import { hasProgram, startNginx } from '../helpers/peers.ts'
import { turn } from '../helpers/turns.ts'

const NAMES = ['a', 'b', 'c', 'd']
const TRANSPORTS = { upgrading: ['polling', 'websocket'], polling: ['polling'], websocket: ['websocket'] } as const

/** Most browsers begin with polling and then upgrade. Some support only one transport. */
const KINDS = [...Array<Kind>(8).fill('upgrading'), 'polling', 'websocket'] as const
type Kind = keyof typeof TRANSPORTS

test('200 clients use 4 nodes, and after a kill only the clients of the killed node move', async () => {
  const { nodes, balancer, complaints, port } = await startCluster()
  const clients = startClients(port, 200)
  await Promise.all(clients.map((client) => client.settled()))
  // Each client connected once as a new client and got the next node. Without a cookie, a session would have two nodes.
  expect(countByHome(clients)).toEqual({ a: 50, b: 50, c: 50, d: 50 })
  await expectEchoes(clients)

  const victims = clients.filter(({ home }) => home === 'b')
  const others = clients.filter(({ home }) => home !== 'b')
  const homes = others.map(({ home }) => home)
  const down = once(balancer, 'down')
  await nodes.b!.kill()
  await Promise.all(victims.map((client) => client.settledAgain()))
  expect((await down)[0]).toMatchObject({ id: 'b', state: 'down' })
  await expectEchoes(clients)
  expect(victims.map(({ home }) => home)).not.toContain('b')
  expect(new Set(victims.map(({ drops }) => drops))).toEqual(new Set([1]))
  expect([others.map(({ home }) => home), others.filter(({ drops }) => drops > 0)]).toEqual([homes, []])

  const up = once(balancer, 'up')
  await nodes.b!.restart()
  expect((await up)[0]).toMatchObject({ id: 'b', state: 'up' })
  const newcomers = startClients(port, 20)
  await Promise.all(newcomers.map((client) => client.settled()))
  expect(countByHome(newcomers).b).toBeGreaterThan(0)
  await expectEchoes([...clients, ...newcomers])

  expect(complaints).toEqual([])
  // Clients of the killed node also connect at once. Their first attempt is sent to another node.
  const errors = [...clients, ...newcomers].flatMap(({ errors }) => errors)
  expect(errors).toEqual([])
  const upgraded = [...clients, ...newcomers].filter(({ kind }) => kind === 'upgrading').length
  console.log(
    `socket.io: ${clients.length + newcomers.length} clients, ${upgraded} upgraded, ${victims.length} moved when their ` +
      `node was killed (${errors.length} failed attempts), ${complaints.length} unknown sessions`,
  )
})

test('a draining node keeps its clients, even if they reconnect, and gets no new ones', async () => {
  const { balancer, complaints, port } = await startCluster()
  const clients = startClients(port, 40)
  await Promise.all(clients.map((client) => client.settled()))
  const homes = clients.map(({ home }) => home)
  expect(countByHome(clients)).toEqual({ a: 10, b: 10, c: 10, d: 10 })

  balancer.drain('c')
  const newcomers = startClients(port, 20)
  await Promise.all(newcomers.map((client) => client.settled()))
  expect(countByHome(newcomers)).toEqual({ a: expect.any(Number), b: expect.any(Number), d: expect.any(Number) })
  await expectEchoes([...clients, ...newcomers])
  expect(clients.filter(({ drops }) => drops > 0)).toEqual([])
  for (const client of clients) client.comeBack()
  await Promise.all(clients.map((client) => client.settled()))
  expect(clients.map(({ home }) => home)).toEqual(homes)
  await expectEchoes(clients)

  balancer.ready('c')
  const latecomers = startClients(port, 20)
  await Promise.all(latecomers.map((client) => client.settled()))
  expect(countByHome(latecomers).c).toBeGreaterThan(0)
  expect(complaints).toEqual([])
  expect([...clients, ...newcomers, ...latecomers].flatMap(({ errors }) => errors)).toEqual([])
})

test.skipIf(!hasProgram('nginx'))('each client finds its node behind an nginx that keeps its connections', async () => {
  const { complaints, port } = await startCluster((balancer) => sticky(balancer, 'every'))
  const nginx = await startNginx(
    (at) => `
      map $http_upgrade $hop { default upgrade; '' ''; }
      upstream badass { server 127.0.0.1:${port}; keepalive 4; }
      server {
        listen 127.0.0.1:${at};
        location / {
          proxy_pass http://badass;
          proxy_http_version 1.1;
          proxy_set_header Host $http_host;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection $hop;
        }
      }
    `,
  )
  const clients = startClients(nginx, 18)
  await Promise.all(clients.map((client) => client.settled()))
  await expectEchoes(clients)
  expect(complaints).toEqual([])
  expect(clients.flatMap(({ errors }) => errors)).toEqual([])
})

test('the nodes do not know the sessions if the same balancer sets no cookie', async () => {
  const { complaints, port } = await startCluster((balancer) =>
    createServer(balancer.lookup, undefined, balancer.errback),
  )
  const clients = startClients(port, 20)
  while (complaints.length === 0) await turn()
  expect(complaints).toContainEqual({ code: 1, message: 'Session ID unknown' })
  for (const client of clients) client.socket.disconnect()
})

/** Four nodes in separate processes, and a proxy in front of them. */
async function startCluster(create: (balancer: Balancer) => ProxyServer = sticky) {
  const started = await Promise.all(NAMES.map((NAME) => Child.start('./socket-io-node.mjs', { NAME })))
  /** The requests that the nodes have refused. */
  const complaints: unknown[] = []
  for (const node of started) node.on('message', (message) => complaints.push(message))
  const balancer = createBalancer({
    backends: started.map(({ host, port }, i) => ({ host, port, id: NAMES[i]! })),
    backoff: { min: 20, max: 200 },
  })
  onTestFinished(() => balancer.close())
  const nodes: Record<string, Child> = Object.fromEntries(started.map((node, i) => [NAMES[i], node]))
  return { nodes, balancer, complaints, port: await listen(create(balancer)) }
}

function sticky(balancer: Balancer, requests: 'first' | 'every' = 'first') {
  return createStickyServer(balancer.lookup, balancer.errback, {
    requests,
    cookie: { insert: true, indirect: true, secret: 'a secret' },
  })
}

function startClients(port: number, count: number): Client[] {
  return Array.from({ length: count }, (_, i) => new Client(port, KINDS[i % KINDS.length]!))
}

function countByHome(clients: Client[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { home } of clients) counts[home!] = (counts[home!] ?? 0) + 1
  return counts
}

async function expectEchoes(clients: Client[]): Promise<void> {
  const echoes = await Promise.all(clients.map(async ({ socket }, i) => await socket.emitWithAck('echo', `hello ${i}`)))
  expect(echoes).toEqual(clients.map(({ home }, i) => `${home}: hello ${i}`))
}

/** A browser with one socket. */
class Client {
  readonly kind: Kind
  readonly socket: Socket
  /** The node of the connection. */
  home: string | undefined
  /** How often it was disconnected. */
  drops = 0
  /** Errors of attempts to connect. */
  readonly errors: string[] = []
  #wake: () => void = () => undefined

  constructor(port: number, kind: Kind) {
    const agent = new CookieAgent()
    this.kind = kind
    this.socket = io(`http://127.0.0.1:${port}`, {
      transports: [...TRANSPORTS[kind]],
      forceNew: true,
      // The type only allows the values that Node treats as 'none'.
      agent: agent as never,
      reconnectionDelay: 100,
      reconnectionDelayMax: 500,
    })
    this.socket.on('home', (name: string) => {
      this.home = name
      this.#wake()
    })
    this.socket.on('disconnect', (reason) => {
      this.home = undefined
      if (reason !== 'io client disconnect') this.drops++
    })
    this.socket.on('connect_error', (error) => {
      this.errors.push(error.message)
    })
    this.socket.io.on('open', () => this.socket.io.engine.on('upgrade', () => this.#wake()))
    onTestFinished(() => {
      this.socket.disconnect()
      agent.destroy()
    })
  }

  /** Resolves when it is connected, and upgraded if it can upgrade. */
  async settled(): Promise<void> {
    const isUpgraded = () => this.kind === 'polling' || this.socket.io.engine.transport.name === 'websocket'
    while (!this.home || !isUpgraded()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Resolves when it has been disconnected and has connected again. */
  async settledAgain(): Promise<void> {
    if (this.drops === 0) await new Promise((resolve) => this.socket.once('disconnect', resolve))
    await this.settled()
  }

  /** Leaves and returns, as after a reload of the page. */
  comeBack(): void {
    this.socket.disconnect().connect()
  }
}
