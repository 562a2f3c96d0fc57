import type net from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import { HeadScanner } from '../parser/index.ts'
import { Answer } from './answer.ts'
import type { ClientInfo } from './client-info.ts'
import type { Dest } from './dest.ts'
import type { ProxyError, ProxyErrorCode } from './error.ts'
import { Exchanges } from './exchanges.ts'
import { hasNegotiatedHttp2 } from './http2.ts'
import { PhaseTimeout } from './phase-timeout.ts'
import { Client } from './proxy-protocol/index.ts'
import { HeadReader } from './reader.ts'
import { reply } from './reply.ts'
import { type Owner, Reporter } from './reporter.ts'
import { ResponseSource } from './response.ts'
import { Routing } from './routing.ts'
import type { RoutingContext } from './routing-context.ts'
import { destroy, readRest, reset, tune } from './socket.ts'
import { type ConnectionState, StateMachine } from './states.ts'
import { BackendSocket, Tunnel } from './tunnel/index.ts'

/** One accepted connection, from its first byte until both sockets are closed. */
export class Connection {
  readonly #client: Client
  readonly #owner: Owner<Connection>
  readonly #socket: net.Socket
  readonly #machine: StateMachine
  readonly #context: RoutingContext
  readonly #reporter: Reporter
  readonly #routing: Routing
  /** Set with `requests: 'every'`, until the connection becomes a tunnel. */
  #exchanges: Exchanges | undefined
  #upstream: Duplex | undefined
  #reader: { stop(): void } | undefined
  #tunnel: Tunnel | undefined
  #answer: Answer | undefined
  /** `destroy` was called. A listener of its error may call it again. */
  #isDestroyed = false

