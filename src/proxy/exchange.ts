import type net from 'node:net'
import type { Duplex } from 'node:stream'
import { type Head, type HeadError, HeadScanner, LenientScanner } from '../parser/index.ts'
import type { ProxyErrorCode } from './error.ts'
import type { Settings } from './options.ts'
import { Pump, type PumpEvents } from './pump.ts'
import { HeadReader } from './reader.ts'
import { settle, writeTogether } from './socket.ts'
import type { Context, Life } from './states.ts'
import type { Dest } from './upstream.ts'

/** What goes on between a client and the backend that was reached: the heads first, then raw bytes both ways. */
export class Exchange implements PumpEvents {
  readonly #client: net.Socket
  readonly #upstream: Duplex
  readonly #dest: Dest
  readonly #context: Context
  readonly #life: Life
  readonly #settings: Settings
  readonly #pump: Pump
  /** Reads the response head, where it is to be modified or mended. */
  #reader: HeadReader | undefined

  constructor(client: net.Socket, upstream: Duplex, dest: Dest, context: Context) {
    this.#client = client
    this.#upstream = upstream
    this.#dest = dest
    this.#context = context
    this.#life = context.life
    this.#settings = context.settings
    this.#pump = new Pump(client, upstream, this)
  }

  /** Sends the request's first bytes, and lets the rest follow. `hasHead`: the response has one that could be read here. */
  start(request: readonly Buffer[], hasHead: boolean): void {
    const { modify, lenientResponses, responseHeadTimeout } = this.#settings
    const isRead = hasHead && (modify != null || lenientResponses)
    // The state goes first: a stream that breaks inside of the first write has been sent something.
    this.#life.enter(isRead || responseHeadTimeout > 0 ? 'AwaitingResponse' : 'Tunnelling')
    this.#arm()
    writeTogether(this.#upstream, ...request)
    if (this.#life.state === 'Closed' || this.#life.state === 'Replying') return
    if (isRead) this.#readResponse()
    else this.#pump.startDown()
    this.#pump.startUp()
  }

  /** Lets go of both sides, paused. */
  stop(): void {
    this.#reader?.stop()
    this.#pump.stop()
  }

  /** Whether the client has ended its side, and has got all there was for it. */
  get isClientDone(): boolean {
    return !this.#pump.isUpOpen && this.#pump.isDownFlushed
  }

  /** The upstream socket is closed, or about to be. */
  upstreamGone(cause: unknown): void {
    // What it sent before still goes through modify, and to the client.
    if (this.#life.state === 'Modifying') return
    if (this.#life.state === 'AwaitingResponse') this.#context.failed('NO_RESPONSE', cause)
    else if (this.#pump.isDownOpen) this.#context.failed('BACKEND_RESET', cause)
    else this.#pump.discardUp()
  }

  #readResponse(): void {
    const events = {
      interim: () => this.#life.refresh(),
      done: (head: Head, rest: Buffer) => this.#modify(head, rest),
      invalid: (error: HeadError) => this.#context.failed('BAD_RESPONSE_HEAD', error),
      ended: () => this.#context.failed('NO_RESPONSE'),
    }
    const settings = this.#settings
    const scanner = settings.lenientResponses ? new LenientScanner(settings) : new HeadScanner('response', settings)
    this.#reader = new HeadReader(this.#upstream, scanner, events, this.#client)
  }

  #modify(head: Head, rest: Buffer): void {
    this.#reader = undefined
    this.#life.enter('Modifying')
    settle(
      () => this.#settings.modify?.(head, this.#dest),
      () => this.#life.state === 'Modifying' && this.#respond(head, rest),
      (cause) => this.#life.state === 'Modifying' && this.#context.failed('MODIFY_FAILED', cause),
    )
  }

  #respond(head: Head, rest: Buffer): void {
    this.#tunnel()
    writeTogether(this.#client, head.bytes(), rest)
    this.#pump.startDown()
    if (this.#upstream.destroyed && this.#life.state === 'Tunnelling') this.upstreamGone(this.#upstream.errored)
  }

  #tunnel(): void {
    this.#life.enter('Tunnelling')
    this.#arm()
  }

  received(): void {
    this.#life.refresh()
  }

  sent(count: number): void {
    // Without modify, the first byte of the response is what responseHeadTimeout waits for.
    if (this.#life.state === 'AwaitingResponse' && count > 0) this.#tunnel()
    else this.#life.refresh()
  }

  /** A direction of the pump has ended, or is flushed. */
  changed(): void {
    if (this.#pump.state === 'over') this.#context.over()
    else if (this.#life.state === 'AwaitingResponse' && !this.#pump.isDownOpen) this.#tunnel()
    else this.#arm()
  }

  /** Sets the shortest of the time-outs that hold now. None does while modify thinks. */
  #arm(): void {
    if (this.#life.state === 'Modifying') return
    const { responseHeadTimeout, idleTimeout, halfCloseTimeout } = this.#settings
    let ms = idleTimeout
    let code: ProxyErrorCode = 'IDLE_TIMEOUT'
    const shorten = (to: number, by: ProxyErrorCode) => {
      if (to === 0 || (ms > 0 && ms < to)) return
      ms = to
      code = by
    }
    if (this.#pump.state === 'half') shorten(halfCloseTimeout, 'HALF_CLOSE_TIMEOUT')
    if (this.#life.state === 'AwaitingResponse') shorten(responseHeadTimeout, 'RESPONSE_HEAD_TIMEOUT')
    this.#life.arm(ms, () => this.#context.failed(code))
  }
}
