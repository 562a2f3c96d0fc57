import type net from 'node:net'
import { type BodyError, type BodyFraming, BodyScanner, type Head } from '../parser/index.ts'
import type { BackendConnection } from './backend-connection.ts'
import { Download, type DownloadEvents } from './download.ts'
import type { ProxyErrorCode } from './error.ts'
import type { ExchangeContext, Outgoing } from './exchange-context.ts'
import { checkFraming } from './framing.ts'
import { forClient } from './host-header.ts'
import { InterimHeads } from './interim-heads.ts'
import { announce, isUnasked, mayPersist, planResponse, type ResponsePlan } from './plan.ts'
import { isInterim } from './reader.ts'
import type { RequestReader } from './request-reader.ts'
import { RequestSender, type RequestSenderUser } from './request-sender.ts'
import { settle, writeTogether } from './socket.ts'
import { LINGER_MS } from './states.ts'

const NOTHING: Buffer = Buffer.alloc(0)

/** One request and its response, with `requests: 'every'`. */
export class Exchange implements RequestSenderUser, DownloadEvents {
  readonly #client: net.Socket
  readonly #requests: RequestReader
  readonly #backend: BackendConnection
  readonly #request: Outgoing
  readonly #context: ExchangeContext
  readonly #sender: RequestSender
  #interims: InterimHeads | undefined
  /** Sends the response's body, unless all of it arrived with the head. */
  #download: Download | undefined
  #isResponseDone = false
  /** The backend has sent a byte. */
  #hasAnswered = false
  #isOver = false
  #response: ResponsePlan | undefined
  /** No byte followed the response. */
  #isClean = true
  /** The response told the client that its connection continues. */
  #persists = false
  /** Bytes after the response head, kept while modify runs. */
  #rest: Buffer = NOTHING
  /** How the backend ended while modify was running. */
  #end: { readonly cause: Error | undefined; readonly isGone: boolean } | undefined

  constructor(
    client: net.Socket,
    requests: RequestReader,
    backend: BackendConnection,
    request: Outgoing,
    context: ExchangeContext,
  ) {
    this.#client = client
    this.#requests = requests
    this.#backend = backend
    this.#request = request
    this.#context = context
    this.#sender = new RequestSender(requests, backend, request, context, this)
  }

  get keepsUp(): boolean {
    return this.#download?.keepsUp === true
  }

  /** Whether the backend's connection can be used for another exchange. */
  get isBackendReusable(): boolean {
    const { plan } = this.#request
    const { isDone, isEndPassed } = this.#sender
    const { isOver, isPrivate, stream } = this.#backend
    const areDone = isDone && this.#isResponseDone && this.#isClean && !isEndPassed
    // A backend that answers early may read no further. Another client's request would wait behind this one.
    const isSent = isPrivate || stream.writableLength === 0
    const isFree = this.#download?.isBackendReusable !== false && !isOver
    return areDone && isSent && isFree && plan.keepsBackend && this.#response?.keepsBackend === true
  }

  /** Sends the request. */
  start(): void {
    this.#sender.start()
  }

  /** The client has ended its side after the request. */
  clientEnded(): void {
    this.#sender.passEnd()
  }

  /** Releases both sides. */
  stop(): void {
    this.#context.timeout.release()
    this.#backend.user = undefined
    this.#backend.lends(false)
    this.#sender.stop()
    this.#interims?.stop()
    this.#download?.stop()
  }

