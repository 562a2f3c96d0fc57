import type net from 'node:net'
import { type BodyFraming, BodyScanner } from '../parser/index.ts'
import { BodyFlow } from './body-flow.ts'
import type { ExchangeContext } from './exchange-context.ts'
import type { Plan } from './plan.ts'
import type { RequestBody, RequestReader } from './request-reader.ts'
import type { ResponseSource } from './response.ts'
import { destroy } from './socket.ts'
import { LINGER_MS } from './states.ts'

/** Maximum length in bytes of a request body that is skipped. After a longer one, the connection closes. */
const SKIPPED_BYTES = 65_536

/** Whether the connection can continue after an answer to this request. */
export function canSkip({ method, body, isExpecting }: Plan): boolean {
  // RFC 9110 9.3.6 and 10.1.1: the next bytes may be tunnel data, and a body may or may not follow.
  if (method === 'CONNECT' || isExpecting) return false
  return body.kind !== 'length' || body.length <= SKIPPED_BYTES
}

/** Sends a hook's Response with `requests: 'every'`, and skips the request's body. */
export class HookAnswer implements RequestBody {
  readonly #requests: RequestReader
  readonly #source: ResponseSource
  readonly #context: ExchangeContext
  /** The connection must close after the answer. */
  readonly #becameLast: () => void
  readonly #body: BodyScanner
  readonly #flow: BodyFlow
  #skipped = 0
  #isSent = false

  constructor(
    client: net.Socket,
    requests: RequestReader,
    source: ResponseSource,
    body: BodyFraming,
    context: ExchangeContext,
    becameLast: () => void,
  ) {
    this.#requests = requests
    this.#source = source
    this.#context = context
    this.#becameLast = becameLast
    this.#body = new BodyScanner(body)
    this.#flow = new BodyFlow(source, client, new BodyScanner({ kind: 'close' }), () => context.machine.refresh())
  }

  start(): void {
    const { machine, settings, failed, headSent } = this.#context
    this.#source.headSent = headSent
    machine.enter('Responding')
    machine.arm(settings.bodyTimeout, () => failed('RESPONSE_BODY_TIMEOUT'))
    this.#source.on('error', (cause) => machine.state === 'Responding' && failed('REPLY_FAILED', cause))
    this.#source.on('data', this.#send)
    this.#source.on('end', this.#sent)
    if (this.#body.state === 'more') this.#requests.readBody(this)
  }

  stop(): void {
    this.#detach()
    destroy(this.#source)
  }

  take(bytes: Buffer): number {
    const count = this.#body.push(bytes)
    this.#skipped += count
    if (this.#body.state === 'invalid' || this.#skipped > SKIPPED_BYTES) this.#endConnection()
    else if (this.#body.state === 'end') this.#skippedAll()
    return count
  }

  cut(): void {
    this.#endConnection()
  }

  #skippedAll(): void {
    this.#requests.hold()
    if (this.#isSent) this.#context.exchanged(true)
  }

  /** Ends the connection, because the start of the next request is unknown. */
  #endConnection(): void {
    if (this.#isSent) return this.#context.exchanged(false)
    this.#detach()
    this.#source.persists = false
    this.#becameLast()
  }

  #detach(): void {
    this.#source.off('data', this.#send)
    this.#source.off('end', this.#sent)
    this.#flow.stop()
  }

  readonly #send = (bytes: Buffer): void => {
    this.#context.machine.refresh()
    this.#flow.push(bytes)
  }

  readonly #sent = (): void => {
    const { machine, exchanged } = this.#context
    this.#isSent = true
    this.#detach()
    if (!this.#source.persists || this.#body.state === 'end') exchanged(this.#source.persists)
    else machine.arm(LINGER_MS, () => exchanged(false))
  }
}
