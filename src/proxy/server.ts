import net from 'node:net'
import { Connection, type Owner } from './connection.ts'
import type { ProxyError, ProxyErrorCode } from './error.ts'
import { checkOptions, type Hooks, type ProxyOptions, type Settings } from './options.ts'
import { reset } from './socket.ts'
import type { Dest } from './upstream.ts'

/** ms for a client to send its first byte once a drain has begun. */
const SILENCE_MS = 1_000

/**
 * ms between two looks for connections that are to have keep-alive. Most are over before: they are spared its eight
 * system calls, a twentieth of what one with a single request takes.
 */
const KEEP_ALIVE_EVERY_MS = 5_000

const BAD_HEADS: ReadonlySet<ProxyErrorCode> = new Set([
  'BAD_HEAD',
  'HEAD_TIMEOUT',
  'UNTRUSTED_PROXY',
  'BAD_PROXY_HEADER',
  'PROXY_HEADER_TIMEOUT',
])

/** What has happened since the start. */
export interface Counters {
  /** Connections accepted. */
  accepted: number
  /** Connections open now. */
  open: number
  /** Backends reached. */
  connected: number
  /** Request heads and PROXY headers refused: malformed, too large, too slow, or of somebody who is not trusted. */
  badHeads: number
  /** Backends not reached; a connection may count several. */
  connectFailures: number
  /** Bytes received from clients. */
  bytesRead: number
  /** Bytes sent to clients. */
  bytesWritten: number
}

const NO_COUNTERS: Readonly<Counters> = {
  accepted: 0,
  open: 0,
  connected: 0,
  badHeads: 0,
  connectFailures: 0,
  bytesRead: 0,
  bytesWritten: 0,
}

/** The counters of several servers as those of one. */
export function addUp(all: Iterable<Readonly<Counters>>): Counters {
  const sum = { ...NO_COUNTERS }
  for (const one of all) for (const name of Object.keys(sum) as (keyof Counters)[]) sum[name] += one[name]
  return sum
}

/** The connections of one server or handler, and what came of them. */
class Engine implements Owner {
  readonly settings: Settings
  readonly connections = new Set<Connection>()
  /** Drains under way: while there are any, nobody new is taken. */
  drains = 0
  readonly #whenIdle: (() => void)[] = []
  readonly #counters: Counters = { ...NO_COUNTERS }
  #keepAlive: NodeJS.Timeout | undefined

  constructor(settings: Settings) {
    this.settings = settings
  }

  accept(socket: net.Socket): void {
    if (this.drains === 0) {
      new Connection(socket, this)
    } else {
      socket.on('error', () => undefined)
      reset(socket)
    }
  }

  opened(connection: Connection): void {
    this.connections.add(connection)
    this.#counters.accepted++
    if (!this.settings.keepAlive || this.#keepAlive) return
    const keepAlive = () => {
      for (const one of this.connections) one.keepAlive()
    }
    this.#keepAlive = setInterval(keepAlive, KEEP_ALIVE_EVERY_MS).unref()
  }

  connected(): void {
    this.#counters.connected++
  }

  failed({ code }: ProxyError): void {
    if (BAD_HEADS.has(code)) this.#counters.badHeads++
    else if (code === 'CONNECT_FAILED' || code === 'CONNECT_TIMEOUT') this.#counters.connectFailures++
  }

  closed(connection: Connection): void {
    this.connections.delete(connection)
    this.#counters.bytesRead += connection.bytesRead
    this.#counters.bytesWritten += connection.bytesWritten
    if (this.connections.size > 0) return
    clearInterval(this.#keepAlive)
    this.#keepAlive = undefined
    for (const tell of this.#whenIdle.splice(0)) tell()
  }

  /** Resolves when no connection is open. */
  async whenIdle(): Promise<void> {
    if (this.connections.size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }

  get counters(): Counters {
    const counters = { ...this.#counters, open: this.connections.size }
    for (const connection of this.connections) {
      counters.bytesRead += connection.bytesRead
      counters.bytesWritten += connection.bytesWritten
    }
    return counters
  }
}

/** A `net.Server` whose connections are proxied. Listen as with any other. */
export class ProxyServer<D extends Dest = Dest> extends net.Server {
  readonly #engine: Engine

  /** @throws {TypeError} on an option that is unknown or wrong */
  constructor(options: ProxyOptions<D>) {
    const settings = checkOptions(options)
    super({ allowHalfOpen: true })
    // The hooks are only ever given back what the same hooks returned.
    this.#engine = new Engine(settings as unknown as Settings)
    this.on('connection', (socket) => this.#engine.accept(socket))
  }

  /** The connections that are open now. */
  get active(): ReadonlySet<Connection> {
    return this.#engine.connections
  }

  /** What has happened so far: a copy, as of now. */
  get counters(): Readonly<Counters> {
    return this.#engine.counters
  }

  /**
   * Accepts no more, lets the connections that are open finish, and resets those that have not after so many ms.
   * Resolves when all are gone. A client that has sent nothing, as a browser that connects ahead, is given a second.
   * @throws {TypeError} on a time that is none
   */
  async drain(ms = Number.POSITIVE_INFINITY): Promise<void> {
    if (typeof ms !== 'number' || !(ms >= 0)) throw new TypeError(`drain: got ${ms}; takes ms from 0`)
    const timer = ms < 2 ** 31 ? setTimeout(() => this.#destroy(() => true), ms) : undefined
    const silence = setTimeout(() => this.#destroy(({ isSilent }) => isSilent), SILENCE_MS)
    this.#engine.drains++
    const closed = new Promise<void>((resolve) => this.close(() => resolve()))
    await Promise.all([closed, this.#engine.whenIdle()])
    this.#engine.drains--
    clearTimeout(timer)
    clearTimeout(silence)
  }

  #destroy(isMeant: (connection: Connection) => boolean): void {
    for (const connection of this.active) if (isMeant(connection)) connection.destroy()
  }
}

/**
 * Makes a proxy server.
 * @throws {TypeError} on an option that is unknown or wrong: it names the option, what it got and what it takes
 */
export function createServer<D extends Dest>(options: ProxyOptions<D>): ProxyServer<D>
export function createServer<D extends Dest>(
  lookup: Hooks<D>['lookup'],
  modify?: Hooks<D>['modify'],
  errback?: Hooks<D>['errback'],
): ProxyServer<D>
export function createServer<D extends Dest>(...hooks: HookArguments<D>): ProxyServer<D> {
  return new ProxyServer(optionsFrom(hooks))
}

/**
 * Makes a listener that proxies the connections of a server of your own: `tls.createServer(options, handler(lookup))`.
 * Takes and throws what `createServer` does.
 */
export function handler<D extends Dest>(options: ProxyOptions<D>): (socket: net.Socket) => void
export function handler<D extends Dest>(
  lookup: Hooks<D>['lookup'],
  modify?: Hooks<D>['modify'],
  errback?: Hooks<D>['errback'],
): (socket: net.Socket) => void
export function handler<D extends Dest>(...hooks: HookArguments<D>): (socket: net.Socket) => void {
  const engine = new Engine(checkOptions(optionsFrom(hooks)) as unknown as Settings)
  return (socket) => engine.accept(socket)
}

type HookArguments<D extends Dest> =
  | [options: ProxyOptions<D>]
  | [lookup: Hooks<D>['lookup'], modify?: Hooks<D>['modify'], errback?: Hooks<D>['errback']]

function optionsFrom<D extends Dest>([first, modify, errback]: HookArguments<D>): ProxyOptions<D> {
  return typeof first === 'function' ? { lookup: first, modify, errback } : first
}