  constructor(socket: net.Socket, owner: Owner<Connection>) {
    this.#owner = owner
    this.#socket = socket
    this.#client = new Client(socket)
    const { refusal, hasHeader } = this.#client
    const mustAnnounce = owner.settings.proxyProtocol !== undefined && !hasHeader
    this.#machine = new StateMachine(refusal || mustAnnounce ? 'AwaitingProxyHeader' : 'AwaitingHead', owner.sweep)
    this.#reporter = new Reporter(this, owner)
    this.#context = {
      settings: owner.settings,
      machine: this.#machine,
      reporter: this.#reporter,
      sessions: owner.pool?.sessions,
      failed: (code, cause) => this.#fail(code, cause),
      headSent: (length) => this.#reporter.headSent(length),
      over: () => this.#close(),
      connected: (upstream, isReused) => this.#connected(upstream, isReused),
      answered: (source) => this.#answered(source),
      refused: (error) => this.#refuse(error),
      dropped: () => this.#abort(),
      dropBackend: (end) => this.#dropUpstream(end),
    }
    this.#routing = new Routing(socket, this.#client, this.#context)
    // These listeners stay, because an 'error' without a listener would end the process.
    socket.on('error', (cause) => this.#clientGone(cause))
    socket.on('close', () => this.#clientGone())
    tune(socket, owner.settings)
    this.#reporter.opened()
    if (this.state === 'Closed') return
    if (socket.destroyed) this.#close()
    // A socket that was reset no longer knows its peer's address, so lookup could not tell who sent the request.
    else if (this.#client.hasLeft) readRest(socket, () => this.#fail('CLIENT_RESET'))
    else if (refusal) this.#fail(refusal.code, refusal.cause)
    else if (mustAnnounce) this.#awaitProxyHeader()
    else this.#awaitHead(owner.settings.headTimeout)
  }

  get client(): ClientInfo {
    return this.#client.info
  }

  get state(): ConnectionState {
    return this.#machine.state
  }

  /** The Dest that lookup or errback returned last. */
  get dest(): Dest | undefined {
    return this.#routing.dest
  }

  /** Number of bytes received from the client so far, heads included. */
  get bytesRead(): number {
    return this.#socket.bytesRead ?? 0
  }

  /** Number of bytes sent to the client so far, heads included. */
  get bytesWritten(): number {
    return this.#socket.bytesWritten ?? 0
  }

  /** How many of `bytesWritten` are response heads. Those that pass unread do not count. */
  get headBytesWritten(): number {
    return this.#reporter.headBytes
  }

  /** Whether the client has sent no byte of a request yet. */
  get isSilent(): boolean {
    if (this.state === 'AwaitingProxyHeader') return true
    return this.state === 'AwaitingHead' && this.bytesRead === this.#client.headerBytes
  }

  /** Whether the client has ended its side (FIN). It may still read. */
  get hasClientEnded(): boolean {
    return this.#socket.readableEnded
  }

  /** Closes the connection if its last response ended at least `ms` ms ago, and no byte of a next request arrived. */
  closeIdle(ms = 0): void {
    if (this.#exchanges?.hasIdled(ms)) this.#end()
  }

  /** Turns on TCP keep-alive probes for both sides. Further calls change nothing. */
  keepAlive(): void {
    const { keepAliveInitialDelay } = this.#owner.settings
    this.#socket.setKeepAlive?.(true, keepAliveInitialDelay)
    if (this.#upstream instanceof BackendSocket) this.#upstream.setKeepAlive(true, keepAliveInitialDelay)
  }

  /** Ends the attempt to connect that is running, with CONNECT_FAILED and this cause. errback may name another backend. */
  giveUp(cause: Error): void {
    this.#routing.giveUp(cause)
  }

  /** For a hook that waits: fails with CLIENT_GONE if the client ends its side before the running hook returns. */
  abortOnClose(): void {
    this.#routing.watchEnd(() => this.#fail('CLIENT_GONE'))
  }

  /** Ends the connection with the error DESTROYED, and resets both sides. Does nothing if it is closed. */
  destroy(): void {
    if (this.state === 'Closed' || this.#isDestroyed) return
    this.#isDestroyed = true
    this.#reporter.failed('DESTROYED')
    this.#abort()
  }

  #awaitProxyHeader(): void {
    this.#reader = this.#client.receiveHeader(this.#socket, this.#owner.settings, {
      done: (timeout) => {
        this.#machine.enter('AwaitingHead')
        this.#awaitHead(timeout)
      },
      refused: (code, cause) => this.#fail(code, cause),
      ended: () => this.#close(),
    })
  }

  #awaitHead(timeout: number): void {
    const { settings } = this.#owner
    this.#machine.arm(timeout, () => this.#fail('HEAD_TIMEOUT'))
    if (settings.requests === 'every') return this.#serveEvery()
    const scanner = new HeadScanner('request', settings)
    this.#reader = new HeadReader(this.#socket, scanner, {
      done: (head, rest) => {
        this.#reader = undefined
        this.#routing.startFirst(head, rest)
      },
      invalid: (error) => this.#fail('BAD_HEAD', error),
      ended: () => (this.isSilent ? this.#close() : this.#fail('BAD_HEAD', scanner.end())),
    })
  }

