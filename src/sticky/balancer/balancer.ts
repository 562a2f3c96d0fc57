import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import type { Head } from '../../parser/index.ts'
import type { ClientInfo, Dest, ProxyError } from '../../proxy/index.ts'
import { Accounts } from './accounts.ts'
import { type Algorithm, createAlgorithm } from './algorithm.ts'
import type { Backend, BackendOptions, BackendStatus, BackendView, DnsOptions } from './backend.ts'
import { checkBackend } from './backend-options.ts'
import type { BalancerEvents } from './events.ts'
import { isConnectFailure } from './failure.ts'
import { type BalancerOptions, type BalancerSettings, checkBalancer } from './options.ts'
import { Pool } from './pool.ts'
import type { Route } from './route.ts'
import { unavailable } from './unavailable.ts'

/** One less than the proxy tries for a connection: the last word is ours, and says when to come back. */
const MOST_TRIED = 98

/** For `createServer` and for `createStickyServer`. */
export interface BalancerLookup {
  (head: Head, client: ClientInfo): Route | undefined
  (head: Head, sticky: string | undefined, client: ClientInfo): Route | undefined
}

/**
 * Says for each client which backend it goes to. `lookup` and `errback` go into `createServer` or `createStickyServer`
 * as they are, or are called by hooks of your own, which may spread what they give into a Dest of their own.
 *
 * It hears of all connections of this process until `close()`.
 */
export class Balancer extends EventEmitter<BalancerEvents> {
  readonly #accounts = new Accounts()
  readonly #pool: Pool
  #settings: BalancerSettings
  #algorithm: Algorithm
  #isClosed = false

  /** @throws {TypeError} on an option that is unknown or wrong: it names the option, what it got and what it takes */
  constructor(options: BalancerOptions = {}) {
    const settings = checkBalancer(options)
    super()
    this.#settings = settings
    this.#algorithm = createAlgorithm(settings.algorithm, Math.random)
    this.#pool = new Pool(settings, this.#tell, (backend) => this.#accounts.open(backend))
  }

  /**
   * The backend for a client: its home, where the sticky value names one, or else one that can take it. Undefined where
   * there is none. A hook that waits after it has asked may see a backend get more than its `maxConnections`.
   */
  readonly lookup: BalancerLookup = (head: Head, ...rest: [ClientInfo] | [string | undefined, ClientInfo]) => {
    const sticky = typeof rest[0] === 'string' ? rest[0] : undefined
    const client = rest.at(-1) as ClientInfo
    const key = this.#settings.algorithm === 'hash' ? this.#settings.keyOf(head, client) : ''
    const home = sticky === undefined ? undefined : this.#pool.home(sticky)
    if (home?.takesBack) return this.#route(home, [], key, true)
    return home && this.#settings.isPersistent ? undefined : this.#choose([], key)
  }

