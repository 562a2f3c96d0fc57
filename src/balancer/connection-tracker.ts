import { type Connection, followErrors, type ProxyError, subscribe } from '../proxy/index.ts'
import type { Backend } from './backend.ts'
import { isConnectFailure, mayLackHttp2 } from './failure.ts'
import { type Protocol, protocolOf } from './protocol.ts'
import type { Bytes } from './traffic.ts'

/**
 * Counts each backend's connections (with `requests: 'every'`, its exchanges) by listening to the proxy's diagnostics
 * channels. Hooks between the balancer and the proxy may copy or wrap a Dest without affecting the count.
 */
export class ConnectionTracker {
  readonly #backends = new WeakSet<Backend>()
  /** The backend of each open connection. With `requests: 'every'`, it has none between two exchanges. */
  readonly #backendByConnection = new Map<Connection, Backend>()
  /** Bytes that a connection had moved when its last exchange ended. */
  readonly #moved = new WeakMap<Connection, Bytes>()
  /** HTTP/2 connections. */
  readonly #http2 = new WeakSet<Connection>()
  readonly #counted = new WeakSet<ProxyError>()
  readonly #stops = [
    subscribe('routed', ({ connection, head, dest }) => {
      if (protocolOf(head) === 'h2') this.#http2.add(connection)
      this.#routed(connection, this.backendOf(dest))
    }),
    subscribe('connecting', ({ dest }) => this.backendOf(dest)?.connecting()),
    subscribe('connected', ({ connection }) => this.#backendByConnection.get(connection)?.connected(connection)),
    followErrors(({ connection, error, dest }) => {
      // The backend is done with this connection. Count that before other subscribers, which the event has yet to
      // reach.
      this.#closed(connection)
      if (!isConnectFailure(error)) return
      this.connectFailed(error, this.backendOf(dest), this.#http2.has(connection) ? 'h2' : 'h1')
    }),
    subscribe('end', ({ connection }) => {
      this.#closed(connection)
      this.#moved.set(connection, { read: connection.bytesRead, written: connection.bytesWritten })
    }),
    subscribe('close', ({ connection }) => this.#closed(connection)),
  ]

  /** Counts this backend from now on, also after it is removed. */
  track(backend: Backend): void {
    this.#backends.add(backend)
  }

  /** The backend of a Dest, if it came from this balancer. */
  backendOf(dest: unknown): Backend | undefined {
    try {
      const { backend } = dest as { backend: Backend }
      return this.#backends.has(backend) ? backend : undefined
    } catch {
      return undefined // not an object, or a getter that throws
    }
  }

  /** Records that a connect to a backend failed. An error counts once, however often it is reported. */
  connectFailed(error: ProxyError, backend: Backend | undefined, protocol: Protocol): void {
    if (!backend || this.#counted.has(error)) return
    this.#counted.add(error)
    backend.connectFailed(error, protocol === 'h2' && mayLackHttp2(error, backend.settings))
  }

  /** Stops counting and forgets the open connections. */
  stop(): void {
    for (const stop of this.#stops) stop()
    for (const connection of [...this.#backendByConnection.keys()]) this.#closed(connection)
  }

  #routed(connection: Connection, backend: Backend | undefined): void {
    this.#closed(connection)
    // An earlier subscriber may have destroyed it.
    if (!backend || connection.state === 'Closed') return
    this.#backendByConnection.set(connection, backend)
    backend.routed(connection, this.#moved.get(connection))
  }

  #closed(connection: Connection): void {
    this.#backendByConnection.get(connection)?.closed(connection)
    this.#backendByConnection.delete(connection)
  }
}
