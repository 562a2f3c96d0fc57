import type { Duplex } from 'node:stream'
import type { Head } from '../parser/index.ts'
import type { Dest } from './dest.ts'
import type { PhaseTimeout } from './phase-timeout.ts'
import type { Plan } from './plan.ts'
import type { Reporter } from './reporter.ts'
import type { Context } from './states.ts'

/** A request on its way to a backend. */
export interface Outgoing {
  /** The head as lookup left it, with the Host for the backend. */
  readonly head: Head
  /** The received head, for modify. */
  readonly original: Head | undefined
  /** The body, if all of it arrived with the head. */
  readonly body: Buffer | undefined
  readonly plan: Plan
  readonly dest: Dest
  /** The Host that the backend gets in place of the client's. Undefined: the client's own. */
  readonly hostHeader: string | undefined
}

/** The part of a Connection that its Exchange uses. */
export interface ExchangeContext extends Context {
  readonly timeout: PhaseTimeout
  readonly reporter: Reporter
  /** Whether the server ends its connections: each closes after its next response. */
  isDraining(): boolean
  /** Both messages have ended. If `persists` is true, the client may send another request. */
  exchanged(persists: boolean): void
  /** A reused backend connection ended before the first byte of the response. */
  stale(cause?: Error): void
  /** The backend connection ended before the request was sent. */
  unsent(): void
  /** The response is complete, but the request is not. The backend connection must close. */
  dropBackend(): void
  /** The connection switched to another protocol. `up` goes to the backend first, and `down` to the client. */
  tunnelled(backend: Duplex, up: Buffer, down: readonly Buffer[]): void
}
