import type { EventEmitter } from 'node:events'
import { type Duplex, Readable } from 'node:stream'
import {
  type Connection,
  type ConnectionEvents,
  type ConnectionState,
  createServer,
  type Dest,
  type Head,
  type ProxyError,
  type ProxyServer,
} from '../../../src/index.ts'
import { subscribe } from '../../../src/proxy/subscribe.ts'
import { turn, turns } from '../../helpers/turns.ts'
import { End, Script } from './end.ts'
import type { Network } from './network.ts'
import { MAX_HEAD_BYTES, REQUESTS, RESPONSES, type Setup } from './setup.ts'
import type { Port } from './wire.ts'

type Place = NonNullable<Setup['destroyIn']>
type EventName = Exclude<keyof ConnectionEvents, 'start' | 'response' | 'end'>

export interface Seen {
  name: EventName
  state: ConnectionState
  error?: ProxyError
}

/** Number of listeners per event. */
export function listeners(emitter: EventEmitter): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]))
}

/** The answer of errback. */
interface Answering {
  stream: Readable
  script: Script
  pushed: number
  hasEnded: boolean
}

/** One connection through a real proxy, with all its parts. */
export class Stage {
  readonly setup: Setup
  readonly network: Network
  readonly server: ProxyServer<Dest>
  /** Its number of listeners per event before the connection. */
  serverListeners: Readonly<Record<string, number>> = {}
  client!: End
  /** The last backend. */
  backend: End | undefined
  readonly backends: End[] = []
  /** The known streams of the engine. */
  readonly near = new Map<Duplex, Readonly<Record<string, number>>>()
  connection: Connection | undefined
  readonly seen: Seen[] = []
  /** The commands that were run. */
  readonly did: string[] = []
  /** Functions that let waiting hooks return. */
  readonly waiting: (() => void)[] = []
  readonly calls = { lookup: 0, modify: 0, errback: [] as ProxyError[], connect: 0 }
  readable: Answering | undefined
  /** A hook has answered with a Response that can be sent. */
  hasResponse = false
  /** Elapsed ms, in memory. */
  elapsed = 0
  isDestroyed = false
  isDraining = false
  /** The commands have run. */
  isFinishing = false
  #drained: Promise<void> | undefined
  #attempts = 0
  readonly #unhear: (() => void)[]

  constructor(setup: Setup, network: Network) {
    this.setup = setup
    this.network = network
    const { http2, modify, errback, timeouts } = setup
    this.server = createServer<Dest>({
      ...timeouts,
      http2,
      maxHeadBytes: MAX_HEAD_BYTES,
      lookup: (head) => this.#lookup(head),
      modify: modify ? (head) => this.#modify(head) : undefined,
      errback: errback ? (error, _, head) => this.#errback(error, head) : undefined,
    })
    this.server.prependListener('connection', (socket) => this.watch(socket))
    this.#unhear = (['open', 'routed', 'connecting', 'connected', 'error', 'close'] as const).map((name) =>
      subscribe(name, (message) => this.#heard(name, message)),
    )
  }

  async open(): Promise<void> {
    await this.network.start(this)
    this.serverListeners = listeners(this.server)
    const { stream, port } = this.network.connect(this)
    this.client = new End(stream, new Script(REQUESTS[this.setup.request], 0), port)
    while (!this.connection) await turn()
    if (this.setup.opening === 'none') return
    this.client.send(this.client.script.head.length)
    await turns(4)
    if (this.setup.opening === 'request' || !this.backend) return
    this.backend.send(this.backend.script.head.length)
    await turns(4)
  }

  get isClosed(): boolean {
    return this.seen.some(({ name }) => name === 'close')
  }

  /** A backend has accepted. */
  met(stream: Duplex, port?: Port): void {
    this.backend = new End(stream, new Script(RESPONSES[this.setup.response].join(''), 1), port)
    this.backends.push(this.backend)
  }

