import { type Duplex, Writable } from 'node:stream'
import { type Head, HeadScanner } from '../../parser/index.ts'
import { Attempt, HeadReader, reset, type StreamTarget } from '../../proxy/index.ts'
import { isError, messageOf, propertyOf } from '../../show.ts'

/** Reasons for which a check fails after the connect. */
const FAULTS = {
  CHECK_TIMEOUT: 'the check took longer than its timeout',
  CHECK_ENDED: 'the backend ended before the check did',
  CHECK_BAD_HEAD: 'the response head was refused',
  CHECK_BAD_STATUS: 'the response has another status than is expected',
} as const

/** Why a check failed, other than by a system error. */
class CheckError extends Error {
  override readonly name = 'CheckError'
  readonly code: keyof typeof FAULTS

  constructor(code: keyof typeof FAULTS, detail?: string, cause?: Error) {
    super(`${code}: ${FAULTS[code]}${detail ? `: ${detail}` : ''}`)
    this.code = code
    if (cause) this.cause = cause
  }
}

/** A request and its expected response. */
export interface HttpCheck {
  request: string
  isExpected(status: number): boolean
  /** The expected status, for error messages. */
  expects: string
}

const SOCKET_SETTINGS = { noDelay: true, keepAlive: false, keepAliveInitialDelay: 0, isIdle: true }

/**
 * Connects to a backend once and, for an HTTP check, compares its response. Calls `done` once, asynchronously, after
 * the connection is closed; never after `stop()`.
 */
export class Probe {
  readonly #http: HttpCheck | undefined
  readonly #done: (error: Error | undefined, status?: number) => void
  readonly #timer: NodeJS.Timeout
  #attempt: Attempt | undefined
  #upstream: Duplex | undefined
  #reader: HeadReader | undefined
  #isOver = false

  /** `timeout` covers the whole probe (ms). */
  constructor(
    target: StreamTarget,
    http: HttpCheck | undefined,
    timeout: number,
    done: (error: Error | undefined, status?: number) => void,
  ) {
    this.#http = http
    this.#done = done
    const tooLate = () => this.#finish(new CheckError('CHECK_TIMEOUT', `${timeout} ms`))
    // If the process was busy, read what has arrived first: timers run before I/O.
    this.#timer = setTimeout(() => setImmediate(tooLate), timeout).unref()
    this.#attempt = new Attempt(target, SOCKET_SETTINGS, () => 'local', {
      connected: (stream) => this.#connected(stream),
      failed: (cause) => this.#finish(cause ?? new CheckError('CHECK_ENDED')),
    })
    // A custom `connect` may have stopped it.
    if (this.#isOver) this.#attempt.destroy()
  }

  stop(): void {
    this.#release()
    this.#attempt?.destroy()
    // Reset: the backend need not finish a response that nobody reads.
    if (this.#upstream) reset(this.#upstream)
  }

  #connected(upstream: Duplex): void {
    if (this.#isOver) return reset(upstream.on('error', () => undefined))
    this.#upstream = upstream
    // Keep the listener: a destroyed stream may still emit an error.
    upstream.on('error', (cause) => this.#finish(cause))
    upstream.on('close', () => this.#finish(new CheckError('CHECK_ENDED')))
    process.nextTick(() => this.#start(upstream))
  }

  #start(upstream: Duplex): void {
    if (this.#isOver) return
    if (!this.#http) return this.#close(upstream)
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
    const events = {
      done: (head: Head) => this.#answered(head.status),
      invalid: (cause: Error) => this.#finish(new CheckError('CHECK_BAD_HEAD', cause.message, cause)),
      ended: () => this.#finish(new CheckError('CHECK_ENDED')),
    }
    this.#reader = new HeadReader(upstream, new HeadScanner('response'), events, nowhere)
    upstream.write(this.#http.request, 'latin1')
  }

  /** Closes after a FIN: pending TLS messages go first, or the backend would log an error. */
  #close(upstream: Duplex): void {
    upstream.once('finish', () => this.#finish())
    upstream.end()
  }

  #answered(status: number): void {
    const { isExpected, expects } = this.#http!
    if (isExpected(status)) this.#finish(undefined, status)
    else this.#finish(new CheckError('CHECK_BAD_STATUS', `expected ${expects}, got ${status}`), status)
  }

  #finish(cause?: unknown, status?: number): void {
    if (this.#isOver) return
    if (cause === undefined) {
      this.#release()
      this.#upstream?.destroy()
      return this.#done(undefined, status)
    }
    this.stop()
    this.#done(toError(cause), status)
  }

  #release(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#reader?.stop()
  }
}

/** Makes an Error with a message. Node's AggregateError for several failed addresses has only a code. */
function toError(cause: unknown): Error {
  if (!isError(cause)) return new Error(messageOf(cause), { cause })
  const message = messageOf(cause)
  if (propertyOf(cause, 'message') === message) return cause
  return Object.assign(new Error(message, { cause }), { code: message })
}
