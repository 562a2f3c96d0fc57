import { isDeepStrictEqual } from 'node:util'
import type { Backoff } from '../backoff.ts'
import { type Connection, closeIdleBackends, type ProxyError } from '../proxy/index.ts'
import { isError, messageOf } from '../show.ts'
import type { BackendSettings } from './backend-options.ts'
import type { BackendStatus } from './backend-status.ts'
import { isTransient } from './failure.ts'
import { Health, type HealthSettings } from './health/index.ts'
import { addressOf, type BackendDest, isSamePlace } from './place.ts'
import type { Hash64 } from './ranking.ts'
import { hash64 } from './rendezvous.ts'

export interface HealthConfig {
  readonly health: HealthSettings | undefined
  readonly backoff: Backoff
}

export interface BackendEvents {
  /** Its availability, weight or number of connections has changed. */
  changed(): void
  up(): void
  down(cause: Error): void
}

/** Bytes that a connection has moved. */
export interface Bytes {
  readonly read: number
  readonly written: number
}

/** What a `Route` exposes of its backend. */
export type BackendView = Pick<Backend, 'id' | 'status'>

/** A backend with its health and its open connections. */
export class Backend {
  #place: BackendDest
  readonly address: string
  readonly hash: Hash64
  #drainingSince: number | undefined
  #settings: BackendSettings
  readonly #events: BackendEvents
  #health: Health
  #isUp = true
  #since = Date.now()
  #lastError: BackendStatus['lastError']
  /** Connections routed here. */
  readonly #open = new Map<Connection, { isConnected: boolean; since: Bytes }>()
  /** Places kept for requests that have waited for one. */
  #reserved = 0
  #total = 0
  #failures = 0
  /** Bytes of closed connections. */
  #bytesRead = 0
  #bytesWritten = 0

  constructor(settings: BackendSettings, rules: HealthConfig, events: BackendEvents) {
    this.#place = settings.place
    this.address = addressOf(settings.place)
    this.hash = hash64(settings.id)
    this.#settings = settings
    this.#events = events
    this.#health = this.#startHealth(rules)
  }

  get place(): BackendDest {
    return this.#place
  }

  get id(): string {
    return this.#settings.id
  }

  get settings(): BackendSettings {
    return this.#settings
  }

  get weight(): number {
    return this.#settings.weight
  }

  get isBackup(): boolean {
    return this.#settings.backup
  }

  get isDraining(): boolean {
    return this.#drainingSince !== undefined
  }

