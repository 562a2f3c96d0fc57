import type { Head } from '../parser/index.ts'
import type { ConnectionOutcome } from './counters.ts'
import type { Dest } from './dest.ts'
import { type Phase, ProxyError, type ProxyErrorCode } from './error.ts'
import { hasSubscribers, publish, publishError } from './events.ts'
import type { Settings } from './options.ts'
import type { Pool } from './pool.ts'
import { RequestRecord } from './request-record.ts'
import { type ConnectionState, PHASES } from './states.ts'
import type { Sweep } from './sweep.ts'

/** The server that accepted a connection. `C` is the type of a connection. */
export interface Owner<C> {
  readonly settings: Settings
  /** Whether the server ends its connections: each closes after its next response. */
  readonly isDraining: boolean
  /** Checks the time-outs of the connections. */
  readonly sweep: Sweep
  /** The idle connections to backends. Undefined with `requests: 'first'`. */
  readonly pool: Pool | undefined
  opened(connection: C): void
  /** A request has arrived. */
  requested(): void
  /** A backend is connected. `isReused`: its connection has served another request. */
  connected(isReused: boolean): void
  /** A request is sent again. */
  retried(): void
  failed(error: ProxyError, connection: C): void
  closed(connection: C, outcome: ConnectionOutcome): void
}

/** The part of a Connection that its Reporter uses. */
interface Reported {
  readonly state: ConnectionState
  readonly dest: Dest | undefined
  readonly bytesRead: number
  readonly bytesWritten: number
}

interface Bytes {
  readonly read: number
  readonly written: number
}

/** Tells the server and the subscribers of the diagnostics channels what happens to a connection. */
export class Reporter<C extends Reported = Reported> {
  readonly #connection: C
  readonly #owner: Owner<C>
  /** The code of the last error, unless a backend was reached after it. */
  #failure: ProxyErrorCode | undefined
  /** Bytes of the request went to a backend. */
  #isSent = false
  /** The request under way, if a channel had subscribers when it arrived. */
  #request: RequestRecord | undefined
  /** What the connection had moved before this request. Undefined if nobody has counted. */
  #moved: Bytes | undefined = { read: 0, written: 0 }
  #headBytes = 0

  constructor(connection: C, owner: Owner<C>) {
    this.#connection = connection
    this.#owner = owner
  }

  opened(): void {
    this.#owner.opened(this.#connection)
    if (hasSubscribers('open')) publish('open', { connection: this.#connection })
  }

  /** A request has arrived. */
  requested(head: Head): void {
    this.#failure = undefined
    this.#isSent = false
    this.#owner.requested()
    this.#request = undefined
    this.#record(head)
    if (hasSubscribers('start')) publish('start', { connection: this.#connection, head })
  }

  routed(head: Head, dest: Dest): void {
    // Its first subscriber may have come while lookup was running.
    if (!this.#request) this.#record(head)
    this.#request?.routed()
    if (hasSubscribers('routed')) publish('routed', { connection: this.#connection, head, dest })
  }

  connecting(dest: Dest): void {
    if (hasSubscribers('connecting')) publish('connecting', { connection: this.#connection, dest })
  }

  connected(dest: Dest, isReused: boolean): void {
    this.#failure = undefined
    this.#owner.connected(isReused)
    this.#request?.connected()
    if (hasSubscribers('connected')) publish('connected', { connection: this.#connection, dest })
  }

  /** The request is sent again, because no response came. */
  retried(): void {
    this.#owner.retried()
  }

  /** The request goes to a backend now. */
  sent(): void {
    this.#isSent = true
  }

  /** The first byte of the response has arrived. */
  answered(): void {
    this.#request?.answered()
  }

  /** A final response begins. `response` is its head if it comes from a backend. */
  responded(status: number, response?: Head): void {
    const connection = this.#connection
    const request = this.#request
    if (request) {
      request.status = status
      request.response = response
    }
    if (!hasSubscribers('response')) return
    const { dest } = connection
    publish('response', { connection, head: request?.head, dest, status, response, times: request?.times })
  }

  /** A response head of this many bytes was written to the client. */
  headSent(length: number): void {
    this.#headBytes += length
  }

  /** Bytes of response heads so far. */
  get headBytes(): number {
    return this.#headBytes
  }

  /** The request is over. */
  exchanged(): void {
    this.#isSent = false
    const connection = this.#connection
    const request = this.#request
    if (!request) {
      this.#moved = undefined
      return
    }
    this.#request = undefined
    const { dest, bytesRead, bytesWritten } = connection
    const { head, status, response, times } = request
    const before = this.#moved!
    this.#moved = { read: bytesRead, written: bytesWritten }
    if (!hasSubscribers('end')) return
    publish('end', {
      connection,
      head,
      dest,
      status,
      response,
      bytesRead: bytesRead - before.read,
      bytesWritten: bytesWritten - before.written,
      times,
    })
  }

  failed(code: ProxyErrorCode, cause?: unknown, phase: Phase = PHASES[this.#connection.state]): ProxyError {
    const connection = this.#connection
    const error = new ProxyError(code, phase, cause ?? undefined, this.#isSent)
    this.#failure = code
    this.#owner.failed(error, connection)
    publishError({ connection, error, dest: connection.dest })
    return error
  }

  closed(isSilent: boolean): void {
    if (this.#request) this.exchanged()
    this.#owner.closed(this.#connection, this.#failure ?? (isSilent ? 'silent' : 'ok'))
    if (hasSubscribers('close')) publish('close', { connection: this.#connection })
  }

  /** Starts to record a request, if a channel would tell about it. */
  #record(head: Head): void {
    if (!hasSubscribers('start') && !hasSubscribers('response') && !hasSubscribers('end')) return
    const { bytesRead, bytesWritten } = this.#connection
    this.#moved ??= { read: bytesRead, written: bytesWritten }
    this.#request = new RequestRecord(head)
  }
}
