import type net from 'node:net'
import type { Duplex } from 'node:stream'
import type { BodyFraming, Head, HeadError } from '../parser/index.ts'
import { BackendConnection } from './backend-connection.ts'
import type { Dest, StreamTarget } from './dest.ts'
import { Exchange } from './exchange.ts'
import type { ExchangeContext } from './exchange-context.ts'
import { checkFraming } from './framing.ts'
import { canSkip, HookAnswer } from './hook-answer.ts'
import { forBackend } from './host-header.ts'
import { wrongProtocol } from './http2.ts'
import { isConnectWithBody, isIdempotent, type Plan, planRequest } from './plan.ts'
import { isShared, keyOf, type Pool } from './pool.ts'
import { RequestReader, type RequestReaderEvents } from './request-reader.ts'
import type { ResponseSource } from './response.ts'
import { DRAIN_IDLE_MS } from './states.ts'

/** The part of a Connection that its Exchanges use. */
export interface ExchangesContext extends ExchangeContext {
  readonly pool: Pool
  /** A request has arrived. `original` is the received head, for modify. */
  requested(head: Head, original: Head | undefined): void
  /** The HTTP/2 preface has arrived, and may pass. `rest` are the bytes after it. */
  prefaced(head: Head, rest: Buffer): void
  /** The client has ended its side between two requests. */
  left(): void
  /** Sends an answer and closes the connection. */
  answerLast(source: ResponseSource): void
}

/**
 * Serves the requests of a connection with `requests: 'every'`. Owns their reader, the current exchange, and the
 * backend connections that the exchange may use.
 */
export class Exchanges implements RequestReaderEvents {
  readonly #client: net.Socket
  readonly #context: ExchangesContext
  readonly #requests: RequestReader
  #plan: Plan | undefined
  #isIdempotent = false
  /** The request's body, if all of it arrived with the head. */
  #body: Buffer | undefined
  #target: { readonly key: string; readonly isShared: boolean; readonly hostHeader: string | undefined } | undefined
  /** The backend connection of the current exchange. */
  #backend: BackendConnection | undefined
  /** The backend connection of the last request. It is in the pool, unless another client uses it. */
  #last: BackendConnection | undefined
  #exchange: Exchange | HookAnswer | undefined
  /** Part of the request's body went to a backend and is gone. */
  #isBodySpent = false
  /** Number of requests so far. */
  #count = 0
  /** When the last exchange ended (`performance.now()`). */
  #idleSince = 0

  constructor(client: net.Socket, context: ExchangesContext) {
    this.#client = client
    this.#context = context
    this.#requests = new RequestReader(client, context.settings, this)
  }

  /** Whether the client is between two requests, and no byte of the next one has arrived. */
  get isIdle(): boolean {
    return this.#count > 0 && this.#context.machine.state === 'AwaitingHead' && this.#requests.isEmpty
  }

  /** Whether the client has been between two requests for `ms` ms. */
  hasIdled(ms: number): boolean {
    return this.isIdle && performance.now() - this.#idleSince >= ms
  }

  /** Whether the request may be sent again after a reused connection failed. */
  get isReplayable(): boolean {
    return this.#isIdempotent && (this.#plan!.body.kind === 'none' || this.#body !== undefined)
  }

