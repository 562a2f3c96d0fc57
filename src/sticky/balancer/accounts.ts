import { type Connection, hear, type ProxyError } from '../../proxy/index.ts'
import type { Backend } from './backend.ts'
import { isConnectFailure } from './failure.ts'

/**
 * Keeps count of who is where, by what the proxy tells of its connections: what becomes of a Dest between the balancer
 * and the proxy, in hooks of the user's own, makes no difference.
 */
export class Accounts {
  readonly #backends = new WeakSet<Backend>()
  /** Where each connection is. */
  readonly #places = new Map<Connection, Backend>()
  readonly #counted = new WeakSet<ProxyError>()
  readonly #stops = [
    hear('routed', ({ connection, dest }) => this.#routed(connection, this.backendOf(dest))),
    hear('connected', ({ connection }) => this.#places.get(connection)?.reached(connection)),
    hear('error', ({ connection, error, dest }) => {
      if (isConnectFailure(error)) this.failed(error, this.backendOf(dest))
      // Whatever failed, this backend has no more to do with it.
      this.#left(connection)
    }),
    hear('close', ({ connection }) => this.#left(connection)),
  ]

  /** Counts for this backend from now on, also once it is out of use. */
  open(backend: Backend): void {
    this.#backends.add(backend)
  }

  /** The backend that a Dest goes to, where it is one of ours. */
  backendOf(dest: unknown): Backend | undefined {
    try {
      const { backend } = dest as { backend: Backend }
      return this.#backends.has(backend) ? backend : undefined
    } catch {
      return undefined // no object, or one with a getter that throws
    }
  }

  /** A backend was not reached. Counts once, however often it is told. */
  failed(error: ProxyError, backend: Backend | undefined): void {
    if (!backend || this.#counted.has(error)) return
    this.#counted.add(error)
    backend.failed(error)
  }

  /** Counts no more, and forgets what is open. */
  stop(): void {
    for (const stop of this.#stops) stop()
    for (const connection of [...this.#places.keys()]) this.#left(connection)
  }

  #routed(connection: Connection, backend: Backend | undefined): void {
    this.#left(connection)
    // Somebody who heard of it before us may have ended it.
    if (!backend || connection.state === 'Closed') return
    this.#places.set(connection, backend)
    backend.routed(connection)
  }

  #left(connection: Connection): void {
    this.#places.get(connection)?.left(connection)
    this.#places.delete(connection)
  }
}
