import type net from 'node:net'
import type { Duplex } from 'node:stream'
import type { Head } from '../parser/index.ts'
import { Attempt } from './attempt.ts'
import { type Dest, type Outcome, readOutcome, type StreamTarget, type Target, wrongResult } from './dest.ts'
import { EndWatch } from './end-watch.ts'
import { type ProxyError, UNANSWERED } from './error.ts'
import type { Exchanges } from './exchanges.ts'
import { forBackend } from './host-header.ts'
import { offeringHttp2, withoutHttp2, wrongProtocol } from './http2.ts'
import { connectInMemory } from './memory-socket.ts'
import { adoptReadable } from './own-stream.ts'
import type { Client } from './proxy-protocol/index.ts'
import type { RequestLine } from './response.ts'
import type { Request, RoutingContext } from './routing-context.ts'
import { after, destroy, handOver, readAll, reset, settle, unshift } from './socket.ts'

/** Maximum number of attempts for a request. An errback that never gives up could otherwise try backends forever. */
const MOST_ATTEMPTS = 100

/** How a server of this process is reached. */
const PLAIN = { tls: undefined, sendProxy: undefined, retry: true, hostHeader: undefined }
const NO_REQUEST: RequestLine = { method: '', version: '' }

/** Finds the destination of a request with `lookup` and `errback`, and connects to it. */
export class Routing {
  readonly #socket: net.Socket
  readonly #client: Client
  readonly #context: RoutingContext
  /** Finds open connections with `requests: 'every'`. */
  #exchanges: Exchanges | undefined
  #request: Request | undefined
  #requestLine = NO_REQUEST
  #dest: Dest | undefined
  /** The plain values of the last Dest that is reached over a stream. */
  #target: StreamTarget | undefined
  /** Number of attempts for this request. */
  #attempts = 0
  #attempt: Attempt | undefined
  /** Notices the end of a client whose hook waits. */
  #endWatch: EndWatch | undefined

  constructor(socket: net.Socket, client: Client, context: RoutingContext) {
    this.#socket = socket
    this.#client = client
    this.#context = context
  }

  /** The Dest that lookup or errback returned last. */
  get dest(): Dest | undefined {
    return this.#dest
  }

  /** The method and version of the received request. */
  get requestLine(): RequestLine {
    return this.#requestLine
  }

  get request(): Request {
    return this.#request!
  }

  /** The Host that the backend gets in place of the client's. Undefined: the client's own. */
  get hostHeader(): string | undefined {
    const { hostHeader } = this.#target!
    if (hostHeader === undefined) return undefined
    const { head } = this.#request!
    return head.version === 'HTTP/2.0' || head.get('host') === hostHeader ? undefined : hostHeader
  }

