import type { Duplex } from 'node:stream'
import { Flow, type FlowEvents, type FlowState } from './flow.ts'

/** 'half' means that at least one direction has ended. 'over' means that both have sent every byte. */
export type PumpState = 'both' | 'half' | 'over'

/** The state of the connection for the states of its two directions. */
const HALF_CLOSE: Readonly<Record<FlowState, Readonly<Record<FlowState, PumpState>>>> = {
  open: { open: 'both', ended: 'half', flushed: 'half' },
  ended: { open: 'half', ended: 'half', flushed: 'half' },
  flushed: { open: 'half', ended: 'half', flushed: 'over' },
}

export interface PumpEvents {
  /** Bytes moved from the client, or a slow backend accepts bytes again. */
  received(): void
  /** `count` bytes moved to the client. 0 means that a slow client accepts bytes again. */
  sent(count: number): void
  /** A direction changed its state. */
  changed(): void
}

/** Moves raw bytes between a client and a backend, with one flow per direction. */
export class Pump implements FlowEvents {
  /** From the client to the backend. */
  readonly up: Flow
  /** From the backend to the client. */
  readonly down: Flow
  readonly #events: PumpEvents

  constructor(client: Duplex, upstream: Duplex, events: PumpEvents) {
    this.#events = events
    this.up = new Flow(client, upstream, this)
    this.down = new Flow(upstream, client, this)
  }

  moved(flow: Flow, count: number): void {
    if (flow === this.up) this.#events.received()
    else this.#events.sent(count)
  }

  changed(): void {
    this.#events.changed()
  }

  get state(): PumpState {
    return HALF_CLOSE[this.up.state][this.down.state]
  }

  /** Releases both streams, paused. */
  stop(): void {
    this.up.stop()
    this.down.stop()
  }
}
