import net from 'node:net'
import type { BodyError } from '../parser/index.ts'
import type { BackendConnection, BackendUser } from './backend-connection.ts'
import type { ExchangeContext, Outgoing } from './exchange-context.ts'
import { isLogin } from './plan.ts'
import type { RequestReader } from './request-reader.ts'
import { writeTogether } from './socket.ts'
import { Upload, type UploadEvents } from './upload.ts'

/** The exchange of the request. */
export interface RequestSenderUser extends BackendUser, UploadEvents {}

function turnEnded(sender: RequestSender): void {
  sender.sendNow()
}

/** Sends one request to a backend, and the client's FIN if one follows. */
export class RequestSender implements UploadEvents {
  readonly #requests: RequestReader
  readonly #backend: BackendConnection
  readonly #request: Outgoing
  readonly #context: ExchangeContext
  readonly #user: RequestSenderUser
  /** Sends the body, unless all of it arrived with the head. */
  #upload: Upload | undefined
  #isDone = false
  #isEndPassed = false
  /** Sends the request at the end of the event loop's turn. */
  #waiting: NodeJS.Immediate | undefined

  constructor(
    requests: RequestReader,
    backend: BackendConnection,
    request: Outgoing,
    context: ExchangeContext,
    user: RequestSenderUser,
  ) {
    this.#requests = requests
    this.#backend = backend
    this.#request = request
    this.#context = context
    this.#user = user
  }

  /** Whether the last byte was written, and the exchange knows. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** Whether the last byte was written, or is being written. */
  get isWhole(): boolean {
    return this.#isDone || this.#upload?.isWhole === true
  }

  /** Whether the client's FIN went to the backend. */
  get isEndPassed(): boolean {
    return this.#isEndPassed
  }

  /**
   * Sends the request. A reused socket gets it at the end of the event loop's turn. Bytes or an end that arrive before
   * that do not answer this request. The request then goes to a fresh connection.
   */
  start(): void {
    this.#context.machine.enter('AwaitingResponse')
    if (this.#backend.requests++ === 0 || !(this.#backend.stream instanceof net.Socket)) return this.#send()
    this.#waiting = setImmediate(turnEnded, this)
  }

  /** The turn of the event loop in which the exchange started has ended. */
  sendNow(): void {
    this.#waiting = undefined
    if (this.#backend.isOver) this.#context.unsent()
    else this.#send()
  }

  /** Sends the head and the part of the body that has arrived. The rest follows as it arrives. */
  #send(): void {
    const { head, body, plan } = this.#request
    const { stream } = this.#backend
    this.#backend.user = this.#user
    this.#context.reporter.sent()
    if (isLogin(head)) this.#backend.isPrivate = true
    if (body || plan.body.kind === 'none') {
      this.#isDone = true
      this.#context.timeout.start('response head', stream)
      if (body) writeTogether(stream, head.bytes(), body)
      else stream.write(head.bytes())
      return this.passEnd()
    }
    this.#upload = new Upload(this.#requests, stream, plan, this.#context, this)
    stream.cork()
    stream.write(head.bytes())
    this.#requests.readBody(this.#upload)
    stream.uncork()
  }

  /** An interim response head has arrived. */
  gotInterim(status: number): void {
    if (this.#upload) this.#upload.gotInterim(status)
    else this.#context.timeout.responseMoved()
  }

  requestEnded(): void {
    this.#isDone = true
    this.#requests.hold()
    this.#user.requestEnded()
  }

  requestFailed(error: BodyError | undefined): void {
    this.#user.requestFailed(error)
  }

  /**
   * Passes the client's FIN on after the request, if it has come: most servers stop working for a client that has left.
   * A response that comes nevertheless is sent. After CONNECT or with Upgrade, the FIN belongs behind the response.
   */
  passEnd(): void {
    if (this.#isEndPassed || this.#waiting || this.#request.plan.isHeld) return
    if (!this.#isDone || !this.#requests.isDone) return
    this.#isEndPassed = true
    this.#backend.stream.end()
  }

  /** Reads the rest of the body and drops it. */
  discard(): void {
    this.#upload!.discard()
  }

  /** Releases client and backend. */
  stop(): void {
    clearImmediate(this.#waiting)
    this.#upload?.stop()
  }
}