  received(bytes: Buffer, done?: () => void): void {
    switch (this.#context.machine.state) {
      case 'AwaitingResponse':
        if (!this.#hasAnswered) this.#context.reporter.answered()
        this.#hasAnswered = true
        return this.#readHead(bytes)
      case 'Modifying':
        this.#rest = Buffer.concat([this.#rest, bytes])
        return
      default:
        this.#download!.take(bytes, done)
    }
  }

  backendEnded(): void {
    const { state } = this.#context.machine
    if (state === 'AwaitingResponse') return this.#unanswered()
    if (state === 'Modifying') this.#end ??= { cause: undefined, isGone: false }
    else this.#download?.cut()
  }

  backendGone(cause?: Error): void {
    const { state } = this.#context.machine
    if (state === 'AwaitingResponse') return this.#unanswered(cause)
    if (state === 'Modifying') this.#end ??= { cause, isGone: true }
    else if (state === 'Responding' && !this.#isResponseDone) this.#endedEarly('BACKEND_RESET', cause)
  }

  #unanswered(cause?: Error): void {
    const isStale = this.#backend.requests > 1 && !this.#hasAnswered && !this.#sender.isEndPassed
    if (isStale) this.#context.stale(cause)
    else this.#endedEarly('NO_RESPONSE', cause)
  }

  /** The backend has ended or reset its side too early. After the client's FIN that is the client's doing. */
  #endedEarly(code: ProxyErrorCode, cause?: Error): void {
    if (this.#sender.isEndPassed) this.#context.failed('CLIENT_GONE')
    else this.#context.failed(code, cause)
  }

  /** This is an error only if the response is not complete. */
  requestFailed(error: BodyError | undefined): void {
    if (this.#isResponseDone) this.#exchanged(false)
    else this.#context.failed('BAD_REQUEST_BODY', error)
  }

  requestEnded(): void {
    const { machine, timeout } = this.#context
    if (this.#isResponseDone) return this.#exchanged(this.#persists)
    if (machine.state === 'AwaitingResponse') timeout.start('response head', this.#backend.stream)
    this.#sender.passEnd()
  }

  /** Passes interim heads to the client, and the final head to modify. */
  #readHead(bytes: Buffer): void {
    const { scanner } = this.#backend
    for (let more = bytes; more.length > 0; ) {
      const verdict = scanner.push(more)
      if (verdict === 'more') return
      if (verdict === 'invalid') return this.#context.failed('BAD_RESPONSE_HEAD', scanner.error)
      const head = scanner.head!
      more = scanner.rest
      scanner.reset()
      if (!isInterim(head)) return this.#modify(head, more)
      this.#sender.gotInterim(head.status)
      // RFC 9110 15.2: an HTTP/1.0 client does not expect interim responses.
      if (this.#request.plan.version === 'HTTP/1.0') continue
      this.#interims ??= new InterimHeads(this.#client, this.#backend.stream)
      this.#interims.pass(head, this.#context.headSent)
    }
  }

  #modify(head: Head, rest: Buffer): void {
    const { machine, settings, failed } = this.#context
    const { plan, dest, original, hostHeader } = this.#request
    this.#interims?.stop()
    if (isUnasked(plan, head)) return failed('UNASKED_UPGRADE')
    const response = planResponse(head, plan, this.#request.head)
    if (hostHeader !== undefined) forClient(head, hostHeader)
    this.#response = response
    this.#backend.idleLimit = response.idleLimit
    if (response.isLogin) this.#backend.isPrivate = true
    machine.enter('Modifying')
    this.#rest = rest
    const { modify } = settings
    if (!modify) return this.#check(head, response)
    settle(
      () => modify(head, dest, original!),
      () => machine.state === 'Modifying' && this.#check(head, response),
      (cause) => machine.state === 'Modifying' && failed('MODIFY_FAILED', cause),
    )
    if (machine.state === 'Modifying') this.#backend.stream.pause()
  }

  #check(head: Head, response: ResponsePlan): void {
    try {
      checkFraming(head, response.framing)
    } catch (cause) {
      return this.#context.failed('MODIFY_FAILED', cause)
    }
    this.#context.reporter.responded(head.status, head)
    if (this.#context.machine.state !== 'Modifying') return
    if (response.isSwitch) this.#switch(head)
    else this.#respond(head, response)
  }

  #switch(head: Head): void {
    const held = this.#requests.stop()
    this.stop()
    this.#backend.handOn()
    const bytes = head.bytes()
    this.#context.headSent(bytes.length)
    this.#context.tunnelled(this.#backend.stream, held, [bytes, this.#rest])
  }

  #respond(head: Head, { body }: ResponsePlan): void {
    const { machine, failed, timeout } = this.#context
    const rest = this.#rest
    this.#rest = NOTHING
    const length = body.kind === 'none' ? 0 : body.kind === 'length' ? body.length : Number.POSITIVE_INFINITY
    if (length <= rest.length) return this.#respondWhole(head, length, rest)
    const scanner = new BodyScanner(body)
    // RFC 9112 6.1: an HTTP/1.0 client does not know chunks.
    const isDataOnly = body.kind === 'chunked' && this.#request.plan.version === 'HTTP/1.0'
    const pieces: Uint8Array[] | undefined = isDataOnly ? [] : undefined
    const count = scanner.push(rest, pieces)
    if (scanner.state === 'invalid') return failed('BAD_RESPONSE_BODY', scanner.error)
    const isWhole = scanner.state === 'end'
    this.#persists = this.#mayPersist(body.kind) && (this.#sender.isWhole || !isWhole)
    announce(head, this.#request.plan, this.#persists)
    machine.enter('Responding')
    timeout.start('response body', this.#backend.stream)
    this.#send(head, ...(pieces ?? [rest.subarray(0, count)]))
    this.#isClean = count === rest.length
    const { stream } = this.#backend
    stream.resume()
    if (isWhole) return this.responseEnded()
    this.#download = new Download(this.#client, this.#backend, scanner, isDataOnly, this.#context, this)
    if (this.#end?.isGone) this.backendGone(this.#end.cause)
    else if (this.#end) this.backendEnded()
  }

  /** Sends a response whose body of `length` bytes has arrived. */
  #respondWhole(head: Head, length: number, rest: Buffer): void {
    this.#persists = this.#mayPersist('length') && this.#sender.isWhole
    announce(head, this.#request.plan, this.#persists)
    this.#context.machine.enter('Responding')
    this.#isClean = length === rest.length
    this.#send(head, this.#isClean ? rest : rest.subarray(0, length))
    this.#backend.stream.resume()
    this.responseEnded()
  }

  #send(head: Head, ...body: Uint8Array[]): void {
    const bytes = head.bytes()
    this.#context.headSent(bytes.length)
    writeTogether(this.#client, bytes, ...body)
  }

  #mayPersist(body: BodyFraming['kind']): boolean {
    const isWanted = mayPersist(this.#request.plan, body, this.#sender.isWhole)
    return isWanted && !this.#requests.isDone && !this.#context.isDraining()
  }

  responseCut(error: BodyError): void {
    this.#endedEarly('BAD_RESPONSE_BODY', error)
  }

  responseEnded(): void {
    this.#isResponseDone = true
    this.stop()
    if (this.#sender.isDone) return this.#exchanged(this.#persists)
    // The upload called this while it sent the last bytes, and ends the exchange afterwards.
    if (this.#sender.isWhole) return
    // RFC 9112 9.6: closing with unread bytes could lose the response, so read and drop the rest of the request.
    this.#context.dropBackend()
    if (this.#persists) this.#context.machine.arm(LINGER_MS, () => this.#exchanged(false))
    this.#sender.discard()
    if (!this.#persists) this.#exchanged(false)
  }

  /** Ends the exchange once. Dropping the rest of the request may have ended it already. */
  #exchanged(persists: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#context.exchanged(persists)
  }
}
