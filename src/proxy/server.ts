import net from 'node:net'
import type { Duplex } from 'node:stream'
import { markIfUnix } from './client-info.ts'
import { Connection } from './connection.ts'
import { type ConnectionOutcome, type Counters, newCounters } from './counters.ts'
import type { Dest } from './dest.ts'
import type { ProxyError, ProxyErrorCode } from './error.ts'
import { hasSubscribers } from './events.ts'
import { checkOptions, type Hooks, type ProxyOptions, type Settings } from './options.ts'
import { Pool } from './pool.ts'
import type { Owner } from './reporter.ts'
import { reset } from './socket.ts'
import { DRAIN_IDLE_MS } from './states.ts'
import { Sweep } from './sweep.ts'
import { warnOfMistake } from './warn.ts'

/**
 * ms between two checks for connections that need keep-alive. Most connections close earlier and save its eight system
 * calls, about 5 % of the cost of a connection with a single request.
 */
const KEEP_ALIVE_EVERY_MS = 5_000

const BAD_HEADS: ReadonlySet<ProxyErrorCode> = new Set([
  'BAD_HEAD',
  'HTTP2_REFUSED',
  'HTTP2_EXPECTED',
  'UNTRUSTED_PROXY',
  'BAD_PROXY_HEADER',
])

type EmitError = (error: ProxyError, connection: Connection) => boolean

/** The connections and counters of one server or handler. */
class Engine implements Owner<Connection> {
  readonly settings: Settings
  readonly pool: Pool | undefined
  readonly connections = new Set<Connection>()
  readonly sweep = new Sweep()
  /** Number of running drains. New connections are refused while it is not 0. */
  drains = 0
  /** `drainConnections` was called. */
  isLeft = false
  readonly #emitError: EmitError
  readonly #whenIdle: (() => void)[] = []
  readonly #counters = newCounters()
  #keepAlive: NodeJS.Timeout | undefined

  /** `emitError` returns whether the error has a listener. */
  constructor(settings: Settings, emitError: EmitError = () => false) {
    this.settings = settings
    this.pool = settings.requests === 'every' ? new Pool(settings.pool) : undefined
    this.#emitError = emitError
  }

  accept(socket: net.Socket): void {
    if (this.drains === 0) {
      new Connection(socket, this)
    } else {
      socket.on('error', () => undefined)
      reset(socket)
    }
  }

