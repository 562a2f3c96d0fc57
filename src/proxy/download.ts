import net from 'node:net'
import type { BodyError, BodyScanner } from '../parser/index.ts'
import type { BackendConnection } from './backend-connection.ts'
import { BodyFlow } from './body-flow.ts'
import type { ExchangeContext } from './exchange-context.ts'
import { confirmEnd } from './tunnel/index.ts'

export interface DownloadEvents {
  /** The last byte was written. */
  responseEnded(): void
  /** The backend has ended before the last byte. */
  responseCut(error: BodyError): void
}

/** Sends the rest of a response body that did not arrive with its head. */
export class Download {
  readonly #backend: BackendConnection
  readonly #context: ExchangeContext
  readonly #events: DownloadEvents
  readonly #flow: BodyFlow
  /** No byte followed the body. */
  #isClean = true
  #isStopped = false

  /** `scanner` has read the first part of the body. `isDataOnly`: the client gets the data of chunks without framing. */
  constructor(
    client: net.Socket,
    backend: BackendConnection,
    scanner: BodyScanner,
    isDataOnly: boolean,
    context: ExchangeContext,
    events: DownloadEvents,
  ) {
    this.#backend = backend
    this.#context = context
    this.#events = events
    this.#flow = new BodyFlow(backend.stream, client, scanner, () => context.timeout.responseMoved(), isDataOnly)
    backend.lends(client instanceof net.Socket)
    if (client.writableNeedDrain) this.#flow.wait()
  }

  get keepsUp(): boolean {
    return this.#flow.keepsUp
  }

  /** Whether the backend's connection can be used again. A slow client may still need its buffer with the last bytes. */
  get isBackendReusable(): boolean {
    return this.#isClean && !this.#flow.isBorrowing
  }

  take(bytes: Buffer, done?: () => void): void {
    const flow = this.#flow
    this.#isClean = flow.push(bytes, done) === bytes.length
    if (flow.state === 'invalid') return this.#context.failed('BAD_RESPONSE_BODY', flow.error)
    this.#context.timeout.responseMoved()
    if (flow.state === 'end') this.#events.responseEnded()
  }

  /** The backend has ended its side. This completes a body that ends with the connection, and cuts others short. */
  cut(): void {
    confirmEnd(this.#backend.stream, () => {
      if (this.#isStopped || this.#context.machine.state !== 'Responding') return
      const error = this.#flow.end()
      if (error) this.#events.responseCut(error)
      else this.#events.responseEnded()
    })
  }

  /** Releases client and backend. */
  stop(): void {
    this.#isStopped = true
    this.#flow.stop()
  }
}
