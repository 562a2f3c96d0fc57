import { STATUS_CODES } from 'node:http'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { types } from 'node:util'
import { parseHead } from '../parser/index.ts'
import { asError, show } from '../show.ts'
import { hookError } from './hook-error.ts'

/** A body of up to this many bytes is sent with Content-Length. */
const READ_AHEAD_BYTES = 65_536

/** Maximum time in ms to wait for the end of a body before the head is sent. A stream's first event waits no longer. */
const READ_AHEAD_MS = 20

/** Fields that frame the message or belong to the connection (RFC 9110 7.6.1). The engine writes its own. */
const DROPPED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Statuses of responses without a body (RFC 9110 15). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304])

const CRLF = Buffer.from('\r\n')

const EMPTY_HEAD = parseHead(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), 'response')

/** The parts of a request's start line that its answer depends on. */
export interface RequestLine {
  readonly method: string
  readonly version: string
}

/** The methods that the engine calls on a reader of a web stream. */
interface Reader {
  read(): Promise<{ done: boolean; value?: unknown }>
  cancel(reason: unknown): Promise<void>
}

interface WebStream {
  readonly locked: boolean
  getReader(): Reader
  cancel(): Promise<void>
}

interface WebHeaders extends Iterable<[name: string, value: string]> {
  getSetCookie(): string[]
}

/**
 * Makes the bytes of an answer from a web-standard Response: Node's own, or any object of the same shape. Reads each
 * property once. Returns undefined for a value of another shape.
 * @throws {TypeError} for a Response that cannot be sent. Errors of its getters also pass
 */
export function readResponse(value: object, requestLine: RequestLine): ResponseSource | undefined {
  const { status, headers, body, bodyUsed } = value as { [name: string]: unknown }
  if (typeof status !== 'number' || typeof bodyUsed !== 'boolean' || !isHeaders(headers)) return undefined
  if (body !== null && !isWebStream(body)) return undefined
  try {
    if (bodyUsed || body?.locked) throw unfit('whose body is used already; make a new Response for each request')
    checkStatus(status, requestLine)
    const head = headOf(status, (value as { statusText: unknown }).statusText, headers)
    if (body && !BODILESS.has(status)) return new ResponseSource(status, head, body.getReader(), requestLine)
    ignoreFailure(async () => body?.cancel())
    // RFC 9110 8.6: a 204 has no length. After HEAD and in a 304, the length would be that of the response to GET.
    const hasLength = status !== 204 && status !== 304 && requestLine.method !== 'HEAD'
    return new ResponseSource(status, hasLength ? `${head}Content-Length: 0\r\n` : head, undefined, requestLine)
  } catch (cause) {
    ignoreFailure(async () => body?.cancel())
    throw cause
  }
}

function isHeaders(value: unknown): value is WebHeaders {
  if (typeof value !== 'object' || value === null) return false
  const headers = value as WebHeaders
  return typeof headers[Symbol.iterator] === 'function' && typeof headers.getSetCookie === 'function'
}

function isWebStream(value: unknown): value is WebStream {
  return typeof value === 'object' && value !== null && typeof (value as WebStream).getReader === 'function'
}

function checkStatus(status: number, { method, version }: RequestLine): void {
  if (version === 'HTTP/2.0') throw unfit('for an HTTP/2 connection, which badass cannot answer')
  // RFC 9110 15: interim responses have a status below 200. Response.error() has status 0.
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw unfit(`with status ${status}; expected 200 to 599`)
  }
  // RFC 9110 9.3.6: the client would treat the next bytes as a tunnel.
  if (method === 'CONNECT' && status < 300) throw unfit(`with status ${status} for CONNECT; expected 300 to 599`)
}

function unfit(why: string): TypeError {
  return hookError(`the hook returned a Response ${why}`)
}

/** The status line and the fields, without those that frame the message. */
function headOf(status: number, statusText: unknown, headers: WebHeaders): string {
  const head = EMPTY_HEAD.clone()
  head.first = `HTTP/1.1 ${status} ${(statusText as string) || (STATUS_CODES[status] ?? '')}`
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    if (!DROPPED.has(key) && key !== 'set-cookie') head.append(name, value)
  }
  for (const cookie of headers.getSetCookie()) head.append('Set-Cookie', cookie)
  // RFC 9110 6.6.1
  if (!head.has('date')) head.append('Date', new Date().toUTCString())
  return head.bytes().toString('latin1').slice(0, -2)
}

