import type { Duplex, Readable } from 'node:stream'
import type { Head } from '../parser/index.ts'
import type { ProxyError } from './error.ts'
import type { Reporter } from './reporter.ts'
import type { Context } from './states.ts'
import type { TlsSessions } from './tls-sessions.ts'

/** A request that has not reached its destination yet. */
export interface Request {
  /** The head with the edits of the hooks. */
  head: Head
  /** Length in bytes of the received head, which is still in the socket's buffer. 0 with `requests: 'every'`. */
  readonly length: number
  /** The received head, for modify. */
  readonly original: Head | undefined
}

/** The part of a Connection that its Routing uses. */
export interface RoutingContext extends Context {
  readonly reporter: Reporter
  /** The TLS sessions of backends. Undefined with `requests: 'first'`. */
  readonly sessions: TlsSessions | undefined
  /** A backend is connected. */
  connected(upstream: Duplex, isReused: boolean): void
  /** lookup or errback answered the request. */
  answered(source: Readable): void
  /** There is no other destination to try after this error. */
  refused(error: ProxyError): void
  /** errback wants to reset the client. */
  dropped(): void
  /** Ends the connection to the backend. */
  dropBackend(end?: (stream: Duplex) => void): void
}
