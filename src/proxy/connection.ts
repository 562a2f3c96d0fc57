import type net from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import { type Head, HeadScanner } from '../parser/index.ts'
import { Answer } from './answer.ts'
import { BackendSocket } from './backend-socket.ts'
import { ProxyError, type ProxyErrorCode } from './error.ts'
import { isHeard, publish } from './events.ts'
import { Exchange } from './exchange.ts'
import type { ClientInfo, Settings } from './options.ts'
import { arrivalOf, Client, ProxyHeaderScanner, refusalOf } from './proxy-protocol/index.ts'
import { HeadReader } from './reader.ts'
import { reply } from './reply.ts'
import { after, handOver, putBack, reset, settle, takeOut, tune } from './socket.ts'
import { type ConnectionState, type Context, Life, PHASES } from './states.ts'
import {
  type Dest,
  headerFor,
  type Outcome,
  openUpstream,
  readOutcome,
  type StreamDest,
  whenConnected,
} from './upstream.ts'

/** An errback that never gives up would spend the machine on a client that may have left: so much is enough. */
const MOST_ATTEMPTS = 100

/** What a connection needs of whoever accepted it. */
export interface Owner {
  readonly settings: Settings
  opened(connection: Connection): void
  connected(): void
  failed(error: ProxyError): void
  closed(connection: Connection): void
}

/** What is remembered of a request while it has no destination, or none that was reached. */
interface Request {
  readonly head: Head
  /** Bytes of the head as it came. */
  readonly length: number
}

/** One accepted connection, from its first byte until both sockets are closed. */
export class Connection {
  readonly #client: Client
  readonly #owner: Owner
  readonly #settings: Settings
  readonly #socket: net.Socket
  readonly #life: Life
  readonly #context: Context
  #request: Request | undefined
  /** The client asked with HEAD: an answer has no body. */
  #isHead = false
  /** The preface of an HTTP/2 connection: what follows has no head that could be read or written here. */
  #isHttp2 = false
  #dest: Dest | undefined
  /** Backends tried. */
  #attempts = 0
  #upstream: Duplex | undefined
  #reader: { stop(): void } | undefined
  #exchange: Exchange | undefined
  #answer: Answer | undefined
  /** Whoever is told so may ask for it again. */
  #isDestroyed = false