function ignoreFailure(action: () => Promise<void>): void {
  action().catch(() => undefined)
}

/** The bytes of an answer. The head waits until the body has ended, or is known to be long or slow. */
export class ResponseSource extends Readable {
  readonly status: number
  /** The connection continues after the answer. May be set until the first read. */
  persists = false
  /** Called with the length of the head when it is read. */
  headSent: (length: number) => void = () => undefined
  readonly #head: string
  readonly #reader: Reader | undefined
  readonly #isHead: boolean
  readonly #isChunked: boolean
  /** The part of the body that was read while the head waits. */
  #early: Uint8Array[] | undefined = []
  #earlyBytes = 0
  #timer: NodeJS.Timeout | undefined
  #isReading = false
  #isOver = false

  constructor(status: number, head: string, reader: Reader | undefined, { method, version }: RequestLine) {
    super()
    this.status = status
    this.#head = head
    this.#reader = reader
    this.#isHead = method === 'HEAD'
    this.#isChunked = version !== 'HTTP/1.0'
  }

  override _read(): void {
    if (!this.#reader) {
      this.push(this.#headWith(''))
      this.push(null)
      return
    }
    if (this.#early) this.#timer ??= setTimeout(() => this.#sendHead(), READ_AHEAD_MS)
    if (!this.#isReading) void this.#pump(this.#reader)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer)
    ignoreFailure(async () => this.#reader?.cancel(error))
    done(error)
  }

  async #pump(reader: Reader): Promise<void> {
    this.#isReading = true
    try {
      for (let wantsMore = true; wantsMore; ) {
        const { done, value } = await reader.read()
        if (this.destroyed || this.#isOver) return
        wantsMore = done ? this.#finish() : this.#take(value)
        // Reading a body that is already complete would block other connections.
        if (wantsMore && !this.#early) await turn()
      }
    } catch (cause) {
      this.destroy(asError(cause, `the body of a Response failed with ${show(cause, 100)}`))
    } finally {
      this.#isReading = false
    }
  }

  /** Returns whether the stream wants more bytes. */
  #take(value: unknown): boolean {
    if (!types.isUint8Array(value)) {
      throw new TypeError(`the body of a Response gave ${show(value, 100)}; expected a Uint8Array`)
    }
    if (value.length === 0) return true
    if (!this.#early) return this.#send(...this.#framed(value))
    this.#early.push(value)
    this.#earlyBytes += value.length
    return this.#earlyBytes <= READ_AHEAD_BYTES || this.#sendHead()
  }

  /** The body is long or slow, so its length is unknown. */
  #sendHead(): boolean {
    clearTimeout(this.#timer)
    const early = Buffer.concat(this.#early!)
    this.#early = undefined
    if (!this.#isChunked && !this.#isHead) this.persists = false
    const head = this.#headWith(this.#isChunked ? 'Transfer-Encoding: chunked\r\n' : '')
    if (!this.#isHead) return this.#send(head, ...(early.length > 0 ? this.#framed(early) : []))
    this.push(head)
    return this.#end()
  }

  #finish(): boolean {
    clearTimeout(this.#timer)
    if (this.#early) {
      const head = this.#headWith(`Content-Length: ${this.#earlyBytes}\r\n`)
      this.#send(head, ...(this.#isHead ? [] : this.#early))
    } else if (this.#isChunked) {
      this.push('0\r\n\r\n')
    }
    return this.#end()
  }

  #end(): false {
    this.#isOver = true
    this.push(null)
    return false
  }

  #headWith(framing: string): Buffer {
    // RFC 9112 9.3: an HTTP/1.0 client closes the connection unless it gets keep-alive.
    const persisting = this.#isChunked ? '' : 'Connection: keep-alive\r\n'
    const head = `${this.#head}${framing}${this.persists ? persisting : 'Connection: close\r\n'}\r\n`
    this.headSent(head.length)
    return Buffer.from(head, 'latin1')
  }

  #framed(bytes: Uint8Array): Uint8Array[] {
    return this.#isChunked ? [Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, CRLF] : [bytes]
  }

  /** Sends small pieces in one packet, and large ones without a copy. */
  #send(...pieces: Uint8Array[]): boolean {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
    if (length <= 2 * READ_AHEAD_BYTES) return this.push(Buffer.concat(pieces, length))
    let wantsMore = true
    for (const piece of pieces) wantsMore = this.push(piece)
    return wantsMore
  }
}
