import { EventEmitter } from 'node:events'
import type { Head } from '../parser/index.ts'
import { after, type ClientInfo, type Dest, type ProxyError } from '../proxy/index.ts'
import { optional, validateOptions } from '../validate.ts'
import type { Backend, BackendView } from './backend.ts'
import { BackendList } from './backend-list.ts'
import { type BackendOptions, type DnsOptions, validateBackend, WEIGHT } from './backend-options.ts'
import type { BackendStatus } from './backend-status.ts'
import { ConnectionTracker } from './connection-tracker.ts'
import type { EjectSettings } from './eject-options.ts'
import { type BalancerEvents, emitOn } from './events.ts'
import { isConnectFailure, isUnanswered } from './failure.ts'
import type { BackendHistory } from './history.ts'
import { type BalancerOptions, type BalancerSettings, validateBalancer } from './options.ts'
import { Outcomes } from './outcomes.ts'
import { type Protocol, protocolOf } from './protocol.ts'
import { Queue, type Queued } from './queue.ts'
import type { QueueSettings } from './queue-options.ts'
import { type BalancerLookup, historyOf, type Maybe, type Route, routeTo } from './route.ts'
import { Selections } from './selections.ts'
import { unavailable } from './unavailable.ts'

/**
 * The proxy tries 100 backends per connection. The balancer stops before that, so that it can answer with Retry-After.
 */
