import type { Duplex } from 'node:stream'
import type { Dest } from '../../../src/index.ts'
import type { DestKind, Setup } from './setup.ts'
import type { Stage } from './stage.ts'
import type { Port } from './wire.ts'

/** Connects the ends, in memory or over sockets. */
export interface Network {
  /** Turns or ms after which a connection that should have closed counts as hung. */
  isOverdue(turns: number, ms: number): boolean
  /** Time only passes in `elapse`. */
  readonly hasFakeTime: boolean
  start(stage: Stage): Promise<void>
  connect(stage: Stage): { stream: Duplex; port?: Port }
  dest(kind: DestKind, stage: Stage): Dest
  /** A backend has not accepted or refused yet. */
  readonly isConnecting: boolean
  accept(): void
  refuse(): void
  /** Whether the test can make a time-out fire. */
  canElapse(stage: Stage): boolean
  elapse(stage: Stage, ms: number): Promise<void>
  /** A backend sees an end when the engine resets it. */
  seesResetsAsEnds(setup: Setup): boolean
  /** A backend's bytes reach the client even if it closed with unread bytes. */
  keepsWhatWasSaid(stage: Stage): boolean
  /** Number of remaining timers and sockets. */
  left(): string[]
  close(): Promise<void>
}