  /**
   * Where a backend could not be reached: the next one, of those that this connection has not tried. Where there is
   * none, a 503 that says when to come back.
   */
  readonly errback = (error: ProxyError, dest: Dest | undefined | null, head: Head): Route | Readable | undefined => {
    const backend = this.#accounts.backendOf(dest)
    if (backend && isConnectFailure(error)) {
      this.#accounts.failed(error, backend)
      // A hook may have written over them with something of its own.
      const { tried, key, isHome } = dest as { [K in keyof Route]?: unknown }
      const all = Array.isArray(tried) ? [...tried, backend] : [backend]
      const isOver = (isHome === true && this.#settings.isPersistent) || all.length > MOST_TRIED
      const next = isOver ? undefined : this.#choose(all, typeof key === 'string' ? key : '')
      if (next) return next
    }
    return unavailable(head, this.#retryAfter)
  }

  /** What is known of each backend: copies, as of now. */
  get backends(): BackendStatus[] {
    return [...this.#pool.backends].map(({ status }) => status)
  }

  /** @throws {TypeError} on an option that is unknown or wrong, or an id that is taken */
  add(options: BackendOptions | DnsOptions): void {
    this.#checkOpen()
    this.#pool.add('backend', checkBackend('backend', options))
  }

  /**
   * Takes a backend out; what it has open stays open. One that the DNS names stays out until the DNS no longer does. The
   * name of the DNS itself, as 'dns:app.internal:3000', takes all its backends along.
   * @throws {RangeError} on an id that is unknown
   */
  remove(id: string): void {
    this.#pool.remove(id)
  }

  /** From now on it only takes clients whose home it is. @throws {RangeError} on an id that is unknown */
  drain(id: string): void {
    this.#setDraining(id, true)
  }

  /** Ends a drain. @throws {RangeError} on an id that is unknown */
  ready(id: string): void {
    this.#setDraining(id, false)
  }

  /** Resets the open connections of a backend, and returns how many. @throws {RangeError} on an id that is unknown */
  kill(id: string): number {
    return this.#pool.get(id).kill()
  }

  /**
   * Puts other options in the place of all there were. A backend that stays (by id, address, `tls` and `sendProxy`)
   * keeps its state, counts and connections, and goes on draining. A name of the DNS keeps what it was found to stand
   * for; where there is a new one, those that go stay until one such is found.
   * @throws {TypeError} as the constructor does; then nothing has changed
   */
  update(options: BalancerOptions): void {
    this.#checkOpen()
    const settings = checkBalancer(options)
    if (settings.algorithm !== this.#settings.algorithm) {
      this.#algorithm = createAlgorithm(settings.algorithm, Math.random)
    }
    this.#settings = settings
    this.#pool.update(settings)
  }

  /** Resolves when each name of the DNS has been looked up once, for better or worse. */
  async resolved(): Promise<void> {
    await this.#pool.resolved()
  }

  /** Ends all checks and look-ups, and counts no more. */
  close(): void {
    this.#isClosed = true
    this.#pool.stop()
    this.#accounts.stop()
  }

  #choose(tried: readonly BackendView[], key: string): Route | undefined {
    const all = [...this.#pool.backends].filter((backend) => backend.takesNew && !tried.includes(backend))
    const primaries = all.filter(({ isBackup }) => !isBackup)
    const candidates = primaries.length > 0 ? primaries : all
    if (candidates.length === 0) return undefined
    return this.#route(this.#algorithm.choose(candidates, key), tried, key, false)
  }

  #route(backend: Backend, tried: readonly BackendView[], key: string, isHome: boolean): Route {
    return { ...backend.place, sticky: this.#pool.sticky(backend), backend, tried, key, isHome }
  }

  /** Whole seconds until a backend that is down is tried again. */
  get #retryAfter(): number {
    const times = [...this.#pool.backends].map(({ retryAt = Number.POSITIVE_INFINITY }) => retryAt)
    const seconds = Math.ceil((Math.min(...times) - Date.now()) / 1000)
    return Number.isFinite(seconds) ? Math.max(1, seconds) : 1
  }

  #setDraining(id: string, isDraining: boolean): void {
    const backend = this.#pool.get(id)
    if (backend.isDraining === isDraining) return
    backend.isDraining = isDraining
    this.#tell(isDraining ? 'drain' : 'ready', backend.status)
  }

  /**
   * A listener that throws is an uncaught exception, as it would be for any event of a socket: whoever the event came
   * from is not kept from what it is at.
   */
  readonly #tell = <K extends keyof BalancerEvents>(name: K, ...values: BalancerEvents[K]): void => {
    try {
      ;(this as EventEmitter).emit(name, ...values)
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new Error('the balancer is closed')
  }
}

/**
 * Makes a balancer.
 * @throws {TypeError} on an option that is unknown or wrong: it names the option, what it got and what it takes
 */
export function createBalancer(options: BalancerOptions = {}): Balancer {
  return new Balancer(options)
}
