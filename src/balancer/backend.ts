import { isDeepStrictEqual } from 'node:util'
import { type Connection, closeIdleBackends, type ProxyError } from '../proxy/index.ts'
import { isError, messageOf } from '../show.ts'
import type { BackendEvents } from './backend-events.ts'
import type { BackendSettings } from './backend-options.ts'
import type { BackendRules } from './backend-rules.ts'
import type { BackendStatus } from './backend-status.ts'
import { Drain, type Drainer } from './drain.ts'
import { Ejection } from './ejection.ts'
import { isTransient } from './failure.ts'
import { Health } from './health/index.ts'
import { History } from './history.ts'
import { addressOf, type BackendDest, isSamePlace } from './place.ts'
import type { Hash64 } from './ranking.ts'
import { hash64 } from './rendezvous.ts'
import { SlowStart } from './slow-start.ts'
import { type Bytes, Traffic } from './traffic.ts'
import { Weight } from './weight.ts'

/** What a `Route` exposes of its backend. */
export type BackendView = Pick<Backend, 'id' | 'status'>

/** A backend with its health and its open connections. */
export class Backend {
  #place: BackendDest
  readonly address: string
  readonly hash: Hash64
  readonly history = new History()
  readonly #drain = new Drain()
  #settings: BackendSettings
  readonly #events: BackendEvents
  #health: Health
  readonly #ejection: Ejection
  readonly #slowStart = new SlowStart(() => this.#events.changed())
  #isUp = true
  #since = Date.now()
  readonly #weight: Weight
  readonly #traffic = new Traffic()
  /** Places kept for requests that have waited for one. */
  #reserved = 0
  #failures = 0