  get isDraining(): boolean {
    return this.drains > 0 || this.isLeft
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

  requested(): void {
    this.#counters.requests++
  }

  connected(isReused: boolean): void {
    this.#counters.connected++
    if (isReused) this.#counters.reuses++
  }

  retried(): void {
    this.#counters.retries++
  }

  failed(error: ProxyError, connection: Connection): void {
    const { code } = error
    const hasListener = this.#emitError(error, connection)
    if (!hasListener && !hasSubscribers('error')) warnOfMistake(error)
    if (BAD_HEADS.has(code)) this.#counters.badHeads++
    else if (code === 'CONNECT_FAILED' || code === 'CONNECT_TIMEOUT') this.#counters.connectFailures++
  }

  closed(connection: Connection, outcome: ConnectionOutcome): void {
    this.connections.delete(connection)
    this.#counters.outcomes[outcome]++
    this.#counters.bytesRead += connection.bytesRead
    this.#counters.bytesWritten += connection.bytesWritten
    if (this.connections.size > 0) return
    clearInterval(this.#keepAlive)
    this.#keepAlive = undefined
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  /** Resolves when no connection is open. */
  async whenIdle(): Promise<void> {
    if (this.connections.size > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }

  get counters(): Counters {
    const { outcomes, ...rest } = this.#counters
    const counters = { ...rest, open: this.connections.size, outcomes: { ...outcomes } }
    for (const connection of this.connections) {
      counters.bytesRead += connection.bytesRead
      counters.bytesWritten += connection.bytesWritten
    }
    return counters
  }
}

type ErrorListener = (error: ProxyError, connection: Connection) => void

/** The event of a ProxyServer in addition to those of a `net.Server`. */
interface ProxyEvents {
  on(event: 'proxyError', listener: ErrorListener): this
  once(event: 'proxyError', listener: ErrorListener): this
  addListener(event: 'proxyError', listener: ErrorListener): this
  prependListener(event: 'proxyError', listener: ErrorListener): this
  prependOnceListener(event: 'proxyError', listener: ErrorListener): this
}

const NetServer: new (options: net.ServerOpts) => ProxyEvents & net.Server = net.Server

/** A `net.Server` that proxies its connections. Call `listen` as for any other. */
export class ProxyServer<D extends Dest = Dest> extends NetServer {
  readonly #engine: Engine

  /** @throws {TypeError} on an unknown or invalid option */
  constructor(options: ProxyOptions<D>) {
    const settings = checkOptions(options)
    super({ allowHalfOpen: true })
    // Hooks only get back the Dests that they returned, so the cast is safe.
    this.#engine = new Engine(settings as unknown as Settings, (error, one) => this.#emitError(error, one))
    this.on('connection', (socket) => this.#engine.accept(socket))
    this.on('close', () => this.#engine.pool?.close())
  }

  /** The open connections. */
  get active(): ReadonlySet<Connection> {
    return this.#engine.connections
  }

  /** A copy of the current counters. */
  get counters(): Readonly<Counters> {
    return this.#engine.counters
  }

  /**
   * Stops listening, lets the open connections finish, and resets those that are still open after `ms`. Clients that
   * have sent nothing, such as a browser that connects ahead, are reset after a second. Resolves when all are closed.
   * @throws {TypeError} if `ms` is not a number from 0
   */
  async drain(ms = Number.POSITIVE_INFINITY): Promise<void> {
    if (typeof ms !== 'number' || !(ms >= 0)) throw new TypeError(`drain: expected milliseconds (0 or more), got ${ms}`)
    const timer = ms < 2 ** 31 ? setTimeout(() => this.#destroy(() => true), ms) : undefined
    const silence = setTimeout(() => this.#destroy(({ isSilent }) => isSilent), DRAIN_IDLE_MS)
    this.#engine.drains++
    const idle = this.#closeIdle()
    const closed = new Promise<void>((resolve) => this.close(() => resolve()))
    await Promise.all([closed, this.#engine.whenIdle()])
    // 'close' comes before the end of connections that another server accepted.
    this.#engine.pool?.close()
    this.#engine.drains--
    clearTimeout(timer)
    clearTimeout(silence)
    clearTimeout(idle)
  }

  /**
   * Ends the open connections without a reset, because another server has taken over the listener. With
   * `requests: 'every'`, a client that has been idle for a second is closed at once. Others get `Connection: close` with
   * their next response, or are closed if no request comes within a second. A client that has sent nothing yet may still
   * send one request. Tunnels, and all connections with `requests: 'first'`, stay open. Does not stop listening:
   * connections that are accepted later close after one response.
   */
  drainConnections(): void {
    this.#engine.isLeft = true
    this.#closeIdle()
  }

  /** If a listener throws, it becomes an uncaught exception later. The connection continues. */
  #emitError(error: ProxyError, connection: Connection): boolean {
    if (this.listenerCount('proxyError') === 0) return false
    try {
      this.emit('proxyError', error, connection)
    } catch (cause) {
      process.nextTick(() => {
        throw cause
      })
    }
    return true
  }

  /** Closes clients that were idle for a second, and later those that are idle now and send nothing for a second. */
  #closeIdle(): NodeJS.Timeout {
    const start = performance.now()
    const close = (ms: number) => {
      for (const connection of this.active) connection.closeIdle(ms)
    }
    close(DRAIN_IDLE_MS)
    return setTimeout(() => close(performance.now() - start), DRAIN_IDLE_MS).unref()
  }

  #destroy(matches: (connection: Connection) => boolean): void {
    for (const connection of this.active) if (matches(connection)) connection.destroy()
  }
}

type Lookup<D extends Dest> = Hooks<D>['lookup']

// One signature for both forms. With overloads, TypeScript reports a wrong option at the call instead of the option.

/**
 * Makes a proxy server from options or hooks.
 * @throws {TypeError} on an unknown or invalid option
 */
export function createServer<D extends Dest, E extends Dest = D>(
  lookupOrOptions: Lookup<D> | ProxyOptions<D, E>,
  modify?: Hooks<D, E>['modify'],
  errback?: Hooks<D, E>['errback'],
): ProxyServer<D> {
  return new ProxyServer<D>(optionsFrom(lookupOrOptions, modify, errback))
}

/**
 * Makes a listener that proxies the connections of another server: `tls.createServer(options, handler(lookup))`. Its
 * parameters and errors are those of `createServer`.
 */
export function handler<D extends Dest, E extends Dest = D>(
  lookupOrOptions: Lookup<D> | ProxyOptions<D, E>,
  modify?: Hooks<D, E>['modify'],
  errback?: Hooks<D, E>['errback'],
): (socket: Duplex) => void {
  const engine = new Engine(checkOptions(optionsFrom(lookupOrOptions, modify, errback)) as unknown as Settings)
  return function (this: unknown, socket) {
    markIfUnix(this, socket)
    engine.accept(socket as net.Socket)
  }
}

/** Hooks only get back the Dests that they returned, so their types do not matter here. */
function optionsFrom<D extends Dest, E extends Dest>(
  first: Lookup<D> | ProxyOptions<D, E>,
  modify: Hooks<D, E>['modify'],
  errback: Hooks<D, E>['errback'],
): ProxyOptions<D> {
  const options = typeof first === 'function' ? { lookup: first, modify, errback } : first
  return options as unknown as ProxyOptions<D>
}
