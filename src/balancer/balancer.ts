import { EventEmitter } from 'node:events'
import type { Head } from '../parser/index.ts'
import type { ClientInfo, Dest, ProxyError } from '../proxy/index.ts'
import { createAlgorithm } from './algorithm.ts'
import type { Backend, BackendStatus, BackendView } from './backend.ts'
import { BackendList } from './backend-list.ts'
import { type BackendOptions, type DnsOptions, validateBackend } from './backend-options.ts'
import { ConnectionTracker } from './connection-tracker.ts'
import type { BalancerEvents } from './events.ts'
import { isConnectFailure } from './failure.ts'
import { type BalancerOptions, type BalancerSettings, validateBalancer } from './options.ts'
import type { Route } from './route.ts'
import { Selection } from './selection.ts'
import { unavailable } from './unavailable.ts'

/**
 * The proxy tries 100 backends per connection. The balancer stops before that, so that it can answer with Retry-After.
 */
const MOST_TRIED = 98

/** A lookup hook for `createServer` and, with the sticky value, for `createStickyServer`. */
export interface BalancerLookup {
  (head: Head, client: ClientInfo): Route | undefined
  (head: Head, sticky: string | undefined, client: ClientInfo): Route | undefined
}

/**
 * Chooses a backend for each client. Pass `lookup` and `errback` to `createServer` or `createStickyServer`, or call
 * them from your own hooks, which may spread the result into another Dest.
 *
 * It tracks every proxy connection of the process until `close()`.
 */
export class Balancer extends EventEmitter<BalancerEvents> {
  readonly #tracker = new ConnectionTracker()
  readonly #list: BackendList
  #settings: BalancerSettings
  #selection: Selection<Backend>
  #isClosed = false

