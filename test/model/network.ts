import type { Duplex } from 'node:stream'
import type { Dest } from '../../src/index.ts'
import type { DestKind, Setup } from './setup.ts'
import type { Stage } from './stage.ts'
import type { Port } from './wire.ts'

/** How the ends are connected: in memory, or by the kernel. */
export interface Network {
  /** Turns, or ms, after which a connection that should be over is taken for one that hangs. */
  isOverdue(turns: number, ms: number): boolean
  start(stage: Stage): Promise<void>
  connect(stage: Stage): { stream: Duplex; port?: Port }
  dest(kind: DestKind, stage: Stage): Dest
  /** A backend has neither accepted nor refused. */
  readonly isConnecting: boolean
  accept(): void
  refuse(): void
  /** A time-out can be had to fire. */
  canElapse(stage: Stage): boolean
  elapse(stage: Stage, ms: number): Promise<void>
  /** A backend that the engine breaks off takes it for an end. */
  isDeafToResets(setup: Setup): boolean
  /** What a backend has said reaches the client, though the backend closed with bytes unread. */
  keepsWhatWasSaid(stage: Stage): boolean
  /** Timers and sockets that are left. */
  left(): string[]
  close(): Promise<void>
}