  constructor(socket: net.Socket, owner: Owner) {
    this.#owner = owner
    this.#settings = owner.settings
    this.#socket = socket
    this.#client = new Client(socket)
    const arrival = arrivalOf(socket)
    const isRefused = arrival !== undefined && 'code' in arrival
    const isAnnounced = arrival === undefined && owner.settings.proxyProtocol !== undefined
    this.#life = new Life(isRefused || isAnnounced ? 'AwaitingProxyHeader' : 'AwaitingHead')
    if (arrival && !isRefused) this.#client.learn(arrival)
    this.#context = {
      settings: owner.settings,
      life: this.#life,
      failed: (code, cause) => this.#fail(code, cause),
      over: () => this.#close(),
    }
    // These stay to the end: an 'error' without a listener would take the process down.
    socket.on('error', (cause) => this.#clientGone(cause))
    socket.on('close', () => this.#clientGone())
    tune(socket, owner.settings)
    owner.opened(this)
    if (isHeard('open')) publish('open', { connection: this })
    if (this.state === 'Closed') return
    if (socket.destroyed) this.#close()
    else if (isRefused) this.#fail(arrival.code, arrival.cause)
    else if (isAnnounced) this.#awaitProxyHeader()
    else this.#awaitHead(owner.settings.headTimeout)
  }

  get client(): ClientInfo {
    return this.#client.info
  }

  get state(): ConnectionState {
    return this.#life.state
  }

  /** What lookup, or errback after it, returned last. */
  get dest(): Dest | undefined {
    return this.#dest
  }

  /** Bytes received from the client, heads included; live. */
  get bytesRead(): number {
    return this.#socket.bytesRead
  }

  /** Bytes sent to the client, heads included; live. */
  get bytesWritten(): number {
    return this.#socket.bytesWritten
  }

  /** Whether it has sent no byte of a request yet. */
  get isSilent(): boolean {
    if (this.state === 'AwaitingProxyHeader') return true
    return this.state === 'AwaitingHead' && this.bytesRead === this.#client.headerBytes
  }

  /** Has the kernel probe both sides when they are silent. Done once, however often it is asked for. */
  keepAlive(): void {
    const { keepAliveInitialDelay } = this.#settings
    this.#socket.setKeepAlive(true, keepAliveInitialDelay)
    if (this.#upstream instanceof BackendSocket) this.#upstream.setKeepAlive(true, keepAliveInitialDelay)
  }

  /** Ends the connection at once: both sides are reset. */
  destroy(): void {
    if (this.state === 'Closed' || this.#isDestroyed) return
    this.#isDestroyed = true
    this.#report('DESTROYED')
    this.#abort()
  }

  #awaitProxyHeader(): void {
    const { proxyProtocol, headTimeout } = this.#settings
    const refusal = refusalOf(this.client, proxyProtocol!)
    if (refusal) return this.#fail(refusal.code, refusal.cause)
    const start = performance.now()
    this.#life.arm(headTimeout, () => this.#fail('PROXY_HEADER_TIMEOUT'))
    const scanner = new ProxyHeaderScanner()
    this.#reader = new HeadReader(this.#socket, scanner, {
      done: (header, rest) => {
        this.#life.enter('AwaitingHead')
        this.#client.learn(header)
        putBack(this.#socket, rest)
        this.#awaitHead(headTimeout && Math.max(1, headTimeout - (performance.now() - start)))
      },
      invalid: (error) => this.#fail('BAD_PROXY_HEADER', error),
      ended: () => (this.bytesRead > 0 ? this.#fail('BAD_PROXY_HEADER', scanner.end()) : this.#close()),
    })
  }

  #awaitHead(timeout: number): void {
    const scanner = new HeadScanner('request', this.#settings)
    this.#life.arm(timeout, () => this.#fail('HEAD_TIMEOUT'))
    this.#reader = new HeadReader(this.#socket, scanner, {
      done: (head, rest) => this.#route(head, rest),
      invalid: (error) => this.#fail('BAD_HEAD', error),
      ended: () => (this.isSilent ? this.#close() : this.#fail('BAD_HEAD', scanner.end())),
    })
  }

  #route(head: Head, rest: Buffer): void {
    this.#life.enter('Routing')
    this.#reader = undefined
    const bytes = head.bytes()
    this.#request = { head, length: bytes.length }
    this.#isHead = head.method === 'HEAD'
    this.#isHttp2 = head.version === 'HTTP/2.0'
    // Until it is known whose they are, what was read waits in the socket.
    putBack(this.#socket, bytes, rest)
    settle(
      () => after(this.#settings.lookup(head, this.client), readOutcome),
      (outcome) => {
        if (this.state !== 'Routing') return
        if ('dest' in outcome) this.#go(outcome)
        else if (outcome.kind === 'nothing') this.#fail('NO_DESTINATION')
        else this.#fail('NO_DESTINATION', new TypeError('lookup returned no form of Dest'))
      },
      (cause) => this.state === 'Routing' && this.#fail('LOOKUP_FAILED', cause),
    )
  }

  #go(route: Extract<Outcome, { dest: Dest }>): void {
    this.#dest = route.dest
    if (isHeard('routed')) publish('routed', { connection: this, head: this.#request!.head, dest: route.dest })
    if (this.state === 'Closed') return
    if (route.kind === 'server') this.#handOver(route.server)
    else this.#connect(route.dest)
  }

  #handOver(server: net.Server): void {
    this.#life.enter('HandedOver')
    this.#reached()
    if (this.state === 'HandedOver') handOver(this.#socket, server, () => this.#takeRequest())
  }

  #connect(dest: StreamDest): void {
    this.#life.enter('Connecting')
    this.#attempts++
    let header: Buffer | undefined
    let upstream: Duplex
    try {
      header = headerFor(dest, () => this.#client.ends)
      upstream = openUpstream(dest, this.#settings, header)
    } catch (cause) {
      // Not at once: an errback that keeps giving such a Dest would keep everybody else waiting.
      setImmediate(() => this.state === 'Connecting' && this.#fail('CONNECT_FAILED', cause))
      return
    }
    this.#watch(upstream)
    if (this.state === 'Closed') return this.#dropUpstream()
    this.#life.arm(this.#settings.connectTimeout, () => this.#fail('CONNECT_TIMEOUT'))
    whenConnected(upstream, dest, header, {
      connected: (stream) => this.#upstream === upstream && this.#connected(stream),
      failed: (cause) => this.#upstreamGone(upstream, cause),
    })
  }

  #watch(upstream: Duplex): void {
    this.#upstream = upstream
    upstream.on('error', (cause) => this.#upstreamGone(upstream, cause))
    upstream.on('close', () => this.#upstreamGone(upstream))
  }

  #connected(upstream: Duplex): void {
    // TLS has begun on it meanwhile.
    if (this.#upstream !== upstream) this.#watch(upstream)
    this.#reached()
    if (this.state === 'Closed') return
    this.#exchange = new Exchange(this.#socket, upstream, this.#dest!, this.#context)
    this.#exchange.start(this.#takeRequest(), !this.#isHttp2)
  }

  #reached(): void {
    this.#owner.connected()
    if (isHeard('connected')) publish('connected', { connection: this, dest: this.#dest! })
  }

  /** The head as lookup left it, and what came with it. Both are forgotten here. */
  #takeRequest(): Buffer[] {
    const { head, length } = this.#request!
    this.#request = undefined
    return [head.bytes(), takeOut(this.#socket).subarray(length)]
  }

  /** Something went wrong: tells who listens, and gives the client an answer where it still can get one. */
  #fail(code: ProxyErrorCode, cause?: unknown): void {
    const error = this.#report(code, cause)
    if (this.state === 'Closed') return
    if (error.status === undefined) this.#abort()
    else if (this.state === 'Routing' || this.state === 'Connecting') this.#askErrback(error)
    else this.#reply(error)
  }

  #report(code: ProxyErrorCode, cause?: unknown, phase = PHASES[this.state]): ProxyError {
    const error = new ProxyError(code, phase, cause ?? undefined)
    this.#owner.failed(error)
    if (isHeard('error')) publish('error', { connection: this, error, dest: this.#dest })
    return error
  }

  #askErrback(error: ProxyError): void {
    const { errback } = this.#settings
    if (this.state === 'Connecting') this.#life.enter('Routing')
    this.#dropUpstream()
    if (!errback || this.#attempts >= MOST_ATTEMPTS) return this.#reply(error)
    const { head } = this.#request!
    const failed = (cause: unknown) => {
      if (this.state !== 'Routing') return
      this.#report('ERRBACK_FAILED', cause, error.phase)
      if (this.state === 'Routing') this.#reply(error)
    }
    settle(
      () => after(errback(error, this.#dest, head), readOutcome),
      (outcome) => {
        if (outcome.kind === 'readable') this.#replyWith(outcome.source)
        else if (this.state !== 'Routing') return
        else if ('dest' in outcome) this.#go(outcome)
        else if (outcome.kind === 'nothing') this.#abort()
        else failed(new TypeError('errback returned neither nothing, nor a Readable, nor a Dest'))
      },
      failed,
    )
  }

  /** Gives the client the engine's own answer. A client that speaks HTTP/2 could not read it, and is reset. */
  #reply(error: ProxyError): void {
    if (this.#isHttp2) this.#abort()
    else this.#startAnswer().send(reply(error, this.#isHead))
  }

  /** Gives the client what errback answered. */
  #replyWith(source: Readable): void {
    if (this.state === 'Routing') this.#startAnswer().sendFrom(source)
    // The client has left while errback thought about it.
    else source.on('error', () => undefined).destroy()
  }

  #startAnswer(): Answer {
    this.#dropUpstream()
    this.#reader?.stop()
    this.#request = undefined
    this.#answer = new Answer(this.#socket, this.#context)
    return this.#answer
  }

  #clientGone(cause?: Error): void {
    switch (this.state) {
      case 'Closed':
        return
      case 'HandedOver':
      case 'Replying':
        return this.#close()
      default:
        // What it sent may still be on its way to the backend.
        if (!cause && this.#exchange?.isClientDone) return
        this.#report('CLIENT_RESET', cause)
        this.#abort()
    }
  }

  #upstreamGone(upstream: Duplex, cause?: Error): void {
    if (this.#upstream !== upstream) return
    if (this.state === 'Connecting') this.#fail('CONNECT_FAILED', cause)
    else this.#exchange!.upstreamGone(cause)
  }

  /** Breaks both sides off. */
  #abort(): void {
    // Whoever was told of the reason may have ended it.
    if (this.state === 'Closed') return
    this.#dropUpstream()
    this.#close(reset)
  }

  #close(end: (socket: Duplex) => void = (socket) => socket.destroy()): void {
    this.#life.enter('Closed')
    this.#request = undefined
    this.#reader?.stop()
    this.#exchange?.stop()
    this.#upstream?.destroy()
    this.#upstream = undefined
    this.#answer?.stop()
    end(this.#socket)
    this.#owner.closed(this)
    if (isHeard('close')) publish('close', { connection: this })
  }

  #dropUpstream(): void {
    const upstream = this.#upstream
    if (!upstream) return
    this.#upstream = undefined
    this.#exchange?.stop()
    reset(upstream)
  }
}
