import { isTunnel } from '../tunnel.ts'
import { type BodyLimits, BodyScanner } from './body.ts'
import type { BodyError } from './body-error.ts'
import { type BodyFraming, bodyOf } from './body-framing.ts'
import type { HeadError } from './error.ts'
import type { Head, HeadKind } from './head.ts'
import type { HeadLimits } from './limits.ts'
import { HeadScanner } from './scanner.ts'

/** A piece of a stream of messages. */
export type MessagePart =
  /** A message starts. `framing` tells how its body ends. */
  | { readonly kind: 'head'; readonly head: Head; readonly framing: BodyFraming }
  /** Bytes of the body as received, with chunk framing; a view of the pushed bytes. */
  | { readonly kind: 'body'; readonly bytes: Buffer }
  /** The message is complete. */
  | { readonly kind: 'end' }
  /** Bytes of another protocol, after a CONNECT, a 2xx to CONNECT, a 101 or the HTTP/2 preface. */
  | { readonly kind: 'tunnel'; readonly bytes: Buffer }

/** Options of a `MessageReader`. */
export interface MessageReaderOptions extends HeadLimits, BodyLimits {
  /**
   * Returns the request that a response answers. Called for each response head, interim ones too, because responses to
   * HEAD and CONNECT have no body (RFC 9112 6.3). Default: every response answers a GET.
   */
  requestOf?: (response: Head) => Head | undefined
}

const END: MessagePart = { kind: 'end' }

/**
 * Reads a stream of HTTP/1 messages. It does not copy bodies, and reads only their framing bytes. A request with
 * `Upgrade` is read like any other, because only its response decides what follows.
 */
export class MessageReader {
  readonly kind: HeadKind
  readonly #options: MessageReaderOptions
  readonly #heads: HeadScanner
  /** Scans the current body; undefined between messages. */
  #body: BodyScanner | undefined
  #isTunnel = false
  /** Whether part of a head has arrived. */
  #isInHead = false
  #error: HeadError | BodyError | undefined

  /** @throws {RangeError} on a limit that is not a positive integer */
  constructor(kind: HeadKind, options: MessageReaderOptions = {}) {
    this.kind = kind
    this.#options = options
    this.#heads = new HeadScanner(kind, options)
    new BodyScanner({ kind: 'chunked' }, options) // validates the limits
  }

  /** The first error in the stream. Its offset counts from the start of that head or body. */
  get error(): HeadError | BodyError | undefined {
    return this.#error
  }

  /** Reads the next bytes and returns their parts. Returns none after an error, and never throws. */
  push(chunk: Uint8Array): MessagePart[] {
    const parts: MessagePart[] = []
    let rest: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    while (rest.length > 0 && !this.#error) {
      if (this.#isTunnel) {
        parts.push({ kind: 'tunnel', bytes: rest })
        return parts
      }
      rest = this.#body ? this.#readBody(this.#body, rest, parts) : this.#readHead(rest, parts)
    }
    return parts
  }

  /** Call this when the stream ends. Returns 'end' if that completes a message; see `error` if it cuts one short. */
  end(): MessagePart[] {
    if (this.#error || this.#isTunnel) return []
    if (!this.#body) {
      if (this.#isInHead) this.#error = this.#heads.end()
      return []
    }
    this.#error = this.#body.end()
    this.#body = undefined
    return this.#error ? [] : [END]
  }

  #readHead(bytes: Buffer, parts: MessagePart[]): Buffer {
    this.#isInHead = true
    const verdict = this.#heads.push(bytes)
    if (verdict === 'invalid') this.#error = this.#heads.error
    if (verdict !== 'head') return NOTHING
    const { head, rest } = this.#heads
    this.#begin(head!, parts)
    this.#heads.reset()
    return rest
  }

  #begin(head: Head, parts: MessagePart[]): void {
    this.#isInHead = false
    const request = head.kind === 'request' ? head : this.#options.requestOf?.(head)
    const framing = bodyOf(head, request)
    parts.push({ kind: 'head', head, framing })
    this.#isTunnel = isTunnelBehind(head, request)
    this.#body = new BodyScanner(framing, this.#options)
    if (this.#body.state === 'end') this.#finish(parts)
  }

  #readBody(body: BodyScanner, bytes: Buffer, parts: MessagePart[]): Buffer {
    const count = body.push(bytes)
    if (count > 0) parts.push({ kind: 'body', bytes: bytes.subarray(0, count) })
    if (body.state === 'end') this.#finish(parts)
    this.#error = body.error
    return bytes.subarray(count)
  }

  #finish(parts: MessagePart[]): void {
    this.#body = undefined
    parts.push(END)
  }
}

const NOTHING = Buffer.alloc(0)

/** Whether the bytes after the head are not HTTP/1 (RFC 9110 7.8, 9.3.6; RFC 9113 3.4). */
function isTunnelBehind(head: Head, request: Head | undefined): boolean {
  if (head.kind === 'request') return head.method === 'CONNECT' || head.version === 'HTTP/2.0'
  return isTunnel(request?.method, head.status)
}
