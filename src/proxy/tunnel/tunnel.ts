import type net from 'node:net'
import type { Duplex } from 'node:stream'
import type { Head, HeadError } from '../../parser/index.ts'
import type { Dest } from '../dest.ts'
import type { ProxyErrorCode } from '../error.ts'
import { forClient } from '../host-header.ts'
import type { Settings } from '../options.ts'
import { HeadReader, responseScanner } from '../reader.ts'
import { settle, writeTogether } from '../socket.ts'
import { type Context, LINGER_MS, type StateMachine } from '../states.ts'
import { Pump, type PumpEvents } from './pump.ts'

/**
 * Moves raw bytes between a client and a connected backend. In 'first' mode it reads the response head first, if modify,
 * lenientResponses or the Dest's `hostHeader` needs it.
 */
export class Tunnel implements PumpEvents {
  readonly #client: net.Socket
  readonly #upstream: Duplex
  readonly #dest: Dest
  /** The received request head, for modify. */
  #request: Head | undefined
  readonly #context: Context
  readonly #machine: StateMachine
  readonly #settings: Settings
  readonly #pump: Pump
  /** Why the backend is closed while the client may still send. */
  #gone: { readonly cause: unknown } | undefined
  /** The backend has sent a byte. */
  #hasAnswered = false
  /** The client ended its side before the backend ended or sent a byte. */
  #hasClientLeft = false
  #isStopped = false
  /** The Host that the backend got in place of the client's. */
  #hostHeader: string | undefined
  /** Reads the response head. */
  #reader: HeadReader | undefined

