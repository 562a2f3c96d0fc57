import type { ModelBackend, Reply } from './backend.ts'
import type { Asked, ModelClient } from './client.ts'

/** Removes the fields that the engine may add or remove. */
const withoutConnection = (head: string) => head.replace(/^Connection: .*\r\n/gim, '')

/** What must follow the last head. */
interface Body {
  readonly bytes: Buffer
  at: number
  /** Only the end of the connection ends it. */
  readonly isUntilEnd: boolean
  /** It is of a backend. */
  readonly reply?: Reply
}

const NO_BODY: Body = { bytes: Buffer.alloc(0), at: 0, isUntilEnd: false }
const END = '\r\n\r\n'

/** The body of a hook's answer: 'own'. */
function ownBody(head: string): Body {
  const isChunked = /^Transfer-Encoding: chunked\r$/m.test(head)
  const isUntilEnd = !isChunked && !/^Content-Length: 3\r$/m.test(head)
  return { bytes: Buffer.from(isChunked ? '3\r\nown\r\n0\r\n\r\n' : 'own'), at: 0, isUntilEnd }
}

/** Reads what a client gets, and throws if a byte is not of a response to its next request. */
export class Responses {
  /** Final responses whose last byte has come. */
  count = 0
  /** No response may follow. */
  isLast = false
  hasEnded = false
  /** Total length. */
  length = 0
  /** The backend that sent a 101. All bytes after it are raw. */
  #tunnel: ModelBackend | undefined
  readonly #client: ModelClient
  readonly #hasModify: boolean
  #rest = Buffer.alloc(0)
  #body: Body | undefined
  #next = 0
  /** The first violation. */
  fault: Error | undefined

  constructor(client: ModelClient, hasModify: boolean) {
    this.#client = client
    this.#hasModify = hasModify
  }

  /** Whether the bytes are raw now. */
  get isTunnel(): boolean {
    return this.#tunnel !== undefined
  }

