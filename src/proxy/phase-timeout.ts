import type { Duplex } from 'node:stream'
import type { ProxyErrorCode } from './error.ts'
import type { Context } from './states.ts'

/** The part of an exchange that a time-out limits. */
export type ExchangePhase = 'request body' | 'response head' | 'response body'

/**
 * The time-out of the exchanges of a connection. Only bytes of the current phase restart it: a client that sends its
 * request slowly cannot hold up a response. If idleTimeout is shorter, it takes the place of the phase's time-out, and
 * bytes of both messages restart it.
 */
export class PhaseTimeout {
  readonly #context: Context
  #phase: ExchangePhase = 'request body'
  #backend: Duplex | undefined
  #isIdleTimeout = false

  constructor(context: Context) {
    this.#context = context
  }

  /** Starts the time-out of a phase. */
  start(phase: ExchangePhase, backend: Duplex): void {
    const { machine, settings } = this.#context
    const { bodyTimeout, idleTimeout, responseHeadTimeout } = settings
    const ms = phase === 'response head' ? responseHeadTimeout : bodyTimeout
    this.#phase = phase
    this.#backend = backend
    this.#isIdleTimeout = idleTimeout > 0 && (ms === 0 || idleTimeout < ms)
    machine.arm(this.#isIdleTimeout ? idleTimeout : ms, this.#expired)
  }

  /** Bytes of the request have moved. */
  requestMoved(): void {
    if (this.#phase === 'request body' || this.#isIdleTimeout) this.#context.machine.refresh()
  }

  /** Bytes of the response have moved. */
  responseMoved(): void {
    if (this.#phase !== 'request body' || this.#isIdleTimeout) this.#context.machine.refresh()
  }

  /** Forgets the backend. A time-out that runs goes on. */
  release(): void {
    this.#backend = undefined
  }

  readonly #expired = (): void => this.#context.failed(this.#isIdleTimeout ? 'IDLE_TIMEOUT' : this.#code)

  get #code(): ProxyErrorCode {
    if (this.#phase === 'response head') return 'RESPONSE_HEAD_TIMEOUT'
    if (this.#phase === 'response body') return 'RESPONSE_BODY_TIMEOUT'
    // The client is not read while the backend does not read.
    return this.#backend?.writableNeedDrain ? 'REQUEST_SEND_TIMEOUT' : 'REQUEST_BODY_TIMEOUT'
  }
}