  constructor(settings: BackendSettings, rules: BackendRules, events: BackendEvents) {
    this.#place = settings.place
    this.address = addressOf(settings.place)
    this.hash = hash64(settings.id)
    this.#settings = settings
    this.#events = events
    this.#weight = new Weight(settings.weight, this.#slowStart, this.history)
    this.#ejection = this.#createEjection()
    this.#useRules(rules)
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

  /** Less than the weight in force during a slow start. */
  get weight(): number {
    return this.#weight.effective
  }

  /** The operator has set a weight. */
  get isWeighed(): boolean {
    return this.#weight.isOperators
  }

  /** Sets or takes away the operator's weight. */
  setWeight(weight: number | undefined): void {
    this.#weight.setByOperator(weight)
  }

  get isBackup(): boolean {
    return this.#settings.backup
  }

  get isDraining(): boolean {
    return this.#drain.since !== undefined
  }

  /** Begins or ends a drain. The backend drains as long as anybody drains it. */
  setDraining(by: Drainer, drains: boolean): void {
    if (!this.#drain.set(by, drains)) return
    this.history.turned(drains ? 'draining' : 'ready', by)
    this.#events.changed()
    this.#events.drains(drains, by)
  }

  /** Up, and not ejected. */
  get isAvailable(): boolean {
    return this.#isUp && this.#ejection.until === undefined
  }

  /** Open connections, and reserved places. */
  get connections(): number {
    return this.#traffic.open + this.#reserved
  }

  /** ms until a backend that is down is probed next. */
  get retryIn(): number | undefined {
    return this.#health.retryIn
  }

  /** Accepts clients that return to it. */
  get acceptsReturning(): boolean {
    return this.isAvailable && this.connections < this.#settings.maxConnections
  }

  /** Accepts new clients. */
  get acceptsNew(): boolean {
    return this.acceptsReturning && !this.isDraining && this.weight > 0
  }

  get status(): BackendStatus {
    const { id, source, backup, weight: configuredWeight, maxConnections } = this.#settings
    const { retryIn } = this
    const { read, written } = this.#traffic.bytes
    return {
      id,
      address: this.address,
      source,
      state: this.#isUp ? 'up' : 'down',
      draining: this.isDraining,
      drainingSince: this.#drain.since,
      drainedBy: this.#drain.by,
      backup,
      weight: this.#weight.inForce,
      configuredWeight,
      effectiveWeight: this.weight,
      maxConnections,
      connections: this.#traffic.open,
      total: this.#traffic.total,
      failures: this.#failures,
      ejectedUntil: this.#ejection.until,
      ejections: this.#ejection.total,
      bytesRead: read,
      bytesWritten: written,
      since: this.#since,
      retryAt: retryIn === undefined ? undefined : Math.round(Date.now() + retryIn),
      lastError: this.history.lastError,
    }
  }

  /** Whether these settings describe this backend, and not another one with its id. */
  matches({ id, place }: BackendSettings): boolean {
    return id === this.id && isSamePlace(place, this.place)
  }

  /** Applies new settings with the same id and address. Renewed certificates take effect at the next connect. */
  adjust(settings: BackendSettings, rules: BackendRules): void {
    const isSame = isDeepStrictEqual(settings.place, this.#place)
    this.#settings = settings
    this.#weight.setByOptions(settings.weight)
    this.#useRules(rules)
    if (isSame) return
    closeIdleBackends(this.#place)
    this.#place = settings.place
    this.restartHealth(rules)
  }

  /** Replaces the health checks. The backend stays up or down until a check says otherwise. */
  restartHealth(rules: BackendRules): void {
    this.#health.stop()
    this.#health = this.#startHealth(rules)
    if (!this.#isUp) this.#health.failed(new Error(this.history.lastError?.message ?? 'down'))
  }

  /** Stops the health checks of a removed backend, and closes its idle connections. Others stay open. */
  remove(): void {
    this.stop()
    closeIdleBackends(this.#place)
  }

  /** Makes clients that it has not accepted yet try another backend. */
  abandonConnects(why: Error): void {
    this.#traffic.abandonConnects(why)
  }

  /** Stops the health checks and an ejection. Open connections stay open and keep counting. */
  stop(): void {
    this.#health.stop()
    this.#ejection.stop()
    this.#slowStart.stop()
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
    this.#traffic.routed(connection, since)
    this.#events.changed()
  }

  /** Makes room for a new connection within `maxConnections`, which counts idle ones too. */
  connecting(): void {
    const { maxConnections } = this.#settings
    if (maxConnections < Infinity) closeIdleBackends(this.#place, Math.max(0, maxConnections - this.#traffic.open))
  }

  connected(connection: Connection): void {
    this.#traffic.connected(connection)
  }

  closed(connection: Connection): void {
    if (this.#traffic.closed(connection)) this.#events.changed()
  }

  connectFailed(error: ProxyError, isHarmless = false): void {
    const cause = isError(error.cause) ? error.cause : error
    this.#failures++
    this.history.failed(cause)
    if (isHarmless || isTransient(cause)) return
    // The first failure takes it down. Others of that moment say no more.
    if (this.#isUp) this.#ejection.failed(cause)
    this.#health.failed(cause)
  }

  /** It has answered a request. */
  served(): void {
    this.#ejection.passed()
  }

  /** It gave a request no response, or one that is a failure. */
  misbehaved(cause: Error): void {
    this.#ejection.failed(cause)
  }

  /** Resets its open connections and returns how many there were. Idle connections to it close, too. */
  kill(): number {
    closeIdleBackends(this.#place)
    return this.#traffic.reset()
  }

  #useRules({ eject, slowStart }: BackendRules): void {
    this.#ejection.use(eject)
    this.#slowStart.use(slowStart)
  }

  #createEjection(): Ejection {
    return new Ejection({
      mayEject: () => this.#events.mayEject(),
      ejected: (cause) => {
        this.history.failed(cause)
        this.history.turned('ejected', cause)
        this.#events.changed()
        this.#events.ejected(cause)
      },
      returned: () => {
        this.#slowStart.begin()
        this.history.turned('returned')
        this.#events.changed()
        this.#events.returned()
      },
    })
  }

  #startHealth({ health, backoff }: BackendRules): Health {
    return new Health(this.place, health, backoff, {
      up: () => this.#setUp(true) && this.#events.up(),
      down: (cause) => {
        if (!this.#setUp(false, cause)) return
        this.history.failed(cause)
        closeIdleBackends(this.#place)
        this.#events.down(cause)
        this.abandonConnects(new Error(`the backend is down: ${messageOf(cause)}`, { cause }))
      },
      failed: (cause) => this.history.failed(cause),
      passed: (drains) => this.setDraining('check', drains),
      checked: (check) => this.history.checked(check),
    })
  }

  /** Returns whether the state changed. */
  #setUp(isUp: boolean, cause?: Error): boolean {
    if (this.#isUp === isUp) return false
    this.#isUp = isUp
    this.history.turned(isUp ? 'up' : 'down', cause)
    if (isUp) this.#slowStart.begin()
    this.#events.changed()
    this.#since = Date.now()
    return true
  }
}
