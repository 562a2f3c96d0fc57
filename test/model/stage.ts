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
} from '../../src/index.ts'
import { hear } from '../../src/proxy/events.ts'
import { turn, turns } from '../helpers/turns.ts'
import { End, Script } from './end.ts'
import type { Network } from './network.ts'
import { MAX_HEAD_BYTES, REQUESTS, RESPONSES, type Setup } from './setup.ts'
import type { Port } from './wire.ts'

type Place = NonNullable<Setup['destroyIn']>
type EventName = keyof ConnectionEvents

export interface Seen {
  name: EventName
  state: ConnectionState
  error?: ProxyError
}

/** How many listeners something has for each event. */
export function listeners(emitter: EventEmitter): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]))
}

/** What errback answers with. */
interface Answering {
  stream: Readable
  script: Script
  pushed: number
  hasEnded: boolean
}

/** One connection through a real proxy, with all who take part in it. */
export class Stage {
  readonly setup: Setup
  readonly network: Network
  readonly server: ProxyServer<Dest>
  /** How many listeners it has for each event, before there is a connection. */
  serverListeners: Readonly<Record<string, number>> = {}
  client!: End
  /** Of backends, the last that was met. */
  backend: End | undefined
  readonly backends: End[] = []
  /** The engine's own streams, as far as they are known. */
  readonly near = new Map<Duplex, Readonly<Record<string, number>>>()
  connection: Connection | undefined
  readonly seen: Seen[] = []
  /** Commands that were run. */
  readonly did: string[] = []
  /** What sets hooks going that wait to be told. */
  readonly waiting: (() => void)[] = []
  readonly calls = { lookup: 0, modify: 0, errback: [] as ProxyError[], connect: 0 }
  readable: Answering | undefined
  /** ms that have gone by, in memory. */
  elapsed = 0
  isDestroyed = false
  isDraining = false
  /** The commands are over. */
  isFinishing = false
  #drained: Promise<void> | undefined
  #attempts = 0
  readonly #unhear: (() => void)[]

  constructor(setup: Setup, network: Network) {
    this.setup = setup
    this.network = network
    const { modify, errback, timeouts } = setup
    this.server = createServer<Dest>({
      ...timeouts,
      maxHeadBytes: MAX_HEAD_BYTES,
      lookup: (head) => this.#lookup(head),
      modify: modify ? (head) => this.#modify(head) : undefined,
      errback: errback ? (error, _, head) => this.#errback(error, head) : undefined,
    })
    this.server.prependListener('connection', (socket) => this.watch(socket))
    this.#unhear = (['open', 'routed', 'connected', 'error', 'close'] as const).map((name) =>
      hear(name, (message) => this.#heard(name, message)),
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

  /** Takes down how many listeners a stream of the engine's has before it has it. */
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

  /** A side has ended, or errback's Readable is awaited. */
  get hasHalf(): boolean {
    return this.client.hasEnded || this.client.isGone || this.backends.some(({ isOver }) => isOver) || !!this.readable
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

  /** Called from the places where a connection may be destroyed. */
  reach(place: Place): void {
    if (this.setup.destroyIn === place && this.connection) this.destroy()
  }

  /** Brings the connection to its end, and lets what is under way arrive. */
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
    // What would come late has come.
    await turns(2)
  }

  /** Gives up what it has of the process. */
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
      await turn()
    }
  }

  /** Nobody has a reason to wait any more. */
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

  #lookup(head: Head): Dest | undefined | Promise<Dest | undefined> {
    this.calls.lookup++
    return this.#by(this.setup.lookup, 'lookup', (what) => {
      head.set('X-Lookup', '1')
      if (what === 'dest') return this.#nextDest()
      return this.#noDest(what)
    })
  }

  #modify(head: Head): void | Promise<void> {
    this.calls.modify++
    return this.#by(this.setup.modify!, 'modify', (what) => {
      if (what === 'throws') throw new Error('modify')
      if (what === 'edits') head.set('X-Modify', '1')
    })
  }

  #errback(error: ProxyError, head: Head): Dest | Readable | undefined | Promise<Dest | Readable | undefined> {
    const nth = this.calls.errback.push(error)
    return this.#by(this.setup.errback![nth - 1] ?? 'now nothing', 'errback', (what) => {
      head.set('X-Errback', String(nth))
      if (what === 'dest') return this.#nextDest()
      if (what === 'readable' || what === 'breaking') return this.#startReadable(what === 'breaking')
      return this.#noDest(what)
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

  #startReadable(isBreaking: boolean): Readable {
    const stream = new Readable({ read() {} })
    const script = new Script('HTTP/1.1 500 Sorry\r\n\r\n', 1)
    this.readable = { stream, script, pushed: 0, hasEnded: false }
    this.pushReadable(100)
    if (isBreaking) setImmediate(() => stream.destroy(new Error('broken')))
    return stream
  }
}