  /** Routes the first request of a connection. The engine does not parse later ones. */
  startFirst(head: Head, rest: Buffer): void {
    const { settings, failed } = this.#context
    const wrong = wrongProtocol(head, this.#socket, settings.http2)
    if (wrong) return failed(wrong)
    if (settings.http2 !== 'pass') withoutHttp2(head)
    const bytes = head.bytes()
    const isShown = settings.modify != null && head.version !== 'HTTP/2.0'
    // The bytes go back to the socket's buffer until the destination is known.
    unshift(this.#socket, bytes, rest)
    this.#start({ head, length: bytes.length, original: isShown ? head.clone() : undefined })
  }

  /** Routes one of several requests. */
  startNext(head: Head, original: Head | undefined, exchanges: Exchanges): void {
    this.#exchanges = exchanges
    this.#start({ head, length: 0, original })
  }

  #start(request: Request): void {
    const { machine, settings, reporter, failed } = this.#context
    const { head } = request
    machine.enter('Routing')
    reporter.requested(head)
    if (machine.state === 'Closed') return
    const requestLine = { method: head.method, version: head.version }
    this.#request = request
    this.#requestLine = requestLine
    this.#dest = undefined
    this.#attempts = 0
    settle(
      () => after(settings.lookup(head, this.#client.info), (value) => readOutcome(value, requestLine)),
      (outcome) => this.#follow(outcome),
      (cause) => {
        this.#unwatchEnd()
        if (machine.state === 'Routing') failed('LOOKUP_FAILED', cause)
      },
    )
  }

  /** Calls `left` if the client ends its side before the running hook returns. */
  watchEnd(left: () => void): void {
    const { machine } = this.#context
    if (machine.state !== 'Routing' || this.#endWatch) return
    const ended = () => machine.state === 'Routing' && left()
    this.#endWatch = new EndWatch(this.#socket, this.#exchanges === undefined, ended)
    if (this.#socket.readableEnded) ended()
  }

  #unwatchEnd(): void {
    this.#endWatch?.stop()
    this.#endWatch = undefined
  }

  /** Whether errback may be asked what to do after an error. */
  mayRecover({ code, status }: ProxyError): boolean {
    const { state } = this.#context.machine
    if (state === 'Routing' || state === 'Connecting') return status !== undefined
    return state === 'AwaitingResponse' && this.#exchanges !== undefined && UNANSWERED.has(code)
  }

  /** Ends the current attempt or exchange, and asks errback what to do after an error. */
  recover(error: ProxyError): void {
    const { machine, settings, dropBackend, refused } = this.#context
    const { errback } = settings
    if (machine.state !== 'Routing') machine.enter('Routing')
    this.#exchanges?.interrupt()
    dropBackend()
    if (!errback || this.#attempts >= MOST_ATTEMPTS) return refused(error)
    const { head } = this.#request!
    settle(
      () => after(errback(error, this.#dest, head), (value) => adoptReadable(readOutcome(value, this.#requestLine))),
      (outcome) => this.#follow(outcome, error),
      (cause) => this.#errbackFailed(error, cause),
    )
  }

  /** Does what lookup returned, or errback after this error. */
  #follow(outcome: Outcome, error?: ProxyError): void {
    this.#unwatchEnd()
    const { machine, reporter, answered, failed, dropped, refused } = this.#context
    const isCurrent = machine.state === 'Routing'
    if (outcome.kind === 'response' || (outcome.kind === 'readable' && error)) {
      if (isCurrent) answered(outcome.source)
      // The connection ended while the hook was running.
      else destroy(outcome.source)
    } else if (!isCurrent) return
    else if (outcome.kind === 'dest') {
      if (error?.requestSent && !this.#maySendAgain(outcome.target)) return refused(error)
      if (error?.phase === 'response') reporter.retried()
      this.#go(outcome)
    } else if (!error) failed('NO_DESTINATION', outcome.kind === 'nothing' ? undefined : wrongResult('lookup', outcome))
    else if (outcome.kind !== 'nothing') this.#errbackFailed(error, wrongResult('errback', outcome))
    else if (error.requestSent) refused(error)
    else dropped()
  }

  /** Whether a request that one backend may have received can go to another one. */
  #maySendAgain(target: Target): boolean {
    return this.#isReplayable && (target.kind === 'server' || target.retry)
  }

  #errbackFailed(error: ProxyError, cause: unknown): void {
    this.#unwatchEnd()
    const { machine, reporter, refused } = this.#context
    if (machine.state !== 'Routing') return
    reporter.failed('ERRBACK_FAILED', cause, error.phase)
    if (machine.state === 'Routing') refused(error)
  }

  #go({ dest, target }: { dest: Dest; target: Target }): void {
    const { machine, reporter, failed } = this.#context
    const request = this.#request!
    this.#dest = dest
    reporter.routed(request.head, dest)
    if (machine.state === 'Closed') return
    try {
      if (this.#exchanges) request.head = this.#exchanges.check(request.head)
    } catch (cause) {
      this.#attempts++
      setImmediate(() => machine.state === 'Routing' && failed('LOOKUP_FAILED', cause))
      return
    }
    if (target.kind !== 'server') return this.#connect(target)
    const { server } = target
    if (!this.#exchanges) return this.#handOver(server)
    const connect = () => connectInMemory(server, this.#client.info)
    this.#connect({ kind: 'connect', connect, source: server, ...PLAIN })
  }

  #handOver(server: net.Server): void {
    const { machine, reporter } = this.#context
    machine.enter('HandedOver')
    reporter.connected(this.#dest!, false)
    if (machine.state === 'HandedOver') handOver(this.#socket, server, () => this.takeBytes())
  }

  #connect(given: StreamTarget): void {
    const { machine, connected } = this.#context
    const isHttp2 = this.#requestLine.version === 'HTTP/2.0'
    const target = isHttp2 && given.tls ? { ...given, tls: offeringHttp2(given.tls) } : given
    this.#target = target
    machine.enter('Connecting')
    const open = this.#exchanges?.reuse(target)
    if (open) connected(open, true)
    else this.#attemptTo(target)
  }

  /** Removes and returns the request's head, and the bytes that arrived after it. */
  takeBytes(hostHeader?: string): Buffer[] {
    const { head, length } = this.#request!
    this.#request = undefined
    return [forBackend(head, hostHeader).bytes(), readAll(this.#socket).subarray(length)]
  }

  /** Whether the request may be sent twice. */
  get #isReplayable(): boolean {
    return this.#exchanges!.isReplayable && this.#target!.retry
  }

  /** Sends the request on a fresh connection. Fails with BACKEND_RESET if the request or the Dest forbids that. */
  replay(cause?: Error): void {
    const { reporter, failed } = this.#context
    if (!this.#isReplayable) return failed('BACKEND_RESET', cause)
    reporter.retried()
    this.again()
  }

  /** Sends the request on a fresh connection. */
  again(): void {
    const { machine, dropBackend } = this.#context
    dropBackend(destroy)
    machine.enter('Connecting')
    this.#attemptTo(this.#target!)
  }

  #attemptTo(target: StreamTarget): void {
    const { machine, settings, reporter, sessions, failed, connected } = this.#context
    reporter.connecting(this.#dest!)
    if (machine.state !== 'Connecting') return
    const number = ++this.#attempts
    machine.arm(settings.connectTimeout, () => {
      this.#attempt?.destroy()
      this.#exchanges?.connectFailed()
      failed('CONNECT_TIMEOUT')
    })
    const events = {
      connected: (upstream: Duplex) => {
        if (machine.state !== 'Connecting') return reset(upstream.on('error', () => undefined))
        this.#attempt = undefined
        connected(upstream, false)
      },
      failed: (cause: unknown) => {
        this.#exchanges?.connectFailed()
        failed('CONNECT_FAILED', cause)
      },
    }
    // A stream of the user's own has the key of its `connect`, which may be another function each time.
    const used = target.kind === 'connect' ? undefined : sessions
    const attempt = new Attempt(target, settings, () => this.#client.ends, events, used)
    // The user's `connect` runs in the constructor. It may have ended this connection or connected at once, and errback
    // may have started another attempt since.
    if (machine.state !== 'Connecting') attempt.destroy()
    else if (this.#attempts === number) this.#attempt = attempt
  }

  /** Ends the current attempt with this cause, if there is any. */
  giveUp(cause: Error): void {
    this.#attempt?.fail(cause)
  }

  /** Ends the current attempt without an event. */
  abandon(): void {
    this.#attempt?.destroy()
    this.#attempt = undefined
  }

  /** Ends the current attempt, and forgets the request. */
  stop(): void {
    this.abandon()
    this.#request = undefined
    this.#exchanges = undefined
  }

  /** The request was answered. */
  finish(): void {
    this.#request = undefined
    this.#requestLine = NO_REQUEST
  }
}