  push(bytes: Buffer): void {
    this.length += bytes.length
    this.#rest = Buffer.concat([this.#rest, bytes])
    this.#try(() => {
      while (this.#rest.length > 0 && this.#read());
    })
  }

  end(): void {
    this.hasEnded = true
    this.#try(() => {
      if (this.#tunnel) {
        const { length } = this.#tunnel.raw
        if (this.#rest.length < length) throw new Error(`an end after ${this.#rest.length} of ${length} raw bytes`)
        return
      }
      if (this.#rest.length > 0) throw new Error(`an end inside a head: ${this.#rest}`)
      const body = this.#body
      if (!body) return
      const { reply, at, isUntilEnd } = body
      const isFramed = reply?.text.kind.framing !== 'close'
      const length = isFramed ? body.bytes.length : reply.sentBody
      if (!isUntilEnd || at < length) throw new Error(`an end after ${at} of ${length} bytes of a body`)
      if (!isFramed && !reply.hasEnd) throw new Error('an end that no backend sent')
      this.#ended()
    })
  }

  #try(action: () => void): void {
    if (this.fault) return
    try {
      action()
    } catch (cause) {
      this.fault = cause as Error
      this.fault.message = `client ${this.#client.index}: ${this.fault.message}`
    }
  }

  /** Returns whether it needs no more bytes to go on. */
  #read(): boolean {
    if (this.#tunnel) return this.#readRaw(this.#tunnel)
    if (this.#body) return this.#readBody(this.#body)
    if (this.isLast) throw new Error(`bytes after the last response: ${this.#rest}`)
    const end = this.#rest.indexOf(END)
    if (end < 0) return false
    const head = this.#rest.toString('latin1', 0, end + END.length)
    this.#rest = this.#rest.subarray(end + END.length)
    this.#readHead(head)
    return true
  }

  #readHead(head: string): void {
    const asked = this.#client.asked[this.#next]
    const number = /^X-R: (.*)\r$/m.exec(head)?.[1]
    if (number === undefined) return this.#readOwn(head, asked)
    const reply = asked?.replies.find((one) => String(one.number) === number)
    if (!asked || !reply) throw new Error(`a response to another request than ${this.#next}: ${head}`)
    if (/^HTTP\/1\.1 10[03] /.test(head)) {
      if (asked.text.kind.version === 'HTTP/1.0') throw new Error('an interim head for an HTTP/1.0 client')
      if (head !== reply.text.interim) throw new Error(`an interim head that nobody sent: ${head}`)
      return
    }
    this.#next++
    const isOld = asked.text.kind.version === 'HTTP/1.0'
    const passed = isOld ? reply.text.passed.replace(/^Transfer-Encoding: .*\r\n/m, '') : reply.text.passed
    const edit = this.#hasModify ? 'X-Modify: 1\r\n' : ''
    const isRight = withoutConnection(head).slice('HTTP/1.1'.length) === `${withoutConnection(passed)}${edit}\r\n`
    if (!isRight || reply.isRefused) throw new Error(`another head than ${JSON.stringify(passed)}: ${head}`)
    this.isLast = /^Connection: close\r$/im.test(head)
    if (reply.isSwitch) {
      this.#tunnel = reply.backend
      this.count++
      return
    }
    const { framing } = reply.text.kind
    const isUntilEnd = !reply.isBare && (framing === 'close' || (framing === 'chunked' && isOld))
    this.#start({ bytes: isOld ? reply.text.data : reply.text.body, at: 0, isUntilEnd, reply })
  }

  /** An answer of a hook or of the engine. */
  #readOwn(head: string, asked: Asked | undefined): void {
    const isHead = asked?.text.kind.method === 'HEAD'
    const own = /^x-own: (.*)\r$/m.exec(head)?.[1]
    this.isLast = /^Connection: close\r$/m.test(head)
    if (own !== undefined) {
      if (!asked || own !== `${this.#client.index}/${asked.number}`) throw new Error(`a hook's answer to ${own}`)
      this.#next++
      return this.#start(isHead ? NO_BODY : ownBody(head))
    }
    const status = Number(/^HTTP\/1\.1 (\d+) /.exec(head)?.[1])
    const error = this.#client.errors.findLast((one) => one.status !== undefined)
    if (!this.isLast || error?.status !== status) throw new Error(`an answer without a reason: ${head}`)
    const length = Number(/^Content-Length: (\d+)\r$/m.exec(head)?.[1])
    // The head that was refused may have been that of a HEAD request.
    if (isHead && error.code !== 'BAD_HEAD' && error.code !== 'HEAD_TIMEOUT') return this.#start(NO_BODY)
    // The engine writes its head and its body together.
    const bytes = Buffer.from(this.#rest.subarray(0, length))
    if (bytes.length < length || !/: [A-Z0-9_]+\n$/.test(bytes.toString('latin1')))
      throw new Error(`not an answer of the engine: ${head}${bytes}`)
    this.#start({ bytes, at: 0, isUntilEnd: false })
  }

  #start(body: Body): void {
    this.#body = { ...body }
    if (body.bytes.length === 0 && !body.isUntilEnd) this.#ended()
  }

  #readBody(body: Body): boolean {
    const count = Math.min(this.#rest.length, body.bytes.length - body.at)
    const wanted = body.bytes.subarray(body.at, body.at + count)
    if (count === 0) throw new Error(`bytes after the body: ${this.#rest.subarray(0, 100)}`)
    if (!this.#rest.subarray(0, count).equals(wanted)) throw new Error(`a byte of a body is not the one that was sent`)
    body.at += count
    this.#rest = this.#rest.subarray(count)
    if (body.at === body.bytes.length && !body.isUntilEnd) this.#ended()
    return true
  }

  #ended(): void {
    this.#body = undefined
    this.count++
  }

  #readRaw({ raw }: ModelBackend): boolean {
    if (this.#rest.length > raw.length || !raw.subarray(0, this.#rest.length).equals(this.#rest))
      throw new Error(`raw bytes that the backend did not send: ${this.#rest.subarray(0, 100)}`)
    return false
  }
}