const MOST_TRIED = 98

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
  #selections: Selections
  #queue: Queue | undefined
  /** With `eject`. */
  #outcomes: Outcomes | undefined
  #isClosed = false

  /** @throws {TypeError} for an unknown or invalid option */
  constructor(options: BalancerOptions = {}) {
    const settings = validateBalancer(options)
    super()
    this.#settings = settings
    this.#selections = new Selections(settings.algorithm)
    this.#list = new BackendList(settings, emitOn(this), {
      created: (backend) => this.#tracker.track(backend),
      changed: (backend) => this.#changed(backend),
      rebuilt: (backends) => this.#rebuilt(backends),
    })
    this.#useQueue(settings.queue)
    this.#judgeBy(settings.eject)
  }

  /**
   * Chooses the backend for a client: the one that its sticky value names, else the next one by the algorithm. Returns
   * undefined if none is available; with `queue`, a promise that resolves when one is, or with undefined. If your hook
   * awaits something after calling it, a backend may exceed its `maxConnections`.
   * @throws {TypeError} if a `key` function returns something other than a string or nothing
   */
  readonly lookup: BalancerLookup = (head: Head, ...rest: [ClientInfo] | [string | undefined, ClientInfo]) => {
    const sticky = typeof rest[0] === 'string' ? rest[0] : undefined
    const client = rest.at(-1) as ClientInfo
    const key = this.#settings.algorithm === 'hash' ? this.#settings.keyOf(head, client) : ''
    const protocol = protocolOf(head)
    const home = sticky === undefined ? undefined : this.#list.home(sticky, protocol)
    if (home?.acceptsReturning) return this.#route(home, { key, isHome: true })
    // As in haproxy: with a queue, a client waits for its home while that is up.
    const { isPersistent } = this.#settings
    const isBound = home && (isPersistent || (this.#queue && home.isAvailable))
    const route = isBound ? undefined : this.#choose(protocol, { key })
    const next = route ?? this.#wait({ protocol, home: isBound ? home : undefined, key, waited: 0 }, client)
    // As in haproxy: it goes elsewhere if the queue is full.
    return next ?? (isBound && !isPersistent ? this.#choose(protocol, { key }) : undefined)
  }

  /**
   * Chooses the next backend, among those not tried for this connection, after a failed connect. Returns a 503 response
   * with Retry-After if none is left. If a backend failed after it was sent the request, it returns another one as often
   * as `retries` says, then nothing.
   */
  readonly errback = (
    error: ProxyError,
    dest: Dest | undefined | null,
    head: Head,
  ): Maybe<Route | Response | undefined> => {
    const backend = this.#tracker.backendOf(dest)
    if (backend && isUnanswered(error)) return this.#retry(backend, dest!)
    if (error.requestSent && !isConnectFailure(error)) return undefined
    if (!backend || !isConnectFailure(error)) return unavailable(head, this.#list.retryAfter)
    const protocol = protocolOf(head)
    this.#tracker.connectFailed(error, backend, protocol)
    const { isHome, ...before } = historyOf(dest!)
    const { key, waited, retries } = before
    const tried = [...before.tried, backend]
    const home = isHome && this.#settings.isPersistent && this.#list.includes(backend) ? backend : undefined
    if (tried.length > MOST_TRIED) return unavailable(head, this.#list.retryAfter)
    const next = home ? undefined : this.#choose(protocol, { ...before, tried })
    if (next) return next
    return after(this.#waitAgain({ protocol, home, key, waited }, error, { tried, retries }), (route) => {
      return route ?? unavailable(head, this.#list.retryAfter)
    })
  }

  /** The backend of a Dest that came from this balancer, or of a copy. Undefined for other values. */
  backendOf(dest: Dest | undefined): BackendView | undefined {
    return this.#tracker.backendOf(dest)
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
   * Removes a backend by id. Its open connections stay open. Clients that it has not accepted within a second try another
   * one, if any takes new clients. A backend that came from the DNS stays removed until the DNS no longer returns it. The
   * id of a DNS name, such as 'dns:app.internal:3000', removes all its backends.
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
    this.#list.get(id).setDraining('operator', true)
  }

  /**
   * Ends a drain by `drain()`. Health checks with a `drainStatus` may still drain the backend.
   * @throws {RangeError} for an unknown id
   */
  ready(id: string): void {
    this.#list.get(id).setDraining('operator', false)
  }

  /**
   * Resets the open connections of a backend and returns how many there were.
   * @throws {RangeError} for an unknown id
   */
  kill(id: string): number {
    return this.#list.get(id).kill()
  }

  /**
   * Sets the weight of a backend, from 0 to 65535, in place of that of its options. It takes effect at once, and an
   * `update` keeps it. `undefined` takes it away. With weight 0 the backend accepts only clients that return to it.
   * @throws {TypeError} for an invalid weight
   * @throws {RangeError} for an unknown id
   */
  setWeight(id: string, weight: number | undefined): void {
    validateOptions('', { weight: optional(WEIGHT) }, { weight })
    this.#list.setWeight(id, weight)
  }

  /**
   * The last 10 checks and the last 20 transitions of a backend, the newest first: a copy.
   * @throws {RangeError} for an unknown id
   */
  history(id: string): BackendHistory {
    return this.#list.get(id).history.all
  }

  /**
   * Replaces all options. A backend with the same id, address, `tls`, `sendProxy` and `hostHeader` keeps its state,
   * counters, connections, drain and weight. A DNS name keeps the backends it resolved to. If there are new names,
   * removed backends stay until the first of them resolves.
   * @throws {TypeError} for an unknown or invalid option; nothing has changed then
   * @throws {Error} after `close()`
   */
  update(options: BalancerOptions): void {
    this.#checkOpen()
    const settings = validateBalancer(options)
    if (settings.algorithm !== this.#settings.algorithm) this.#selections = new Selections(settings.algorithm)
    this.#settings = settings
    this.#useQueue(settings.queue)
    this.#judgeBy(settings.eject)
    this.#list.update(settings)
  }

  /** Resolves after the first look-up of every DNS name, successful or not. */
  async resolved(): Promise<void> {
    await this.#list.resolved()
  }

  /** Number of requests that wait for a backend. */
  get queued(): number {
    return this.#queue?.length ?? 0
  }

  /** Stops health checks, look-ups and counting. Open connections stay open. Requests that wait get a 503. */
  close(): void {
    this.#isClosed = true
    this.#useQueue(undefined)
    this.#judgeBy(undefined)
    this.#list.stop()
    this.#tracker.stop()
  }

  /** Another backend for a request that got no response. The engine sends it only if that is safe. */
  #retry(backend: Backend, dest: Dest): Route | undefined {
    const { isHome, ...before } = historyOf(dest)
    const isOver = before.retries >= this.#settings.retries || (isHome && this.#settings.isPersistent)
    if (isOver) return undefined
    // An HTTP/2 connection is not sent again.
    return this.#choose('h1', { ...before, tried: [...before.tried, backend], retries: before.retries + 1 })
  }

  #choose(protocol: Protocol, how: Partial<Route>): Route | undefined {
    const backend = this.#selections.choose(protocol, how.key ?? '', how.tried ?? [])
    return backend && this.#route(backend, how)
  }

  #route(backend: Backend, how: Partial<Route>): Route {
    return routeTo(backend, this.#list.sticky(backend), how)
  }

  #wait(queued: Queued, of: ClientInfo | ProxyError, how: Partial<Route> = {}): Maybe<Route | undefined> {
    if (!this.#list.hasFor(queued.protocol)) return undefined
    const granted = this.#queue?.wait(queued, of)
    return granted?.then((given) => {
      if (!given) return undefined
      const { backend, isHome, waited } = given
      return this.#route(backend, { ...how, key: queued.key, isHome, waited })
    })
  }

  /** Does not wait if only tried backends are free: they are up, and fail for another reason. */
  #waitAgain(queued: Queued, error: ProxyError, how: Partial<Route>): Maybe<Route | undefined> {
    const free = queued.home ? queued.home.acceptsReturning : this.#selections.choose(queued.protocol, queued.key, [])
    return free ? undefined : this.#wait(queued, error, how)
  }

  #useQueue(settings: QueueSettings | undefined): void {
    if (settings && this.#queue) this.#queue.settings = settings
    else {
      this.#queue?.close()
      this.#queue = settings && new Queue(settings, ({ protocol, key }) => this.#selections.choose(protocol, key, []))
    }
  }

  #judgeBy(settings: EjectSettings | undefined): void {
    if (settings && this.#outcomes) this.#outcomes.settings = settings
    else {
      this.#outcomes?.stop()
      this.#outcomes = settings && new Outcomes(settings, (dest) => this.#tracker.backendOf(dest))
    }
  }

  #changed(backend: Backend): void {
    this.#selections.update(backend)
    if (backend.isAvailable) this.#queue?.serve(backend)
    else if (!this.#settings.isPersistent) this.#queue?.release(backend)
  }

  #rebuilt(backends: Iterable<Backend>): void {
    this.#selections.reset(backends)
    if (!this.queued) return
    const all = new Set(this.#list.backends)
    for (const home of this.#queue!.homes) {
      if (!all.has(home) || !(home.isAvailable || this.#settings.isPersistent)) this.#queue!.release(home)
    }
    for (const backend of all) this.#queue!.serve(backend)
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