  begun(): void {
    const { machine, settings, failed } = this.#context
    // The time-out of the first head started at accept.
    if (this.#count > 0) machine.arm(settings.headTimeout, () => failed('HEAD_TIMEOUT'))
  }

  invalid(error: HeadError): void {
    this.#context.failed('BAD_HEAD', error)
  }

  ended(error?: HeadError): void {
    if (error) this.#context.failed('BAD_HEAD', error)
    else this.#context.left()
  }

  endedAfterRequest(): void {
    if (this.#exchange instanceof Exchange) this.#exchange.clientEnded()
  }

  head(head: Head): void {
    const { settings, failed, requested, prefaced } = this.#context
    this.#count++
    const wrong = this.#count === 1 ? wrongProtocol(head, this.#client, settings.http2) : undefined
    if (wrong) return failed(wrong)
    if (head.version === 'HTTP/2.0') {
      // RFC 9113 3.4: nothing may precede the preface.
      if (this.#count > 1) return failed('HTTP2_REFUSED')
      return prefaced(head, this.#requests.stop())
    }
    if (isConnectWithBody(head)) return failed('BAD_REQUEST_BODY')
    const original = settings.modify ? head.clone() : undefined
    this.#plan = planRequest(head)
    this.#body = this.#requests.takeWhole(this.#plan.body)
    requested(head, original)
  }

  /**
   * Checks the request head after lookup, and returns a copy to send. Hooks that kept the head may change it later.
   * Throws the errors of `checkFraming`.
   */
  check(head: Head): Head {
    checkFraming(head, this.#plan!.framing)
    this.#isIdempotent = isIdempotent(head)
    return head.clone()
  }

  /**
   * Finds an open connection for the request. A request that may be sent again can use the connection of any client.
   * Other requests use the connection of this client's last request. Returns undefined if there is none. Before a FIN,
   * no request may be sent again: the FIN itself may be why the backend closes.
   */
  reuse(target: StreamTarget): Duplex | undefined {
    const wanted = { key: keyOf(target), isShared: isShared(target), hostHeader: target.hostHeader }
    this.#target = wanted
    this.#backend = this.#find(wanted.key, target.retry && this.isReplayable && !this.#requests.isDone)
    return this.#backend?.stream
  }

  /** Starts the exchange of a request with a connected backend. */
  start(stream: Duplex, head: Head, original: Head | undefined, dest: Dest): void {
    const { settings } = this.#context
    const { key, isShared, hostHeader } = this.#target!
    const backend = this.#backend ?? new BackendConnection(stream, key, !isShared, settings)
    backend.owner = this
    this.#backend = backend
    const sent = forBackend(head, hostHeader)
    const mapped = sent === head ? undefined : hostHeader
    const request = { head: sent, body: this.#body, original, plan: this.#plan!, dest, hostHeader: mapped }
    const exchange = new Exchange(this.#client, this.#requests, backend, request, this.#context)
    this.#exchange = exchange
    exchange.start()
  }

  /** Answers a request with a hook's Response. */
  answer(source: ResponseSource): void {
    const plan = this.#plan!
    source.persists =
      plan.persists && !this.#isBodySpent && canSkip(plan) && !this.#requests.isDone && !this.#context.isDraining()
    const answerLast = () => {
      this.#exchange = undefined
      this.#context.answerLast(source)
    }
    if (!source.persists) return answerLast()
    const body: BodyFraming = this.#body ? { kind: 'none' } : plan.body
    const answer = new HookAnswer(this.#client, this.#requests, source, body, this.#context, answerLast)
    this.#exchange = answer
    answer.start()
  }

  /** Closes the idle connections to the destination, because a connect to it failed. */
  connectFailed(): void {
    if (this.#target?.isShared) this.#context.pool.empty(this.#target.key)
  }

  /** Ends the exchange. Keeps the backend connection for another one, or destroys it. */
  release(): void {
    const backend = this.#backend
    const isReusable = this.#exchange instanceof Exchange && this.#exchange.isBackendReusable
    this.abandon()
    if (!backend) return
    if (!isReusable) return backend.destroy()
    this.#last = backend
    this.#context.pool.put(backend)
  }

  /** Reads the next request. */
  next(): void {
    const { machine, settings, isDraining, left } = this.#context
    machine.enter('AwaitingHead')
    // The response may have told the client, before the drain began, that it can send another request.
    machine.arm(isDraining() ? DRAIN_IDLE_MS : settings.keepAliveTimeout, left)
    this.#idleSince = performance.now()
    this.#plan = undefined
    this.#body = undefined
    this.#isBodySpent = false
    this.#requests.next()
  }

  /** Ends the current exchange before its response. The request goes elsewhere, or gets another answer. */
  interrupt(): void {
    if (this.#exchange) this.#isBodySpent = this.#plan!.body.kind !== 'none' && !this.#body
    this.abandon()
    this.#requests.hold()
  }

  /** Ends the current exchange. The client is not read. */
  abandon(): void {
    this.#exchange?.stop()
    this.#exchange = undefined
    this.#backend = undefined
  }

  /** Releases both sides. */
  stop(): void {
    this.abandon()
    const last = this.#takeLast()
    if (last?.isPrivate) this.#context.pool.take(last.key, last)?.destroy()
    this.#requests.stop()
  }

  /** The backend connection of the last request, unless another client has used it since. It may be theirs alone now. */
  #takeLast(): BackendConnection | undefined {
    const last = this.#last
    this.#last = undefined
    return last?.owner === this ? last : undefined
  }

  #find(key: string, isAnyRight: boolean): BackendConnection | undefined {
    const { pool } = this.#context
    const last = this.#takeLast()
    if (last?.isPrivate) {
      const own = pool.take(last.key, last)
      if (own?.key === key) return own
      own?.destroy()
    }
    if (isAnyRight) return pool.take(key)
    return last?.key === key ? pool.take(key, last) : undefined
  }
}