  set isDraining(isDraining: boolean) {
    this.#drainingSince = isDraining ? (this.#drainingSince ?? Date.now()) : undefined
    this.#events.changed()
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Open connections, and reserved places. */
  get connections(): number {
    return this.#open.size + this.#reserved
  }

  /** ms until a backend that is down is probed next. */
  get retryIn(): number | undefined {
    return this.#health.retryIn
  }

  /** Accepts clients that return to it. */
  get acceptsReturning(): boolean {
    return this.#isUp && this.connections < this.#settings.maxConnections
  }

  /** Accepts new clients. */
  get acceptsNew(): boolean {
    return this.acceptsReturning && !this.isDraining && this.weight > 0
  }

  get status(): BackendStatus {
    const { id, source, backup, weight, maxConnections } = this.#settings
    const { retryIn } = this
    let [bytesRead, bytesWritten] = [this.#bytesRead, this.#bytesWritten]
    for (const [connection, { isConnected, since }] of this.#open) {
      if (!isConnected) continue
      bytesRead += connection.bytesRead - since.read
      bytesWritten += connection.bytesWritten - since.written
    }
    return {
      id,
      address: this.address,
      source,
      state: this.#isUp ? 'up' : 'down',
      draining: this.isDraining,
      drainingSince: this.#drainingSince,
      backup,
      weight,
      maxConnections,
      connections: this.#open.size,
      total: this.#total,
      failures: this.#failures,
      bytesRead,
      bytesWritten,
      since: this.#since,
      retryAt: retryIn === undefined ? undefined : Math.round(Date.now() + retryIn),
      lastError: this.#lastError && { ...this.#lastError },
    }
  }

  /** Whether these settings describe this backend, and not another one with its id. */
  matches({ id, place }: BackendSettings): boolean {
    return id === this.id && isSamePlace(place, this.place)
  }

  /** Applies new settings with the same id and address. Renewed certificates take effect at the next connect. */
  adjust(settings: BackendSettings, rules: HealthConfig): void {
    const isSame = isDeepStrictEqual(settings.place, this.#place)
    this.#settings = settings
    if (isSame) return
    closeIdleBackends(this.#place)
    this.#place = settings.place
    this.restartHealth(rules)
  }

  /** Replaces the health checks. The backend stays up or down until a check says otherwise. */
  restartHealth(rules: HealthConfig): void {
    this.#health.stop()
    this.#health = this.#startHealth(rules)
    if (!this.#isUp) this.#health.failed(new Error(this.#lastError?.message ?? 'down'))
  }

  /** Stops the health checks of a removed backend, and closes its idle connections. Others stay open and keep counting. */
  remove(): void {
    this.stop()
    closeIdleBackends(this.#place)
  }

  /** Stops the health checks. Open connections stay open and keep counting. */
  stop(): void {
    this.#health.stop()
  }

  /** Keeps a place until the returned function is called. */
  reserve(): () => void {
    this.#reserved++
    this.#events.changed()
    return () => {
      this.#reserved--
      this.#events.changed()
    }
  }

  /** `since`: what the connection moved before, for other exchanges. */
  routed(connection: Connection, since: Bytes = { read: 0, written: 0 }): void {
    this.#open.set(connection, { isConnected: false, since })
    this.#events.changed()
  }

  /** Makes room for a new connection within `maxConnections`, which counts idle ones too. */
  connecting(): void {
    const { maxConnections } = this.#settings
    if (maxConnections < Infinity) closeIdleBackends(this.#place, Math.max(0, maxConnections - this.#open.size))
  }

  connected(connection: Connection): void {
    const open = this.#open.get(connection)
    if (open) open.isConnected = true
    this.#total++
  }

  closed(connection: Connection): void {
    // A connection that never got here exchanged its bytes elsewhere.
    const open = this.#open.get(connection)
    if (open?.isConnected) {
      this.#bytesRead += connection.bytesRead - open.since.read
      this.#bytesWritten += connection.bytesWritten - open.since.written
    }
    if (this.#open.delete(connection)) this.#events.changed()
  }

  /** Records a failed connect. */
  connectFailed(error: ProxyError): void {
    const cause = isError(error.cause) ? error.cause : error
    this.#failures++
    this.#recordError(cause)
    if (!isTransient(cause)) this.#health.failed(cause)
  }

  /** Resets its open connections and returns how many there were. Idle connections to it close, too. */
  kill(): number {
    closeIdleBackends(this.#place)
    const open = [...this.#open.keys()]
    for (const connection of open) connection.destroy()
    return open.length
  }

  /** Makes connections that are still connecting try another backend. No bytes have been sent yet. */
  #abandonConnects(cause: Error): void {
    for (const [connection, { isConnected }] of [...this.#open]) {
      if (!isConnected) connection.giveUp(new Error(`the backend is down: ${messageOf(cause)}`, { cause }))
    }
  }

  #startHealth({ health, backoff }: HealthConfig): Health {
    return new Health(this.place, health, backoff, {
      up: () => this.#setUp(true) && this.#events.up(),
      down: (cause) => {
        if (!this.#setUp(false)) return
        this.#recordError(cause)
        closeIdleBackends(this.#place)
        this.#events.down(cause)
        this.#abandonConnects(cause)
      },
      failed: (cause) => this.#recordError(cause),
    })
  }

  /** Returns whether the state changed. */
  #setUp(isUp: boolean): boolean {
    if (this.#isUp === isUp) return false
    this.#isUp = isUp
    this.#events.changed()
    this.#since = Date.now()
    return true
  }

  #recordError(cause: Error): void {
    this.#lastError = { message: messageOf(cause), at: Date.now() }
  }
}
