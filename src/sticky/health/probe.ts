import net from 'node:net'
import { type Duplex, Writable } from 'node:stream'
import { type Head, HeadScanner } from '../../parser/index.ts'
import { HeadReader, headerFor, openUpstream, reset, type StreamDest, whenConnected } from '../../proxy/index.ts'

/** Every way in which a backend that was reached can fail a check, and what it means. */
const FAULTS = {
  CHECK_TIMEOUT: 'the check took longer than its timeout',
  CHECK_ENDED: 'the backend ended before the check did',
  CHECK_BAD_HEAD: 'the response head was refused',
  CHECK_BAD_STATUS: 'the response has another status than is expected',
} as const

/** Why a check failed, where it is not an error of the system's own. */
class CheckError extends Error {
  override readonly name = 'CheckError'
  readonly code: keyof typeof FAULTS

  constructor(code: keyof typeof FAULTS, detail?: string, cause?: Error) {
    super(`${code}: ${FAULTS[code]}${detail ? `: ${detail}` : ''}`)
    this.code = code
    if (cause) this.cause = cause
  }
}

/** A request and what is expected of its response. */
export interface HttpCheck {
  request: string
  isExpected(status: number): boolean
  /** What is expected, in words. */
  expects: string
}

const SOCKET_SETTINGS = { noDelay: true, keepAlive: false, keepAliveInitialDelay: 0 }

/**
 * Finds out, once, whether a backend can be reached, and answers as expected where there is an HTTP check. Tells so once,
 * never at once, unless it is stopped before: the connection is closed by then.
 */
export class Probe {
  readonly #http: HttpCheck | undefined
  readonly #done: (error: Error | undefined) => void
  readonly #timer: NodeJS.Timeout
  #upstream: Duplex | undefined
  #reader: HeadReader | undefined
  #isOver = false

  /** `timeout` is for all of it, in ms. */
  constructor(
    dest: StreamDest,
    http: HttpCheck | undefined,
    timeout: number,
    done: (error: Error | undefined) => void,
  ) {
    this.#http = http
    this.#done = done
    const tooLate = () => this.#finish(new CheckError('CHECK_TIMEOUT', `${timeout} ms`))
    this.#timer = setTimeout(tooLate, timeout).unref()
    try {
      const header = headerFor(dest, () => 'local')
      this.#open(openUpstream(dest, SOCKET_SETTINGS, header), dest, header)
    } catch (cause) {
      process.nextTick(() => this.#finish(cause))
    }
  }

  stop(): void {
    this.#letGo()
    // The backend need not go on with what nobody waits for.
    if (this.#upstream) reset(this.#upstream)
  }

  #open(upstream: Duplex, dest: StreamDest, header: Buffer | undefined): void {
    this.#upstream = upstream
    // Stays to the end: a stream that is destroyed may still have an error to tell.
    upstream.on('error', (cause) => this.#finish(cause))
    upstream.on('close', () => this.#finish(new CheckError('CHECK_ENDED')))
    // A process that has nothing else to do need not wait for a check.
    if (upstream instanceof net.Socket) upstream.unref()
    whenConnected(upstream, dest, header, {
      connected: (stream) => process.nextTick(() => this.#connected(stream)),
      failed: (cause) => this.#finish(cause),
    })
  }

  #connected(upstream: Duplex): void {
    if (this.#isOver) return
    if (!this.#http) return this.#close(upstream)
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
    const events = {
      done: (head: Head) => this.#answered(head.status),
      invalid: (cause: Error) => this.#finish(new CheckError('CHECK_BAD_HEAD', cause.message, cause)),
      ended: () => this.#finish(new CheckError('CHECK_ENDED')),
    }
    this.#reader = new HeadReader(upstream, new HeadScanner('response'), events, nowhere)
    upstream.write(this.#http.request)
  }

  /** As a client does that has no more to say: what TLS still has to send goes first, or the backend would complain. */
  #close(upstream: Duplex): void {
    upstream.once('finish', () => this.#finish())
    upstream.end()
  }

  #answered(status: number): void {
    const { isExpected, expects } = this.#http!
    if (isExpected(status)) this.#finish()
    else this.#finish(new CheckError('CHECK_BAD_STATUS', `got ${status}; takes ${expects}`))
  }

  #finish(cause?: unknown): void {
    if (this.#isOver) return
    if (cause === undefined) {
      this.#letGo()
      this.#upstream?.destroy()
      return this.#done(undefined)
    }
    this.stop()
    this.#done(toError(cause))
  }

  #letGo(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#reader?.stop()
  }
}

/** An Error with a message: when every address of a host failed, Node's AggregateError has only a code. */
function toError(cause: unknown): Error {
  if (!(cause instanceof Error)) return new Error(String(cause), { cause })
  if (cause.message) return cause
  const { code = cause.name } = cause as NodeJS.ErrnoException
  return Object.assign(new Error(code, { cause }), { code })
}
