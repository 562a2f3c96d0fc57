import type { Head } from '../parser/index.ts'
import type { ClientInfo } from '../proxy/index.ts'
import type { Backend, BackendView } from './backend.ts'
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
  /** How often the request was sent before, without a response. */
  readonly retries: number
}

const NONE: readonly BackendView[] = []

export function routeTo(backend: Backend, sticky: string, how: Partial<Route>): Route {
  const { tried = NONE, key = '', isHome = false, waited = 0, retries = 0 } = how
  const { place } = backend
  // A spread costs more than the choice of the backend.
  if (!('port' in place) || place.tls || place.sendProxy || place.hostHeader !== undefined) {
    return { ...place, sticky, backend, tried, key, isHome, waited, retries }
  }
  const { port, host } = place
  return { port, host, sticky, backend, tried, key, isHome, waited, retries }
}

export type Maybe<T> = T | Promise<T>

/**
 * A lookup hook for `createServer` and, with the sticky value, for `createStickyServer`. It returns a promise only with
 * the option `queue`, for a request that waits.
 */
export interface BalancerLookup {
  (head: Head, client: ClientInfo): Maybe<Route | undefined>
  (head: Head, sticky: string | undefined, client: ClientInfo): Maybe<Route | undefined>
}

/** What a Dest tells about the attempts before. A hook may have overwritten these properties. */
export function historyOf(dest: object): Pick<Route, 'tried' | 'key' | 'isHome' | 'waited' | 'retries'> {
  const { tried, key, isHome, waited, retries } = dest as { [K in keyof Route]?: unknown }
  return {
    tried: Array.isArray(tried) ? tried : [],
    key: typeof key === 'string' ? key : '',
    isHome: isHome === true,
    waited: countOf(waited),
    retries: countOf(retries),
  }
}

function countOf(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : 0
}
