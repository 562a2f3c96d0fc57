import type { Duplex } from 'node:stream'
import type { HeadLimits, HeadScanner, LenientScanner } from '../parser/index.ts'
import { responseScanner } from './reader.ts'
import { bytesOf, destroy, toBuffer } from './socket.ts'
import { BackendSocket, type Borrower, isBroken } from './tunnel/index.ts'

/** The exchange that uses a backend connection. */
export interface BackendUser {
  readonly keepsUp: boolean
  /** Gets bytes. With `done`, their buffer is lent. Pause the stream while you use the buffer, then call `done`. */
  received(bytes: Buffer, done?: () => void): void
  /** The backend has ended its side. */
  backendEnded(): void
  /** The connection is closed or about to close. */
  backendGone(cause?: Error): void
}

/** An open connection to a backend, for successive exchanges. Its listeners stay until it is destroyed. */
export class BackendConnection implements Borrower {
  readonly stream: Duplex
  /** Names its destination, see `keyOf`. */
  readonly key: string
  /** Finds response heads. */
  readonly scanner: HeadScanner | LenientScanner
  readonly openedAt = performance.now()
  /** Number of requests that used it. */
  requests = 0
  /** Its last user. */
  owner: unknown
  /** It belongs to one client, and closes with it. */
  isPrivate: boolean
  /** ms that the backend keeps it open while idle. */
  idleLimit = Number.POSITIVE_INFINITY
  /** When it must be closed if it is still idle (`performance.now()`). */
  idleUntil = 0
  /** Called if it ends while idle. */
  ended: ((connection: BackendConnection) => void) | undefined
  #user: BackendUser | undefined
  #isOver = false

  constructor(stream: Duplex, key: string, isPrivate: boolean, settings: HeadLimits & { lenientResponses: boolean }) {
    this.stream = stream
    this.key = key
    this.isPrivate = isPrivate
    this.scanner = responseScanner(settings)
    stream.on('error', (cause) => this.#gone(cause))
    stream.on('close', () => this.#gone())
    stream.on('data', this.#received)
    stream.on('end', this.#ended)
  }

  /** Undefined while the connection is idle. Bytes that arrive then answer no request, and end the connection. */
  set user(user: BackendUser | undefined) {
    this.#user = user
  }

  /** It is known to be closed, or about to be. */
  get isOver(): boolean {
    return this.#isOver || this.stream.destroyed || isBroken(this.stream)
  }

  get keepsUp(): boolean {
    return this.#user?.keepsUp === true
  }

  destroy(): void {
    this.#isOver = true
    destroy(this.stream)
  }

  /** Large reads go to the user without a copy. */
  lends(isLent: boolean): void {
    if (this.stream instanceof BackendSocket) this.stream.borrower = isLent ? this : undefined
  }

  borrow(bytes: Buffer, done: () => void): void {
    if (this.#user) return this.#user.received(bytes, done)
    done()
    this.#unasked()
  }

  /** Releases the stream, paused. */
  handOn(): void {
    this.lends(false)
    this.owner = undefined
    this.stream.off('data', this.#received)
    this.stream.off('end', this.#ended)
    this.stream.pause()
  }

  readonly #received = (chunk: unknown): void => {
    const bytes = bytesOf(chunk, this.stream)
    if (!bytes || bytes.length === 0) return
    if (this.#user) this.#user.received(toBuffer(bytes))
    else this.#unasked()
  }

  readonly #ended = (): void => {
    if (this.#user) {
      this.#isOver = true
      this.#user.backendEnded()
    } else this.#unasked()
  }

  #unasked(): void {
    this.destroy()
    this.ended?.(this)
  }

  #gone(cause?: Error): void {
    this.#isOver = true
    if (this.#user) this.#user.backendGone(cause)
    else this.ended?.(this)
  }
}
