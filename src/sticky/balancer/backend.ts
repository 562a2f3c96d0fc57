import type tls from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
import { type Connection, hostPort, messageOf, type ProxyError } from '../../proxy/index.ts'
import type { Backoff } from '../backoff.ts'
import { Health, type HealthSettings } from '../health/index.ts'
import { type Seed, seedOf } from './algorithm.ts'
import { isPassing } from './failure.ts'

interface Common {
  /** Its share, an integer from 0 to 65535; 0: only clients that come back. Default 1. */
  weight?: number | undefined
  /** Most connections of this process at a time. Default: no limit. */
  maxConnections?: number | undefined
  /** Taken only where no other backend can be. Default false. */
  backup?: boolean | undefined
  /** Speak TLS to it: true, or the options of `tls.connect`. Default false. */
  tls?: boolean | tls.ConnectionOptions | undefined
  /** Tell it who the client is, by a PROXY header of this version. Default: not. */
  sendProxy?: 1 | 2 | undefined
}

/** One backend: a TCP port (of 127.0.0.1 unless it says other) or a Unix socket. */
export type BackendOptions = ({ port: number; host?: string } | { path: string }) &
  Common & {
    /** Its name, the same on every machine. Default: its address, as 'host:port', '[::1]:port' or 'unix:/path'. */
    id?: string
  }

/** A name of the DNS that stands for a list of backends. */
export type DnsOptions = ({ dns: string; port: number } | { srv: string }) & Common

/** What is known of a backend: a copy, as of now. */
export interface BackendStatus {
  id: string
  /** 'host:port', '[::1]:port' or 'unix:/path'. */
  address: string
  /** The name that the DNS gave it under, as 'dns:app.internal:3000' or 'srv:_http._tcp.app.internal'. */
  source: string | undefined
  state: 'up' | 'down'
  draining: boolean
  backup: boolean
  weight: number
  maxConnections: number
  /** Open now. */
  connections: number
  /** Reached so far. */
  total: number
  /** Connects for clients that failed. */
  failures: number
  /** Bytes received from its clients; live. */
  bytesRead: number
  /** Bytes sent to its clients; live. */
  bytesWritten: number
  /** ms since 1970 of the last change of `state`. */
  since: number
  /** ms since 1970 of the next probe of one that is down. */
  retryAt: number | undefined
  /** The last failure of a connect or of a check. */
  lastError: { message: string; at: number } | undefined
}

/** Where a backend is, as a Dest says it. */
export type Place = ({ port: number; host: string } | { path: string }) & {
  tls?: boolean | tls.ConnectionOptions | undefined
  sendProxy?: 1 | 2 | undefined
}

/** A backend's options, checked, with each default in its place. */
export interface BackendSettings {
  readonly id: string
  readonly place: Place
  readonly source: string | undefined
  readonly weight: number
  readonly maxConnections: number
  readonly backup: boolean
}

export interface HealthRules {
  readonly health: HealthSettings | undefined
  readonly backoff: Backoff
}

export interface BackendEvents {
  up(): void
  down(cause: Error): void
}

/** What the Dest of a balancer shows of its backend. */
export type BackendView = Pick<Backend, 'id' | 'status'>

/** One backend, and the connections that it has. */
export class Backend {
  readonly place: Place
  readonly address: string
  readonly seed: Seed
  isDraining = false
  #settings: BackendSettings
  readonly #events: BackendEvents
  #health: Health
  #isUp = true
  #since = Date.now()
  #lastError: BackendStatus['lastError']
  /** Those that have it as their destination; true for those that have reached it. */
  readonly #open = new Map<Connection, boolean>()
  #total = 0
  #failures = 0
  /** Bytes of the connections that are over. */
  #bytesRead = 0
  #bytesWritten = 0

  constructor(settings: BackendSettings, rules: HealthRules, events: BackendEvents) {
    this.place = settings.place
    this.address = addressOf(settings.place)
    this.seed = seedOf(settings.id)
    this.#settings = settings
    this.#events = events
    this.#health = this.#watch(rules)
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

  get connections(): number {
    return this.#open.size
  }

  get retryAt(): number | undefined {
    return this.#health.retryAt
  }

  /** Takes clients whose home it is. */
  get takesBack(): boolean {
    return this.#isUp && this.#open.size < this.#settings.maxConnections
  }

  /** Takes any client. */
  get takesNew(): boolean {
    return this.takesBack && !this.isDraining && this.weight > 0
  }

  get status(): BackendStatus {
    const { id, source, backup, weight, maxConnections } = this.#settings
    let [bytesRead, bytesWritten] = [this.#bytesRead, this.#bytesWritten]
    for (const [connection, isReached] of this.#open) {
      if (!isReached) continue
      bytesRead += connection.bytesRead
      bytesWritten += connection.bytesWritten
    }
    return {
      id,
      address: this.address,
      source,
      state: this.#isUp ? 'up' : 'down',
      draining: this.isDraining,
      backup,
      weight,
      maxConnections,
      connections: this.connections,
      total: this.#total,
      failures: this.#failures,
      bytesRead,
      bytesWritten,
      since: this.#since,
      retryAt: this.retryAt,
      lastError: this.#lastError && { ...this.#lastError },
    }
  }

  /** Whether these settings are of this backend, and not of another with its id. */
  isMeantBy({ id, place }: BackendSettings): boolean {
    return id === this.id && (place === this.place || isDeepStrictEqual(place, this.place))
  }

  /** Takes on other settings for the same id and place. */
  adjust(settings: BackendSettings): void {
    this.#settings = settings
  }

  /** Is watched by other rules from now on; it stays up, or down, until these say other. */
  rewatch(rules: HealthRules): void {
    this.#health.stop()
    this.#health = this.#watch(rules)
    if (!this.#isUp) this.#health.failed(new Error(this.#lastError?.message ?? 'down'))
  }

  /** Is no longer watched. What is open stays open, and is counted. */
  stop(): void {
    this.#health.stop()
  }

  routed(connection: Connection): void {
    this.#open.set(connection, false)
  }

  reached(connection: Connection): void {
    this.#open.set(connection, true)
    this.#total++
  }

  left(connection: Connection): void {
    // What came of a client that never reached it was not for it.
    if (this.#open.get(connection)) {
      this.#bytesRead += connection.bytesRead
      this.#bytesWritten += connection.bytesWritten
    }
    this.#open.delete(connection)
  }

  /** A connect for a client failed. */
  failed(error: ProxyError): void {
    const cause = error.cause instanceof Error ? error.cause : error
    this.#failures++
    this.#note(cause)
    if (!isPassing(cause)) this.#health.failed(cause)
  }

  /** Resets what is open, and returns how many that were. */
  kill(): number {
    const open = [...this.#open.keys()]
    for (const connection of open) connection.destroy()
    return open.length
  }

  #watch({ health, backoff }: HealthRules): Health {
    return new Health(this.place, health, backoff, {
      up: () => this.#turn(true) && this.#events.up(),
      down: (cause) => {
        if (!this.#turn(false)) return
        this.#note(cause)
        this.#events.down(cause)
      },
      failed: (cause) => this.#note(cause),
    })
  }

  /** Whether that was a change. */
  #turn(isUp: boolean): boolean {
    if (this.#isUp === isUp) return false
    this.#isUp = isUp
    this.#since = Date.now()
    return true
  }

  #note(cause: Error): void {
    this.#lastError = { message: messageOf(cause), at: Date.now() }
  }
}

export function addressOf(place: Place): string {
  return 'path' in place ? `unix:${place.path}` : hostPort(place.host, place.port)
}
