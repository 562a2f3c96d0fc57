import type { BackendView } from './backend.ts'
import type { BackendDest } from './place.ts'

/** The Dest that a balancer returns. You may spread it into an object of your own. */
export type Route = BackendDest & {
  /** The value of the sticky cookie for this backend: opaque, and the same on every machine. */
  readonly sticky: string
  readonly backend: BackendView
  /** Backends that already failed for this connection. */
  readonly tried: readonly BackendView[]
  /** The key that `hash` used; empty with other algorithms. */
  readonly key: string
  /** Whether the client returned to its home backend. */
  readonly isHome: boolean
  /** ms that the request has waited in the queue. */
  readonly waited: number
}
