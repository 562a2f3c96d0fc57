import { type ClientInfo, type Connection, followErrors, type ProxyError, subscribe } from '../proxy/index.ts'
import type { Backend } from './backend.ts'
import { PROTOCOLS, type Protocol, speaks } from './protocol.ts'
import type { QueueSettings } from './queue-options.ts'

/** A request that no backend can take now. */
export interface Queued {
  readonly protocol: Protocol
  /** The only backend that may serve it. Undefined: any that speaks the protocol. */
  readonly home: Backend | undefined
  readonly key: string
  /** ms that it has waited before. */
  readonly waited: number
}

/** The backend for a request that has waited. */
export interface Granted {
  readonly backend: Backend
  /** Whether the backend is the home that it has waited for. */
  readonly isHome: boolean
  /** ms that it has waited, earlier waits included. */
  readonly waited: number
}

interface Waiter {
  /** Position in the order of arrival. */
  readonly number: number
  readonly protocol: Protocol
  readonly key: string
  home: Backend | undefined
  readonly connection: Connection | undefined
  /** Ends the wait; without a backend if there was none in time. */
  end(backend?: Backend): void
}

type Choose = (queued: Pick<Queued, 'protocol' | 'key'>) => Backend | undefined

/**
 * Requests that wait for a backend, in order of arrival. While any waits, each backend that it may use is down or full.
 * Serving one costs no more than a choice.
 */
export class Queue {
  settings: QueueSettings
  /** Chooses a backend with a free place. */
  readonly #choose: Choose
  /** Those that any backend which speaks their protocol may serve. */
  readonly #waiters: Record<Protocol, Set<Waiter>> = { h1: new Set(), h2: new Set() }
  readonly #ofHomes = new Map<Backend, Set<Waiter>>()
  readonly #ofConnections = new Map<Connection, Waiter>()
  /** The connection of a client, and of an error that errback gets. */
  readonly #connections = new WeakMap<ClientInfo | ProxyError, Connection>()
  #length = 0
  #arrivals = 0
  #isServing = false
  readonly #stops = [
    subscribe('start', ({ connection }) => void this.#connections.set(connection.client, connection)),
    followErrors(({ connection, error }) => void this.#connections.set(error, connection)),
    subscribe('close', ({ connection }) => this.#ofConnections.get(connection)?.end()),
  ]

  constructor(settings: QueueSettings, choose: Choose) {
    this.settings = settings
    this.#choose = choose
  }

  /** Number of requests that wait. */
  get length(): number {
    return this.#length
  }

  /**
   * Waits for a backend. `of` is what the hook got: it says whose connection ends the wait. Resolves with undefined if
   * none is free in time, or if the client has left. Returns undefined if the queue is full.
   */
  wait({ protocol, home, key, waited }: Queued, of: ClientInfo | ProxyError): Promise<Granted | undefined> | undefined {
    const { timeout, size } = this.settings
    if (this.#length >= size || waited >= timeout) return undefined
    const connection = this.#connections.get(of)
    if (connection?.state === 'Closed') return undefined
    const since = performance.now()
    return new Promise((resolve) => {
      const end = (backend?: Backend) => {
        clearTimeout(timer)
        if (!this.#remove(waiter)) return
        if (backend) reserve(backend)
        const isHome = waiter.home !== undefined
        resolve(backend && { backend, isHome, waited: waited + performance.now() - since })
      }
      const waiter: Waiter = { number: this.#arrivals++, protocol, key, home, connection, end }
      const timer = setTimeout(end, timeout - waited).unref()
      this.#add(waiter)
      // May end the wait at once.
      connection?.abortOnClose()
    })
  }

  /** Gives the places of a backend to those that have waited longest. Call it when the backend may have one. */
  serve(backend: Backend): void {
    if (this.#length === 0 || this.#isServing) return
    this.#isServing = true
    while (backend.acceptsReturning) {
      const waiter = this.#first(backend)
      const chosen = waiter && (waiter.home ?? this.#choose(waiter))
      if (!chosen) break
      waiter.end(chosen)
    }
    this.#isServing = false
  }

  /** The backends that some wait for. */
  get homes(): Backend[] {
    return [...this.#ofHomes.keys()]
  }

  /** Lets those that wait for this home go to any backend. */
  release(home: Backend): void {
    const waiters = [...(this.#ofHomes.get(home) ?? [])]
    if (waiters.length === 0) return
    for (const waiter of waiters) {
      this.#remove(waiter)
      waiter.home = undefined
      this.#add(waiter)
    }
    for (const protocol of PROTOCOLS) {
      this.#waiters[protocol] = new Set([...this.#waiters[protocol]].sort((a, b) => a.number - b.number))
      this.#serveAll(this.#waiters[protocol])
    }
  }

  /** Ends all waits without a backend. */
  close(): void {
    for (const stop of this.#stops) stop()
    const all = [...Object.values(this.#waiters), ...this.#ofHomes.values()]
    for (const waiters of all) for (const waiter of waiters) waiter.end()
  }

  /** The first one that a backend may serve. */
  #first(backend: Backend): Waiter | undefined {
    const sets = [this.#ofHomes.get(backend)]
    if (backend.acceptsNew) {
      for (const protocol of PROTOCOLS) if (speaks(backend, protocol)) sets.push(this.#waiters[protocol])
    }
    let first: Waiter | undefined
    for (const set of sets) {
      const one: Waiter | undefined = set?.values().next().value
      if (one && (!first || one.number < first.number)) first = one
    }
    return first
  }

  /** Gives backends to those that have waited longest, as long as there are any. */
  #serveAll(waiters: Iterable<Waiter>): void {
    for (const waiter of waiters) {
      const backend = this.#choose(waiter)
      if (!backend) return
      waiter.end(backend)
    }
  }

  #add(waiter: Waiter): void {
    const { home, connection } = waiter
    this.#length++
    if (connection) this.#ofConnections.set(connection, waiter)
    if (!home) return void this.#waiters[waiter.protocol].add(waiter)
    const waiters = this.#ofHomes.get(home) ?? new Set()
    this.#ofHomes.set(home, waiters.add(waiter))
  }

  /** Returns whether it was waiting. */
  #remove(waiter: Waiter): boolean {
    const { home, connection } = waiter
    const waiters = home ? this.#ofHomes.get(home) : this.#waiters[waiter.protocol]
    if (!waiters?.delete(waiter)) return false
    this.#length--
    if (home && waiters.size === 0) this.#ofHomes.delete(home)
    if (connection) this.#ofConnections.delete(connection)
    return true
  }
}

/** Keeps a place at a backend until the proxy has connected the request, which takes no more than this turn. */
function reserve(backend: Backend): void {
  setImmediate(backend.reserve())
}