  constructor(client: net.Socket, upstream: Duplex, dest: Dest, request: Head | undefined, context: Context) {
    this.#client = client
    this.#upstream = upstream
    this.#dest = dest
    this.#request = request
    this.#context = context
    this.#machine = context.machine
    this.#settings = context.settings
    upstream.on('error', (cause) => this.#upstreamGone(cause))
    upstream.on('close', () => this.#upstreamGone())
    this.#pump = new Pump(client, upstream, this)
  }

  /**
   * Sends the first bytes of the request, then the rest. `version` is that of the received request, `hostHeader` the Host
   * that the backend gets in place of the client's.
   */
  start(request: readonly Buffer[], version: string, hostHeader?: string): void {
    const { modify, lenientResponses, responseHeadTimeout } = this.#settings
    // The engine cannot read the heads of HTTP/2.
    const isRead = version !== 'HTTP/2.0' && (modify != null || lenientResponses || hostHeader !== undefined)
    this.#hostHeader = hostHeader
    // Enter the state first. If the stream fails inside the first write, bytes have been sent.
    this.#machine.enter(isRead || responseHeadTimeout > 0 ? 'AwaitingResponse' : 'Tunnelling')
    this.#arm()
    writeTogether(this.#upstream, ...request)
    if (this.#machine.state === 'Closed' || this.#machine.state === 'Replying') return
    if (isRead) this.#readResponse(version)
    else this.#pump.down.start()
    this.#pump.up.start()
  }

  /** Sends the first bytes of both directions after a switch to another protocol, then the rest. */
  startSwitched(up: Buffer, down: readonly Buffer[]): void {
    this.#answered()
    writeTogether(this.#upstream, up)
    this.#pump.up.start()
    this.#startDown(down)
  }

  /** Releases both sides, paused. */
  stop(): void {
    this.#isStopped = true
    this.#reader?.stop()
    this.#pump.stop()
  }

  /** Whether the client has ended its side and was sent everything. */
  get isClientDone(): boolean {
    return this.#pump.up.state !== 'open' && this.#pump.down.state === 'flushed'
  }

  /** The backend's socket is closed or about to close. */
  #upstreamGone(cause?: unknown): void {
    if (this.#isStopped) return
    // Its earlier bytes still pass modify and reach the client.
    if (this.#machine.state === 'Modifying') return
    if (this.#machine.state === 'AwaitingResponse') return this.#noResponse(cause)
    if (this.#pump.down.state === 'open') return this.#context.failed('BACKEND_RESET', cause)
    this.#gone ??= { cause }
    // Its last bytes still reach the client.
    this.#pump.up.discard()
    if (this.#machine.state !== 'Closed') this.#arm()
  }

  /** The backend ended before its response head. If the client had ended first, that is the normal reaction. */
  #noResponse(cause?: unknown): void {
    const isAnswerToEnd = cause === undefined && this.#pump.up.state === 'flushed'
    this.#context.failed(isAnswerToEnd ? 'CLIENT_GONE' : 'NO_RESPONSE', cause)
  }

  #readResponse(version: string): void {
    // RFC 9110 15.2: an HTTP/1.0 client does not expect interim responses.
    const sink = version === 'HTTP/1.0' ? undefined : this.#client
    const events = {
      interim: (head: Head) => {
        if (sink) this.#context.headSent(head.bytes().length)
        this.#machine.refresh()
      },
      done: (head: Head, rest: Buffer) => this.#modify(head, rest),
      invalid: (error: HeadError) => this.#context.failed('BAD_RESPONSE_HEAD', error),
      ended: () => this.#noResponse(),
    }
    const settings = this.#settings
    const scanner = responseScanner(settings)
    this.#reader = new HeadReader(this.#upstream, scanner, events, sink)
  }

  #modify(head: Head, rest: Buffer): void {
    this.#reader = undefined
    this.#machine.enter('Modifying')
    if (this.#hostHeader !== undefined) forClient(head, this.#hostHeader)
    const request = this.#request!
    this.#request = undefined
    settle(
      () => this.#settings.modify?.(head, this.#dest, request),
      () => this.#machine.state === 'Modifying' && this.#respond(head, rest),
      (cause) => this.#machine.state === 'Modifying' && this.#context.failed('MODIFY_FAILED', cause),
    )
  }

  #respond(head: Head, rest: Buffer): void {
    this.#answered()
    const bytes = head.bytes()
    this.#context.headSent(bytes.length)
    this.#startDown([bytes, rest])
  }

  #startDown(first: readonly Buffer[]): void {
    writeTogether(this.#client, ...first)
    this.#pump.down.start()
    if (this.#upstream.destroyed && this.#machine.state === 'Tunnelling') this.#upstreamGone(this.#upstream.errored)
  }

  #answered(): void {
    this.#hasAnswered = true
    this.#tunnel()
  }

  #tunnel(): void {
    this.#machine.enter('Tunnelling')
    this.#arm()
  }

  received(): void {
    this.#machine.refresh()
  }

  sent(count: number): void {
    if (count > 0) this.#hasAnswered = true
    // Without modify, responseHeadTimeout ends with the first byte of the response.
    if (this.#machine.state === 'AwaitingResponse' && count > 0) this.#tunnel()
    else this.#machine.refresh()
  }

  /** A direction of the pump has ended or is flushed. */
  changed(): void {
    const { up, down, state } = this.#pump
    const isDownOpen = down.state === 'open'
    if (up.state !== 'open' && isDownOpen && !this.#hasAnswered) this.#hasClientLeft = true
    if (state === 'over') this.#over()
    else if (this.#machine.state === 'AwaitingResponse' && !isDownOpen) this.#tunnel()
    else this.#arm()
  }

  #over(): void {
    if (this.#hasClientLeft && !this.#hasAnswered) this.#context.failed('CLIENT_GONE')
    else this.#context.over()
  }

  /** Sets the shortest time-out that applies now. None runs during modify. */
  #arm(): void {
    if (this.#machine.state === 'Modifying') return
    const { responseHeadTimeout, idleTimeout, halfCloseTimeout } = this.#settings
    let ms = idleTimeout
    let code: ProxyErrorCode = 'IDLE_TIMEOUT'
    const shorten = (to: number, by: ProxyErrorCode) => {
      if (to === 0 || (ms > 0 && ms < to)) return
      ms = to
      code = by
    }
    if (this.#pump.state === 'half') shorten(halfCloseTimeout, 'HALF_CLOSE_TIMEOUT')
    if (this.#machine.state === 'AwaitingResponse') shorten(responseHeadTimeout, 'RESPONSE_HEAD_TIMEOUT')
    // The client gets the answer. If it keeps sending, a reset tells it about the end.
    if (this.#gone && this.#pump.down.state === 'flushed') shorten(LINGER_MS, 'BACKEND_RESET')
    this.#machine.arm(ms, () => this.#context.failed(code, code === 'BACKEND_RESET' ? this.#gone?.cause : undefined))
  }
}