  /** @throws {TypeError} for an unknown or invalid option */
  constructor(options: BalancerOptions = {}) {
    const settings = validateBalancer(options)
    super()
    this.#settings = settings
    this.#selection = new Selection(createAlgorithm(settings.algorithm, Math.random))
    this.#list = new BackendList(settings, this.#emit, {
      created: (backend) => this.#tracker.track(backend),
      changed: (backend) => this.#selection.update(backend),
      rebuilt: (backends) => this.#selection.reset(backends),
    })
  }

  /**
   * Chooses the backend for a client: the one that its sticky value names, else the next one by the algorithm. Returns
   * undefined if none is available. If your hook awaits something after calling it, a backend may exceed its
   * `maxConnections`.
   * @throws {TypeError} if a `key` function returns something other than a string or nothing
   */
  readonly lookup: BalancerLookup = (head: Head, ...rest: [ClientInfo] | [string | undefined, ClientInfo]) => {
    const sticky = typeof rest[0] === 'string' ? rest[0] : undefined
    const client = rest.at(-1) as ClientInfo
    const key = this.#settings.algorithm === 'hash' ? this.#settings.keyOf(head, client) : ''
    const home = sticky === undefined ? undefined : this.#list.home(sticky)
    if (home?.acceptsReturning) return this.#route(home, [], key, true)
    return home && this.#settings.isPersistent ? undefined : this.#choose([], key)
  }

  /**
   * Chooses the next backend, among those not tried for this connection, after a failed connect. Returns a 503 response
   * with Retry-After if none is left. Returns nothing if a backend failed after it was sent the request: another backend
   * might fail, too.
   */
  readonly errback = (error: ProxyError, dest: Dest | undefined | null, head: Head): Route | Response | undefined => {
    if (error.requestSent && !isConnectFailure(error)) return undefined
    const backend = this.#tracker.backendOf(dest)
    if (backend && isConnectFailure(error)) {
      this.#tracker.connectFailed(error, backend)
      // A hook may have overwritten these properties.
      const { tried, key, isHome } = dest as { [K in keyof Route]?: unknown }
      const all = Array.isArray(tried) ? [...tried, backend] : [backend]
      const isOver = (isHome === true && this.#settings.isPersistent) || all.length > MOST_TRIED
      const next = isOver ? undefined : this.#choose(all, typeof key === 'string' ? key : '')
      if (next) return next
    }
    return unavailable(head, this.#retryAfter)
  }

  /** The status of each backend: a snapshot. */
  get backends(): BackendStatus[] {
    return [...this.#list.backends].map(({ status }) => status)
  }

  /** The status of removed backends that still have open connections. */
  get removed(): BackendStatus[] {
    return [...this.#list.removed].map(({ status }) => status)
  }

  /**
   * Adds a backend or a DNS name.
   * @throws {TypeError} for an unknown or invalid option, or an id in use
   * @throws {Error} after `close()`
   */
  add(options: BackendOptions | DnsOptions): void {
    this.#checkOpen()
    this.#list.add('backend', validateBackend('backend', options))
  }

  /**
   * Removes a backend by id. Its open connections stay open. A backend that came from the DNS stays removed until the
   * DNS no longer returns it. The id of a DNS name, such as 'dns:app.internal:3000', removes all its backends.
   * @throws {RangeError} for an unknown id
   */
  remove(id: string): void {
    this.#list.remove(id)
  }

  /**
   * Drains a backend: it accepts only clients that return to it.
   * @throws {RangeError} for an unknown id
   */
  drain(id: string): void {
    this.#setDraining(id, true)
  }

  /**
   * Ends a drain.
   * @throws {RangeError} for an unknown id
   */
  ready(id: string): void {
    this.#setDraining(id, false)
  }

  /**
   * Resets the open connections of a backend and returns how many there were.
   * @throws {RangeError} for an unknown id
   */
  kill(id: string): number {
    return this.#list.get(id).kill()
  }

  /**
   * Replaces all options. A backend with the same id, address, `tls` and `sendProxy` keeps its state, counters,
   * connections and drain. A DNS name keeps the backends it resolved to. If there are new DNS names, removed backends
   * stay until the first of these names resolves.
   * @throws {TypeError} for an unknown or invalid option; nothing has changed then
   * @throws {Error} after `close()`
   */
  update(options: BalancerOptions): void {
    this.#checkOpen()
    const settings = validateBalancer(options)
    if (settings.algorithm !== this.#settings.algorithm) {
      this.#selection = new Selection(createAlgorithm(settings.algorithm, Math.random))
    }
    this.#settings = settings
    this.#list.update(settings)
  }

  /** Resolves after the first look-up of every DNS name, successful or not. */
  async resolved(): Promise<void> {
    await this.#list.resolved()
  }

  /** Stops health checks, look-ups and counting. Open connections stay open. */
  close(): void {
    this.#isClosed = true
    this.#list.stop()
    this.#tracker.stop()
  }

  #choose(tried: readonly BackendView[], key: string): Route | undefined {
    const backend = this.#selection.choose(key, tried)
    return backend && this.#route(backend, tried, key, false)
  }

  #route(backend: Backend, tried: readonly BackendView[], key: string, isHome: boolean): Route {
    return { ...backend.place, sticky: this.#list.sticky(backend), backend, tried, key, isHome }
  }

  /** Whole seconds until the next probe of a backend that is down. */
  get #retryAfter(): number {
    let least = Number.POSITIVE_INFINITY
    for (const { retryIn } of this.#list.backends) if (retryIn !== undefined) least = Math.min(least, retryIn)
    return Number.isFinite(least) ? Math.max(1, Math.ceil(least / 1000)) : 1
  }

  #setDraining(id: string, isDraining: boolean): void {
    const backend = this.#list.get(id)
    if (backend.isDraining === isDraining) return
    backend.isDraining = isDraining
    this.#emit(isDraining ? 'drain' : 'ready', backend.status)
  }

  /**
   * Emits an event. An exception in a listener is rethrown in the next tick, as an uncaught exception: it must not
   * interrupt the code that emits.
   */
  readonly #emit = <K extends keyof BalancerEvents>(name: K, ...values: BalancerEvents[K]): void => {
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
 * Creates a `Balancer`.
 * @throws {TypeError} for an unknown or invalid option
 */
export function createBalancer(options: BalancerOptions = {}): Balancer {
  return new Balancer(options)
}
