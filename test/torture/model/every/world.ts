import { vi } from 'vitest'
import {
  type ConnectionEvents,
  createServer,
  type Dest,
  type Head,
  type ProxyError,
  type ProxyServer,
} from '../../../../src/index.ts'
import { DRAIN_IDLE_MS } from '../../../../src/proxy/states.ts'
import { subscribe } from '../../../../src/proxy/subscribe.ts'
import { turn, turns } from '../../../helpers/turns.ts'
import { MemorySocket, portPair } from '../wire.ts'
import type { ModelBackend } from './backend.ts'
import { type Asked, ModelClient } from './client.ts'
import { Inspector } from './inspector.ts'
import { BackendNetwork } from './network.ts'
import { type Route, type Setup, timeoutsOf } from './setup.ts'

type EventName = Exclude<keyof ConnectionEvents, 'response' | 'routed'>
type Message = ConnectionEvents[EventName]

const HOUR = 3_600_000
/** The finish of a run that takes more turns is stuck. */
const MOST_TURNS = 6_000

/** A proxy with `requests: 'every'`, its clients and its backends, in memory with a fake clock. */
export class World {
  readonly setup: Setup
  readonly server: ProxyServer<Dest>
  readonly clients: ModelClient[] = []
  readonly network: BackendNetwork
  readonly inspector: Inspector
  /** The commands that were run. */
  readonly did: string[] = []
  /** Functions that let waiting hooks return. */
  readonly waiting: (() => void)[] = []
  /** The requests that lookup saw. */
  readonly seen: Asked[] = []
  readonly counts = { start: 0, end: 0, connected: 0, reuses: 0, errbacks: 0, replies: 0 }
  readonly faults: unknown[] = []
  elapsed = 0
  isDraining = false
  #hasLeft = false
  #drained: Promise<void> | undefined
  /** Connections whose next 'connected' is of a new socket. */
  readonly #fresh = new Set<unknown>()
  readonly #unhear: (() => void)[]

  constructor(setup: Setup) {
    this.setup = setup
    const { modify, errback, pool } = setup
    this.server = createServer<Dest>({
      requests: 'every',
      ...timeoutsOf(setup),
      pool: { idleLifetime: HOUR, ...pool },
      lookup: (head) => this.#lookup(head),
      modify: modify ? (head, _, request) => this.#modify(head, request) : undefined,
      errback: errback ? (error, _, head) => this.#errback(error, head) : undefined,
    })
    const find = (target: string, seen: string) => {
      const asked = this.#find(target)
      return asked && this.seen[Number(seen)] === asked ? asked : undefined
    }
    this.network = new BackendNetwork(setup.capacity, {
      find,
      answers: setup.answers,
      nextReply: () => this.counts.replies++,
    })
    this.inspector = new Inspector((socket, to) => this.network.connect(socket, to))
    this.#unhear = (['open', 'start', 'connecting', 'connected', 'end', 'error', 'close'] as const).map((name) =>
      subscribe(name, (message) => this.#heard(name, message)),
    )
  }

  get backends(): ModelBackend[] {
    return this.network.backends
  }

  /** The backend connections that have not noticed any end. */
  get untold(): ModelBackend[] {
    return this.backends.filter(({ stream, sawEnd }) => !sawEnd && !stream.destroyed)
  }

  connect(): void {
    const [near, far] = portPair(this.setup.capacity)
    const stream = new MemorySocket(far)
    const client = new ModelClient(this.clients.length, stream, far, this.setup.modify?.endsWith('edits') === true)
    this.clients.push(client)
    this.server.emit('connection', new MemorySocket(near))
  }

  elapse(ms: number): void {
    this.elapsed += ms
    vi.advanceTimersByTime(ms)
  }

  drain(ms: number): void {
    this.isDraining = true
    this.#drained = this.server.drain(ms)
  }

  /** Another server takes over: the connections close when they are idle. */
  leave(): void {
    this.isDraining = true
    this.#hasLeft = true
    this.server.drainConnections()
  }

  turns(count: number): Promise<void> {
    return turns(count)
  }

  /** Lets every request be answered, and all connections end. Calls `check` now and then. */
  async finish(check: () => void): Promise<void> {
    if (this.setup.finale === 'drain' && !this.isDraining) this.drain(Number.POSITIVE_INFINITY)
    for (let count = 0; this.clients.some((client) => !isOver(client)); count++) {
      if (count % 50 === 0) check()
      if (count > MOST_TURNS) throw new Error(`connections do not close: ${this.#states()}`)
      for (const answer of this.waiting.splice(0)) answer()
      if (this.network.isConnecting) this.network.accept()
      for (const client of this.clients) letEnd(client)
      for (const backend of this.backends) letServe(backend)
      if (count >= 300 && count % 10 === 0) this.elapse(10)
      await turn()
    }
    await turns(3)
    await this.#drained
    await this.server.drain()
    // What is still under way arrives.
    for (let count = 0; count < MOST_TURNS && (count < 6 || this.untold.length > 0); count++) {
      for (const backend of this.backends) letServe(backend)
      await turn()
    }
    // `drainConnections` looks for idle connections again after a second.
    if (this.#hasLeft) this.elapse(DRAIN_IDLE_MS)
  }

  #states(): string {
    return this.clients.map(({ connection, isClosed }) => `${connection?.state} ${isClosed}`).join(', ')
  }