  get #ends(): End[] {
    return [...(this.client ? [this.client] : []), ...this.backends]
  }

  /** Records the listeners of a stream before the engine gets it. */
  watch(stream: Duplex): void {
    if (this.near.has(stream)) return
    this.near.set(stream, listeners(stream))
  }

  turns(count: number): Promise<void> {
    return turns(count)
  }

  /** A time-out may have fired. */
  get hasElapsed(): boolean {
    return this.elapsed > 0
  }

  /** Whether a side has ended, or a hook's answer is awaited. */
  get hasHalf(): boolean {
    const isAnswered = this.readable !== undefined || this.hasResponse
    return this.client.hasEnded || this.client.isGone || this.backends.some(({ isOver }) => isOver) || isAnswered
  }

  get isHandedOver(): boolean {
    return this.connection?.dest !== undefined && 'server' in this.connection.dest
  }

  elapse(ms: number): Promise<void> {
    return this.network.elapse(this, ms)
  }

  destroy(): void {
    this.isDestroyed = true
    this.connection!.destroy()
  }

  drain(ms: number): void {
    this.isDraining = true
    this.#drained = this.server.drain(ms)
  }

  pushReadable(size: number): void {
    const { stream, script, pushed } = this.readable!
    stream.push(script.slice(pushed, pushed + size))
    this.readable!.pushed += size
  }

  endReadable(): void {
    this.readable!.hasEnded = true
    this.readable!.stream.push(null)
  }

  breakReadable(): void {
    this.readable!.stream.destroy(new Error('broken'))
  }

  /** Destroys the connection if the setup says so for this place. */
  reach(place: Place): void {
    if (this.setup.destroyIn === place && this.connection) this.destroy()
  }

  /** Ends the connection, and lets everything arrive. */
  async finish(): Promise<void> {
    this.isFinishing = true
    const { finale } = this.setup
    if (finale === 'destroy' && this.connection) this.destroy()
    if (finale === 'drain' && !this.isDraining) this.drain(Number.POSITIVE_INFINITY)
    await this.#until(() => this.isClosed && this.server.active.size === 0, 'the connection does not close')
    const hasHeard = ({ stream, sawEnd }: End) => sawEnd || stream.destroyed
    await this.#until(() => this.#ends.every(hasHeard), 'a peer is told of no end')
    for (const { stream } of this.#ends) stream.destroy()
    await this.#until(() => [...this.near.keys()].every(({ destroyed }) => destroyed), 'a socket is left open')
    await this.#drained
    await this.dispose()
    await this.#until(
      () => this.network.left().length === 0,
      () => `left: ${this.network.left().join(', ')}`,
    )
    // Late events have arrived.
    await turns(2)
  }

  /** Releases servers, timers and listeners. */
  async dispose(): Promise<void> {
    for (const unhear of this.#unhear.splice(0)) unhear()
    for (const connection of this.server.active) connection.destroy()
    for (const { stream } of this.#ends) stream.destroy()
    await this.network.close()
  }

  async #until(isThere: () => boolean, what: string | (() => string)): Promise<void> {
    const start = performance.now()
    for (let count = 0; !isThere(); count++) {
      if (this.network.isOverdue(count, performance.now() - start)) {
        throw new Error(typeof what === 'string' ? `${what}: ${this.connection?.state}` : what())
      }
      this.#letEnd()
      // badass reads slowly after it has dropped much.
      if (this.network.hasFakeTime && count >= 1_000 && count % 10 === 0) await this.elapse(10)
      await turn()
    }
  }

  /** Whether nothing can happen any more. */
  #letEnd(): void {
    for (const answer of this.waiting.splice(0)) answer()
    if (this.network.isConnecting) this.network.accept()
    if (this.readable && !this.readable.hasEnded && !this.readable.stream.destroyed) this.endReadable()
    for (const end of this.#ends) {
      end.hold(false)
      end.stream.resume()
      if (!end.isOver) end.end()
    }
  }

  #heard(name: EventName, message: ConnectionEvents[EventName]): void {
    const { connection } = message
    if (name === 'open') this.connection ??= connection
    this.seen.push({ name, state: connection.state, ...('error' in message ? { error: message.error } : undefined) })
    if (name !== 'close') this.reach(name)
  }

  #lookup(head: Head): Dest | Response | undefined | Promise<Dest | Response | undefined> {
    this.calls.lookup++
    return this.#by(this.setup.lookup, 'lookup', (what) => {
      head.set('X-Lookup', '1')
      if (what === 'dest') return this.#nextDest()
      return what === 'response' ? this.#respond() : this.#noDest(what)
    })
  }

  #modify(head: Head): void | Promise<void> {
    this.calls.modify++
    return this.#by(this.setup.modify!, 'modify', (what) => {
      if (what === 'throws') throw new Error('modify')
      if (what === 'edits') head.set('X-Modify', '1')
    })
  }

  #errback(
    error: ProxyError,
    head: Head,
  ): Dest | Response | Readable | undefined | Promise<Dest | Response | Readable | undefined> {
    const nth = this.calls.errback.push(error)
    return this.#by(this.setup.errback![nth - 1] ?? 'now nothing', 'errback', (what) => {
      head.set('X-Errback', String(nth))
      if (what === 'dest') return this.#nextDest()
      if (what === 'readable' || what === 'breaking') return this.#startReadable(what === 'breaking')
      return what === 'response' ? this.#respond() : this.#noDest(what)
    })
  }

  #by<T>(plan: string, place: Place, make: (what: string) => T): T | Promise<T> {
    const [when, what] = plan.split(' ') as [string, string]
    const run = () => {
      this.reach(place)
      return make(what)
    }
    if (when === 'now') return run()
    if (when === 'soon') return turn().then(run)
    return new Promise<void>((resolve) => this.waiting.push(resolve)).then(run)
  }

  #nextDest(): Dest {
    return this.network.dest(this.setup.dests[this.#attempts++] ?? 'open', this)
  }

  #noDest(what: string): undefined {
    if (what === 'throws') throw new Error('hook')
    return what === 'junk' ? ('junk' as never) : undefined
  }

  #respond(): Response {
    this.hasResponse = this.setup.request !== 'http2'
    return new Response('hello', { status: 401, headers: { 'Content-Type': 'text/plain' } })
  }

  #startReadable(isBreaking: boolean): Readable {
    const stream = new Readable({ read() {} })
    const script = new Script('HTTP/1.1 500 Sorry\r\n\r\n', 1)
    this.readable = { stream, script, pushed: 0, hasEnded: false }
    this.pushReadable(100)
    if (isBreaking) setImmediate(() => stream.destroy(new Error('broken')))
    return stream
  }
}
