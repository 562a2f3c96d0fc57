import type { Phase, ProxyErrorCode } from './error.ts'
import type { Settings } from './options.ts'

// The states of a connection, each with the moves that are legal from it. `Closed` is entered exactly once.
const MOVES = {
  // Reads the PROXY header that a trusted peer puts before all else, where that is asked for.
  AwaitingProxyHeader: ['AwaitingHead', 'Closed'],
  // Reads the client until its request head is whole.
  AwaitingHead: ['Routing', 'Replying', 'Closed'],
  // A hook says where to go: lookup, or errback where that failed. The client is paused.
  Routing: ['Connecting', 'HandedOver', 'Replying', 'Closed'],
  // A backend is being reached. The client is paused.
  Connecting: ['Routing', 'AwaitingResponse', 'Tunnelling', 'Closed'],
  // The request flows to the backend, and its response head is awaited: to be modified, or to be in time.
  AwaitingResponse: ['Modifying', 'Tunnelling', 'Replying', 'Closed'],
  // modify has the response head. The backend is paused.
  Modifying: ['Tunnelling', 'Replying', 'Closed'],
  // Raw bytes both ways.
  Tunnelling: ['Closed'],
  // A server of this process has the client's socket.
  HandedOver: ['Closed'],
  // The engine answers, or errback's Readable, in place of a backend.
  Replying: ['Closed'],
  // Both sockets are destroyed; no timer is left.
  Closed: [],
} as const satisfies Record<string, readonly string[]>

export type ConnectionState = keyof typeof MOVES

/** What an error calls the state that it came in. */
export const PHASES: Readonly<Record<ConnectionState, Phase>> = {
  AwaitingProxyHeader: 'head',
  AwaitingHead: 'head',
  Routing: 'lookup',
  Connecting: 'connect',
  AwaitingResponse: 'response',
  Modifying: 'response',
  Tunnelling: 'tunnel',
  HandedOver: 'tunnel',
  Replying: 'reply',
  Closed: 'tunnel',
}

/** @throws {Error} where the move is not in the table: a fault of ours, never of what came in */
export function checkMove(from: ConnectionState, to: ConnectionState): void {
  const moves: readonly ConnectionState[] = MOVES[from]
  if (!moves.includes(to)) throw new Error(`a connection cannot go from ${from} to ${to}`)
}

/** Where a connection is in its life, with the one time-out that its state has, or none. */
export class Life {
  #state: ConnectionState
  #timer: NodeJS.Timeout | undefined

  constructor(first: ConnectionState = 'AwaitingHead') {
    this.#state = first
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Moves on. The time-out of the state before is off. */
  enter(state: ConnectionState): void {
    checkMove(this.#state, state)
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#state = state
  }

  /** Sets the state's time-out, in place of the one it had. 0 ms: none. */
  arm(ms: number, expired: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = ms > 0 ? setTimeout(expired, ms) : undefined
  }

  /** The time-out, if there is one, starts anew. */
  refresh(): void {
    this.#timer?.refresh()
  }
}

/** What a connection lends to those that play a part of its life, and hears of them. */
export interface Context {
  readonly settings: Settings
  readonly life: Life
  failed(code: ProxyErrorCode, cause?: unknown): void
  /** All is done: the connection is to be closed. */
  over(): void
}
