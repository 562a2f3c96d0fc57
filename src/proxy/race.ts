import dns from 'node:dns'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { messageOf } from '../show.ts'
import { isExhausted } from './error.ts'

/** ms before the next address is tried in parallel (RFC 8305 5). */
const ATTEMPT_DELAY_MS = 250

/** Maximum number of parallel attempts. */
const MAX_OPEN = 8

/** Maximum number of addresses of a name that are tried. */
const MAX_ADDRESSES = 64

/** RFC 6761 6.3: localhost always means the loopback addresses. */
const LOCALHOST: readonly string[] = ['127.0.0.1', '::1']

export interface RaceOptions {
  /** As in `net.connect`. Default `dns.lookup`. */
  lookup?: net.LookupFunction | undefined
  /** As in `dns.lookup`. */
  family?: dns.LookupOptions['family']
  hints?: number | undefined
  /** The port that `connect` connects to. */
  port?: number
  /** Opens a socket to an address. */
  connect(address: string): net.Socket
}

export interface RaceEvents {
  connected(socket: net.Socket): void
  /** Gets the error of the look-up or of the only address, or an AggregateError. Never called synchronously. */
  failed(cause: unknown): void
}

/**
 * Connects to a host by name (Happy Eyeballs, RFC 8305). It tries the addresses in order, alternating between families.
 * Each attempt starts 250 ms after the one before, or when that fails. The first connection wins, and the others are
 * destroyed.
 */
export class Race {
  readonly #options: RaceOptions
  readonly #events: RaceEvents
  #waiting: string[] = []
  readonly #open = new Set<net.Socket>()
  readonly #errors: Error[] = []
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  constructor(host: string, options: RaceOptions, events: RaceEvents) {
    this.#options = options
    this.#events = events
    if (!options.lookup && /^localhost$/i.test(host)) this.#start(LOCALHOST)
    else this.#resolve(host)
  }

  /** Destroys all attempts. No event follows. */
  stop(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    for (const socket of this.#open) socket.destroy()
    this.#open.clear()
  }

  #resolve(host: string): void {
    const { lookup = dns.lookup as net.LookupFunction, family, hints } = this.#options
    // A user's lookup may answer twice.
    let isAnswered = false
    try {
      lookup(host, { all: true, family, hints }, (error, found) => {
        if (this.#isOver || isAnswered) return
        isAnswered = true
        if (error) this.#fail(error)
        else this.#found(found)
      })
    } catch (cause) {
      if (!this.#isOver) this.#fail(cause)
    }
  }

  /** Uses the result of a lookup. A user's lookup may return anything. */
  #found(found: unknown): void {
    try {
      this.#start(interleaved(addressesIn(found)))
    } catch (cause) {
      this.#fail(cause)
    }
  }

  #start(addresses: readonly string[]): void {
    this.#waiting = addresses.slice(0, MAX_ADDRESSES)
    if (this.#waiting.length === 0) return this.#fail(new Error('the name has no address'))
    this.#next()
  }

  #next(): void {
    clearTimeout(this.#timer)
    const address = this.#open.size < MAX_OPEN ? this.#waiting.shift() : undefined
    if (address === undefined) return
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#next(), ATTEMPT_DELAY_MS).unref()
    let socket: net.Socket
    try {
      socket = this.#options.connect(address)
    } catch (cause) {
      return this.#fail(cause)
    }
    this.#open.add(socket)
    const failed = (error: Error) => this.#failed(socket, error)
    socket.on('error', failed)
    socket.once('connect', () => {
      if (this.#isOver) return
      if (isOwnPeer(socket, this.#options.port)) return void socket.destroy(selfConnected())
      this.#open.delete(socket)
      this.stop()
      this.#events.connected(socket)
      socket.off('error', failed)
    })
  }

  #failed(socket: net.Socket, error: Error): void {
    if (!this.#open.delete(socket)) return
    this.#errors.push(error)
    // The next address would fail for the same reason.
    if (isExhausted(error) && (error as NodeJS.ErrnoException).code !== 'EADDRNOTAVAIL') this.#waiting = []
    if (this.#waiting.length > 0) this.#next()
    else if (this.#open.size === 0) this.#fail(combine(this.#errors))
  }

  #fail(cause: unknown): void {
    this.stop()
    process.nextTick(() => this.#events.failed(cause))
  }
}

/** The addresses in a lookup's answer, which is a list of objects or a single address. Other values are left out. */
function addressesIn(found: unknown): string[] {
  const all: unknown[] = Array.isArray(found) ? found.map((one) => one?.address) : [found]
  return all.filter((address): address is string => typeof address === 'string' && net.isIP(address) !== 0)
}

/** Alternates between the families, starting with that of the first address (RFC 8305 4). */
function interleaved(addresses: readonly string[]): string[] {
  const isFirst = (address: string) => net.isIP(address) === net.isIP(addresses[0]!)
  const some = addresses.filter(isFirst)
  const others = addresses.filter((address) => !isFirst(address))
  return some.flatMap((address, i) => [address, ...others.slice(i, i + 1)]).concat(others.slice(some.length))
}

/** Combines the errors into one. */
function combine(errors: readonly Error[]): Error {
  if (errors.length === 1) return errors[0]!
  const { code } = (errors.find((error) => !isExhausted(error)) ?? errors[0]) as NodeJS.ErrnoException
  return Object.assign(new AggregateError(errors, errors.map(messageOf).join('; ')), { code })
}

/**
 * Connecting to a closed local port can connect the socket to itself (RFC 9293 3.5, simultaneous open). It would then
 * echo the request, and keep the port from the server that should listen there. `port` is the one connected to.
 */
export function isOwnPeer(socket: net.Socket, port = socket.remotePort): boolean {
  // Each end of a socket costs a system call.
  if (port === undefined || !isEphemeral(port) || socket.localPort !== port) return false
  return socket.remotePort === port && socket.localAddress === socket.remoteAddress
}

let ephemeralPorts: readonly [first: number, last: number] | undefined

/** Whether the system may choose this port for a socket that connects. */
function isEphemeral(port: number): boolean {
  ephemeralPorts ??= readEphemeralPorts()
  return port >= ephemeralPorts[0] && port <= ephemeralPorts[1]
}

function readEphemeralPorts(): readonly [first: number, last: number] {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1')
    const [first, last] = text.split(/\s+/).map(Number) as [number, number]
    if (first > 0 && last >= first) return [first, last]
  } catch {
    // Only Linux has this file.
  }
  return [1, 65_535]
}

export function selfConnected(): Error {
  return Object.assign(new Error('connected to itself: nobody listens there'), { code: 'ECONNREFUSED' })
}
