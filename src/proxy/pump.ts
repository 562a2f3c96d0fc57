import type { Duplex } from 'node:stream'
import { Flow, type FlowEvents, type FlowState } from './flow.ts'

/** Bytes go both ways, only one way is left, or it is over. */
export type PumpState = 'both' | 'half' | 'over'

/** What the two directions together mean for the connection. */
const HALF_CLOSE: Readonly<Record<FlowState, Readonly<Record<FlowState, PumpState>>>> = {
  open: { open: 'both', ended: 'half', flushed: 'half' },
  ended: { open: 'half', ended: 'half', flushed: 'half' },
  flushed: { open: 'half', ended: 'half', flushed: 'over' },
}

export interface PumpEvents {
  /** Bytes came from the client, or a backend that lagged wants more. */
  received(): void
  /** So many bytes went to the client; 0 when a client that lagged wants more. */
  sent(count: number): void
  /** A direction changed its state. */
  changed(): void
}

/** Raw passthrough between a client and a backend: two flows, each of which starts when its heads are through. */
export class Pump implements FlowEvents {
  readonly #up: Flow
  readonly #down: Flow
  readonly #events: PumpEvents

  constructor(client: Duplex, upstream: Duplex, events: PumpEvents) {
    this.#events = events
    this.#up = new Flow(client, upstream, this)
    this.#down = new Flow(upstream, client, this)
  }

  moved(flow: Flow, count: number): void {
    if (flow === this.#up) this.#events.received()
    else this.#events.sent(count)
  }

  changed(): void {
    this.#events.changed()
  }

  get state(): PumpState {
    return HALF_CLOSE[this.#up.state][this.#down.state]
  }

  /** Whether the client may still send. */
  get isUpOpen(): boolean {
    return this.#up.state === 'open'
  }

  /** Whether the backend may still send. */
  get isDownOpen(): boolean {
    return this.#down.state === 'open'
  }

  /** Whether the client has been sent everything, and the FIN after it. */
  get isDownFlushed(): boolean {
    return this.#down.state === 'flushed'
  }

  startUp(): void {
    this.#up.start()
  }

  startDown(): void {
    this.#down.start()
  }

  /** Lets go of both streams, paused. */
  stop(): void {
    this.#up.stop()
    this.#down.stop()
  }

  /** The backend is gone, but had sent all it had to send: that still reaches the client. */
  discardUp(): void {
    this.#up.discard()
  }
}