  dispose(): void {
    for (const unhear of this.#unhear.splice(0)) unhear()
    for (const connection of this.server.active) connection.destroy()
    for (const { stream } of [...this.clients, ...this.backends]) stream.destroy()
    for (const socket of this.network.sockets) socket.destroy()
    this.inspector.restore()
    vi.clearAllTimers()
  }

  #heard(name: EventName, message: Message): void {
    const { connection } = message
    if (name === 'open') {
      this.clients.at(-1)!.connection = connection
      return
    }
    const client = this.clients.find((one) => one.connection === connection)
    if (!client) return
    if (name === 'start' || name === 'end') this.counts[name]++
    else if (name === 'connecting') this.#fresh.add(connection)
    else if (name === 'connected') {
      this.counts.connected++
      if (!this.#fresh.delete(connection)) this.counts.reuses++
    } else if (name === 'error') {
      this.#fresh.delete(connection)
      client.errors.push((message as ConnectionEvents['error']).error)
    }
    if (name !== 'close') return
    if (client.isClosed) this.faults.push(new Error('a connection closed twice'))
    client.isClosed = true
  }

  #find(target: string): Asked | undefined {
    const [, client, number] = /^\/(\d+)\/(\d+)\//.exec(target) ?? []
    return this.clients[Number(client)]?.asked[Number(number)]
  }

  #lookup(head: Head): Dest | Response | undefined | Promise<Dest | Response | undefined> {
    const asked = this.#find(head.target)
    if (!asked) {
      this.faults.push(new Error(`lookup saw a request that nobody sent: ${head.first}`))
      return undefined
    }
    const { client, number, route } = asked
    asked.lookups++
    if (number !== client.looked++) this.faults.push(new Error(`lookup saw ${head.first} at the wrong time`))
    head.set('X-Seen', String(this.seen.push(asked) - 1))
    return this.#by(head.target.split('/')[4]!, client, () => this.#outcome(route, asked, 401))
  }

  #errback(error: ProxyError, head: Head): Dest | Response | undefined | Promise<Dest | Response | undefined> {
    const plan = this.setup.errback![this.counts.errbacks++] ?? 'now nothing'
    if (!ASKED.includes(error.code)) this.faults.push(new Error(`errback was asked about ${error.code}`))
    const [when, what] = plan.split(' ') as [string, Route]
    head.set('X-Errback', String(this.counts.errbacks))
    const asked = this.#find(head.target)!
    return this.#by(when, asked.client, () => this.#outcome(what, asked, 502))
  }

  #modify(head: Head, request: Head): void | Promise<void> {
    const [when, what] = this.setup.modify!.split(' ') as [string, string]
    const asked = this.#find(request.target)
    if (!asked) this.faults.push(new Error(`modify got another request: ${request.first}`))
    return this.#by(when, asked?.client, () => {
      if (what === 'throws') throw new Error('modify')
      if (what === 'edits') head.set('X-Modify', '1')
    })
  }

  #outcome(route: Route, { client, number, places }: Asked, status: number): Dest | Response | undefined {
    if (route === 'nothing') return undefined
    if (route === 'throws') throw new Error('hook')
    if (route === 'response') return new Response('own', { status, headers: { 'X-Own': `${client.index}/${number}` } })
    places.add(route === 'once' ? 'a' : route)
    return this.network.dests[route]
  }

  #by<T>(when: string, client: ModelClient | undefined, make: () => T): T | Promise<T> {
    if (when === 'watching') client?.connection?.abortOnClose()
    if (when === 'now') return make()
    if (when === 'soon') return turn().then(make)
    return new Promise<void>((resolve) => this.waiting.push(resolve)).then(make)
  }
}

/** The errors that errback is asked about. */
const ASKED = [
  ...['NO_DESTINATION', 'LOOKUP_FAILED', 'CONNECT_FAILED', 'CONNECT_TIMEOUT'],
  ...['NO_RESPONSE', 'BACKEND_RESET', 'RESPONSE_HEAD_TIMEOUT', 'REQUEST_SEND_TIMEOUT'],
]

function isOver({ isClosed, stream, responses, connection }: ModelClient): boolean {
  return (isClosed || !connection) && (responses.hasEnded || stream.destroyed)
}

/** Lets a client send and read everything, and end. */
function letEnd(client: ModelClient): void {
  client.hold(false)
  client.pause(false)
  if (client.isOver) return
  client.send(Number.POSITIVE_INFINITY)
  client.end()
}

/** Lets a backend answer what it got, and end. */
function letServe(backend: ModelBackend): void {
  backend.hold(false)
  backend.stream.resume()
  if (backend.isOver) return
  if (backend.canAnswer && backend.isWhole) backend.answer('plain')
  if (backend.reply && backend.outbox.length > 0) backend.send(Number.POSITIVE_INFINITY)
  if (backend.isTunnel || backend.reply || backend.sawEnd) backend.end()
}