  #serveEvery(): void {
    this.#exchanges = new Exchanges(this.#socket, {
      ...this.#context,
      timeout: new PhaseTimeout(this.#context),
      pool: this.#owner.pool!,
      isDraining: () => this.#owner.isDraining,
      requested: (head, original) => this.#routing.startNext(head, original, this.#exchanges!),
      prefaced: (head, rest) => {
        this.#exchanges = undefined
        this.#routing.startFirst(head, rest)
      },
      exchanged: (persists) => this.#exchanged(persists),
      left: () => this.#end(),
      answerLast: (source) => this.#startAnswer().sendFrom(source),
      tunnelled: (backend, up, down) => {
        this.#exchanges = undefined
        this.#routing.stop()
        this.#tunnel = new Tunnel(this.#socket, backend, this.dest!, undefined, this.#context)
        this.#tunnel.startSwitched(up, down)
      },
      stale: (cause) => this.#routing.replay(cause),
      unsent: () => this.#routing.again(),
    })
  }

  #connected(upstream: Duplex, isReused: boolean): void {
    this.#upstream = upstream
    this.#reporter.connected(this.dest!, isReused)
    if (this.state === 'Closed') return void upstream.on('error', () => undefined)
    const { request, requestLine, hostHeader } = this.#routing
    if (this.#exchanges) return this.#exchanges.start(upstream, request.head, request.original, this.dest!)
    this.#reporter.sent()
    this.#tunnel = new Tunnel(this.#socket, upstream, this.dest!, request.original, this.#context)
    this.#tunnel.start(this.#routing.takeBytes(hostHeader), requestLine.version, hostHeader)
  }

  #exchanged(persists: boolean): void {
    this.#upstream = undefined
    this.#routing.finish()
    this.#exchanges!.release()
    this.#reporter.exchanged()
    if (this.state === 'Closed') return
    if (persists) this.#exchanges!.next()
    else this.#startAnswer().finish()
  }

  /** Closes the connection of a client without a pending request, after the client has received its last response. */
  #end(): void {
    if (this.#socket.writableLength > 0) this.#startAnswer().finish()
    else this.#close()
  }

  /** Reports an error, then asks errback, answers the client, or resets both sides if the client can get no answer. */
  #fail(code: ProxyErrorCode, cause?: unknown): void {
    const error = this.#reporter.failed(code, cause)
    if (this.state === 'Closed') return
    if (this.#routing.mayRecover(error)) this.#routing.recover(error)
    else this.#refuse(error)
  }

  /** Sends the engine's own answer to the client. Resets both sides if it is too late, or if the client cannot read it. */
  #refuse(error: ProxyError): void {
    const { method, version } = this.#routing.requestLine
    const isUnreadable = version === 'HTTP/2.0' || hasNegotiatedHttp2(this.#socket)
    if (error.status === undefined || this.state === 'Responding' || isUnreadable) return this.#abort()
    this.#reporter.responded(error.status)
    if (this.state !== 'Closed') this.#startAnswer().send(reply(error, method === 'HEAD'))
  }

  /** Sends the answer of lookup or errback. */
  #answered(source: Readable): void {
    const isResponse = source instanceof ResponseSource
    if (isResponse) this.#reporter.responded(source.status)
    if (this.state !== 'Routing') return destroy(source)
    if (!isResponse || !this.#exchanges) return this.#startAnswer().sendFrom(source)
    this.#routing.stop()
    this.#exchanges.answer(source)
  }

  #startAnswer(): Answer {
    this.#dropUpstream()
    this.#reader?.stop()
    this.#exchanges?.stop()
    this.#routing.stop()
    this.#answer = new Answer(this.#socket, this.#context)
    return this.#answer
  }

  #clientGone(cause?: Error): void {
    const { state } = this
    if (state === 'Closed') return
    if (state === 'HandedOver' || state === 'Replying') return this.#close()
    // The client's last bytes may still be on their way to the backend.
    if (!cause && this.#tunnel?.isClientDone) return
    if (this.#exchanges?.isIdle) return this.#close()
    this.#reporter.failed('CLIENT_RESET', cause)
    this.#abort()
  }

  #abort(): void {
    if (this.state === 'Closed') return
    this.#dropUpstream()
    this.#close(reset)
  }

  #close(end: (socket: Duplex) => void = destroy): void {
    const { isSilent } = this
    this.#machine.enter('Closed')
    this.#reader?.stop()
    this.#exchanges?.stop()
    this.#tunnel?.stop()
    this.#routing.stop()
    if (this.#upstream) destroy(this.#upstream)
    this.#upstream = undefined
    this.#answer?.stop()
    end(this.#socket)
    this.#reporter.closed(isSilent)
  }

  #dropUpstream(end: (socket: Duplex) => void = reset): void {
    this.#routing.abandon()
    const upstream = this.#upstream
    if (!upstream) return
    this.#upstream = undefined
    this.#exchanges?.abandon()
    this.#tunnel?.stop()
    end(upstream)
  }
}
