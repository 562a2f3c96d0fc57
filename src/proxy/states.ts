import type { Phase, ProxyErrorCode } from './error.ts'
import type { Settings } from './options.ts'
import { COARSE_MS, Sweep, type Swept } from './sweep.ts'

// The states of a connection, each with its legal next states. A connection enters `Closed` exactly once.
const MOVES = {
  // Reads the PROXY header that a trusted peer sends first, with the proxyProtocol option.
  AwaitingProxyHeader: ['AwaitingHead', 'Closed'],
  // Reads the request head.
  AwaitingHead: ['Routing', 'Replying', 'Closed'],
  // A hook chooses the destination. lookup runs first, and errback after a failure. The client is paused.
  Routing: ['Connecting', 'Responding', 'HandedOver', 'Replying', 'Closed'],
  // Connects to a backend. The client is paused.
  Connecting: ['Routing', 'AwaitingResponse', 'Tunnelling', 'Closed'],
  // Sends the request to the backend and waits for the response head.
  // Returns to Connecting if a reused connection was closed. The request then goes to a fresh connection. Returns to
  // Routing to ask errback, with requests: 'every'.
  AwaitingResponse: ['Routing', 'Connecting', 'Modifying', 'Tunnelling', 'Replying', 'Closed'],
  // modify changes the response head. The backend is paused.
  Modifying: ['Tunnelling', 'Responding', 'Replying', 'Closed'],
  // With requests: 'every'. Sends a backend's or hook's response to the client. The request body may still arrive.
  Responding: ['AwaitingHead', 'Replying', 'Closed'],
  // Raw bytes both ways.
  Tunnelling: ['Closed'],
  // A server of this process uses the client's socket.
  HandedOver: ['Closed'],
  // Sends the last answer, of the engine or a hook, or waits for the client to close after its last response.
  Replying: ['Closed'],
  // Both sockets are destroyed, and no timer is left.
  Closed: [],
} as const satisfies Record<string, readonly string[]>

export type ConnectionState = keyof typeof MOVES

/** Time in ms for a client to read the end of an answer and end its side. Then the proxy closes the connection. */
export const LINGER_MS = 5_000

/** Time in ms for a client to send its next request while the server drains. Then the proxy closes the connection. */
export const DRAIN_IDLE_MS = 1_000

/** The phase that an error reports for each state. */
export const PHASES: Readonly<Record<ConnectionState, Phase>> = {
  AwaitingProxyHeader: 'head',
  AwaitingHead: 'head',
  Routing: 'lookup',
  Connecting: 'connect',
  AwaitingResponse: 'response',
  Modifying: 'response',
  Responding: 'response',
  Tunnelling: 'tunnel',
  HandedOver: 'tunnel',
  Replying: 'reply',
  Closed: 'tunnel',
}

/** @throws {Error} if the move is not in the table, which is a bug of the engine and never caused by input */
export function checkMove(from: ConnectionState, to: ConnectionState): void {
  const moves: readonly ConnectionState[] = MOVES[from]
  if (!moves.includes(to)) throw new Error(`a connection cannot go from ${from} to ${to}`)
}

/** The state of a connection, with at most one time-out. */
export class StateMachine implements Swept {
  #state: ConnectionState
  readonly #sweep: Sweep
  /** The timer of a short time-out. */
  #timer: NodeJS.Timeout | undefined
  /** A long time-out: its length, its function, and when it ends. The next check sets a `#due` of 0. */
  #ms = 0
  #expired: (() => void) | undefined
  #due = 0
  #isSwept = false

  constructor(first: ConnectionState = 'AwaitingHead', sweep = new Sweep()) {
    this.#state = first
    this.#sweep = sweep
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Enters a state, and ends the time-out of the previous state. Throws the error of `checkMove`. */
  enter(state: ConnectionState): void {
    checkMove(this.#state, state)
    this.#disarm()
    this.#state = state
    if (state === 'Closed') this.#sweep.delete(this)
  }

  /** Replaces the time-out of the state. 0 ms means no time-out. From `COARSE_MS` on, it may be up to a second late. */
  arm(ms: number, expired: () => void): void {
    this.#disarm()
    if (ms >= COARSE_MS) {
      this.#ms = ms
      this.#expired = expired
      this.#due = 0
      if (this.#isSwept) return
      this.#isSwept = true
      this.#sweep.add(this)
    } else if (ms > 0) this.#timer = setTimeout(expired, ms)
  }

  /** Restarts the time-out, if there is any. */
  refresh(): void {
    this.#due = 0
    this.#timer?.refresh()
  }

  /** For `Sweep`. */
  check(now: number): boolean {
    if (this.#expired && this.#due === 0) this.#due = now + this.#ms
    if (this.#expired && now < this.#due) return true
    this.#isSwept = false
    const expired = this.#expired
    this.#expired = undefined
    expired?.()
    return this.#isSwept
  }

  #disarm(): void {
    this.#expired = undefined
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

/** The part of a Connection that its Exchange, Tunnel and Answer use. */
export interface Context {
  readonly settings: Settings
  readonly machine: StateMachine
  failed(code: ProxyErrorCode, cause?: unknown): void
  /** A response head of this many bytes was written to the client. */
  headSent(length: number): void
  /** The connection has done its work and must close. */
  over(): void
}
