import net from 'node:net'
import type tls from 'node:tls'
import { show } from '../show.ts'
import type { BackendConnection } from './backend-connection.ts'
import { type Dest, readDest, type StreamTarget } from './dest.ts'
import type { PoolOptions } from './options.ts'
import { TlsSessions } from './tls-sessions.ts'

/** ms between two checks for connections that have been idle for too long. */
const SWEEP_MS = 1_000

/** The pools of this process that have idle connections. */
const pools = new Set<Pool>()

/**
 * Closes idle connections to the address of a Dest, in all servers of this process with `requests: 'every'`. Call it when
 * a backend goes away. Connections in use stay open. `keep`: number of idle connections that may stay. Those that end
 * last stay.
 * @throws {TypeError} if it is no Dest, or `keep` is no integer from 0
 */
export function closeIdleBackends(dest: Dest, keep = 0): void {
  const target = readDest(dest)
  if (!target) throw new TypeError(`dest: expected a Dest, got ${show(dest)}`)
  if (!Number.isInteger(keep) || keep < 0)
    throw new TypeError(`keep: expected an integer (0 or more), got ${show(keep)}`)
  if (target.kind === 'server') return
  const place = placeOf(target)
  const idle = [...pools].flatMap((pool) => pool.idleAt(place))
  if (idle.length <= keep) return
  idle.sort((one, other) => one.idleUntil - other.idleUntil)
  for (const connection of idle.slice(0, idle.length - keep)) connection.ended!(connection)
}

/** The idle connections to a destination. */
interface Idle {
  /** The most recently used one is last. */
  readonly shared: BackendConnection[]
  /** Each belongs to one client, and closes with it. */
  readonly private: Set<BackendConnection>
}

/** Idle connections to backends, by destination. A byte or an end from the backend destroys an idle connection. */
export class Pool {
  readonly #settings: Required<PoolOptions>
  /** By key. */
  readonly #idle = new Map<string, Idle>()
  /** TLS sessions of connections with the same keys. */
  readonly sessions = new TlsSessions()
  /** Number of shared connections. */
  #count = 0
  #sweep: NodeJS.Timeout | undefined

  constructor(settings: Required<PoolOptions>) {
    this.#settings = settings
  }

  /** Number of idle connections that clients share. */
  get size(): number {
    return this.#count
  }

  /** Takes the most recently used shared connection of a key, or only `wanted`, which may be private. */
  take(key: string, wanted?: BackendConnection): BackendConnection | undefined {
    const idle = this.#idle.get(key)
    const connection = wanted ?? idle?.shared.at(-1)
    if (!idle || !connection || !this.#remove(connection, idle)) return undefined
    if (connection.isOver || connection.idleUntil <= performance.now()) {
      connection.destroy()
      return this.take(key, wanted)
    }
    if (connection.stream instanceof net.Socket) connection.stream.ref()
    return connection
  }

  /** Keeps a connection after a request, or destroys it if a limit is reached. */
  put(connection: BackendConnection): void {
    const idle = this.#idle.get(connection.key) ?? { shared: [], private: new Set() }
    const now = performance.now()
    const lifetime = connection.isPrivate ? connection.idleLimit : this.#lifetime(connection, idle, now)
    if (lifetime <= 0) return connection.destroy()
    connection.idleUntil = now + lifetime
    connection.ended = this.#ended
    this.#idle.set(connection.key, idle)
    this.#add(connection, idle)
    pools.add(this)
    if (connection.stream instanceof net.Socket) connection.stream.unref()
    this.#sweep ??= setInterval(() => this.#check(), SWEEP_MS).unref()
  }

  /** Destroys the idle connections to a destination. */
  empty(key: string): void {
    this.#drop((connection) => connection.key === key)
  }

  /** The idle connections to an address, whatever their options of TLS. */
  idleAt(place: string): BackendConnection[] {
    const matches = (key: string) => key === place || key.startsWith(`${place}${AFTER_PLACE}`)
    return [...this.#idle].flatMap(([key, idle]) => (matches(key) ? [...idle.shared, ...idle.private] : []))
  }

  /** Destroys all idle connections. */
  close(): void {
    this.#drop(() => true)
    this.#check()
  }

  readonly #ended = (connection: BackendConnection): void => {
    const idle = this.#idle.get(connection.key)
    if (idle) this.#remove(connection, idle)
    connection.destroy()
  }

  /** Destroys the connections that have been idle for too long, and forgets destinations without any. */
  #check(): void {
    this.#drop((one) => one.idleUntil <= performance.now())
    for (const [key, idle] of this.#idle) {
      if (idle.shared.length + idle.private.size === 0) this.#idle.delete(key)
    }
    if (this.#idle.size > 0) return
    pools.delete(this)
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }

  #drop(matches: (connection: BackendConnection) => boolean): void {
    for (const idle of [...this.#idle.values()]) {
      for (const connection of [...idle.shared, ...idle.private].filter(matches)) {
        this.#remove(connection, idle)
        connection.destroy()
      }
    }
  }

  /** ms that a shared connection may be idle. 0 if a limit is reached. */
  #lifetime({ requests, openedAt, idleLimit }: BackendConnection, { shared }: Idle, now: number): number {
    const { idleLifetime, maxLifetime, maxRequests, maxIdle, maxIdleTotal } = this.#settings
    const isSpent = requests >= maxRequests || now - openedAt >= maxLifetime
    const isFull = shared.length >= maxIdle || this.#count >= maxIdleTotal
    return isSpent || isFull ? 0 : Math.min(idleLifetime, idleLimit)
  }

  #add(connection: BackendConnection, idle: Idle): void {
    if (connection.isPrivate) return void idle.private.add(connection)
    idle.shared.push(connection)
    this.#count++
  }

  /** Returns whether the connection was idle. */
  #remove(connection: BackendConnection, { shared, private: own }: Idle): boolean {
    if (!own.delete(connection)) {
      const at = shared.lastIndexOf(connection)
      if (at < 0) return false
      if (at === shared.length - 1) shared.pop()
      else shared.splice(at, 1)
      this.#count--
    }
    connection.ended = undefined
    return true
  }
}

/** A byte that neither a host nor a path contains. */
const AFTER_PLACE = '\0'

/** A number for each object in the options of `tls.connect`, such as certificates. */
const numbers = new WeakMap<object, number>()
let lastNumber = 0

/** Whether clients may share connections to this destination. */
export function isShared(target: StreamTarget): boolean {
  return target.kind !== 'connect' && target.sendProxy === undefined
}

/** Returns the key of a destination. Connections with the same key are interchangeable. */
export function keyOf(target: StreamTarget): string {
  const { tls, sendProxy } = target
  const place = placeOf(target)
  if (!tls && sendProxy === undefined) return place
  return `${place}${AFTER_PLACE}${sendProxy ?? ''} ${tls ? keyOfTls(tls) : ''}`
}

function placeOf(target: StreamTarget): string {
  if (target.kind === 'port') return `${target.host}:${target.port}`
  return target.kind === 'path' ? `unix:${target.path}` : `connect ${keyOfValue(target.source)}`
}

/** Compares primitive options by value, and all others by identity. */
function keyOfTls(options: tls.ConnectionOptions): string {
  const names = Object.keys(options).sort() as (keyof tls.ConnectionOptions)[]
  return JSON.stringify(names.map((name) => [name, keyOfValue(options[name])]))
}

function keyOfValue(value: unknown): string {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function')
    return `${typeof value} ${String(value)}`
  let number = numbers.get(value)
  if (number === undefined) {
    number = ++lastNumber
    numbers.set(value, number)
  }
  return `object ${number}`
}
