import type { Duplex } from 'node:stream'
import { type BodyError, BodyScanner } from '../parser/index.ts'
import { BodyFlow } from './body-flow.ts'
import type { ExchangeContext } from './exchange-context.ts'
import type { Plan } from './plan.ts'
import type { RequestBody, RequestReader } from './request-reader.ts'

export interface UploadEvents {
  /** The last byte was written. */
  requestEnded(): void
  /** The body is invalid or incomplete. */
  requestFailed(error: BodyError | undefined): void
}

/** Sends a request body that did not arrive with its head. Its time-out runs until the response head arrives. */
export class Upload implements RequestBody {
  readonly #backend: Duplex
  readonly #context: ExchangeContext
  readonly #events: UploadEvents
  readonly #flow: BodyFlow
  /** The client may wait for a 100 response, and has sent no byte of its body. */
  #awaitsContinue: boolean
  #isStopped = false

  constructor(requests: RequestReader, backend: Duplex, plan: Plan, context: ExchangeContext, events: UploadEvents) {
    this.#backend = backend
    this.#context = context
    this.#events = events
    this.#flow = new BodyFlow(requests, backend, new BodyScanner(plan.body), () => this.#moved())
    this.#awaitsContinue = plan.isExpecting
    this.#startTimeout()
  }

  /** True already while the last bytes are being written, because a stream inside this process may answer at once. */
  get isWhole(): boolean {
    return this.#flow.state === 'end'
  }

  take(bytes: Buffer): number {
    const count = this.#flow.push(bytes)
    if (this.#flow.state === 'invalid') {
      this.#events.requestFailed(this.#flow.error)
      return bytes.length
    }
    this.#moved()
    if (this.isWhole) this.#events.requestEnded()
    return count
  }

  cut(): void {
    this.#events.requestFailed(this.#flow.end())
  }

  /** An interim response head has arrived. */
  gotInterim(status: number): void {
    if (this.#awaitsContinue && status === 100) this.#continue()
    else this.#context.timeout.responseMoved()
  }

  /** Reads the rest of the body and drops it. */
  discard(): void {
    this.#flow.discard()
  }

  /** Releases client and backend. */
  stop(): void {
    this.#isStopped = true
    this.#flow.stop()
  }

  #moved(): void {
    if (this.#awaitsContinue) this.#continue()
    else if (!this.#isStopped) this.#context.timeout.requestMoved()
  }

  /** The client has no reason to wait with its body any more. */
  #continue(): void {
    this.#awaitsContinue = false
    this.#startTimeout()
  }

  #startTimeout(): void {
    const { machine, timeout } = this.#context
    if (machine.state !== 'AwaitingResponse') return
    timeout.start(this.#awaitsContinue ? 'response head' : 'request body', this.#backend)
  }
}
