import type { BackendView, Place } from './backend.ts'

/** What `lookup` and `errback` of a balancer give: a Dest. It may be spread into an object of your own. */
export type Route = Place & {
  /** What stands for the backend in the sticky cookie: opaque, and the same on every machine. */
  readonly sticky: string
  readonly backend: BackendView
  /** The backends that this connection could not reach before. */
  readonly tried: readonly BackendView[]
  /** What `hash` goes by. */
  readonly key: string
  /** The client has come back to it. */
  readonly isHome: boolean
}
