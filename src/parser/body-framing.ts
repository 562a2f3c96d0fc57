import type { Head } from './head.ts'

/** How the end of a message's body is found (RFC 9112 6.3). */
export type BodyFraming =
  /** There is no body. */
  | { readonly kind: 'none' }
  /** The body has `length` bytes. */
  | { readonly kind: 'length'; readonly length: number }
  /** The body ends after the last chunk and the trailer section (RFC 9112 7.1). */
  | { readonly kind: 'chunked' }
  /** The body ends when the connection closes. Responses only. */
  | { readonly kind: 'close' }

const NONE: BodyFraming = { kind: 'none' }
const CHUNKED: BodyFraming = { kind: 'chunked' }
const CLOSE: BodyFraming = { kind: 'close' }

/**
 * Computes the framing of a message's body from its head. Pass the head as `HeadScanner` or `parseHead` returned it,
 * without edits: an edit does not change the bytes that follow on the wire.
 *
 * @param request the request that a response answers; default: a GET
 * @throws {RangeError} on a Content-Length that the scanner would have refused
 */
export function bodyOf(head: Head, request?: Head): BodyFraming {
  return head.kind === 'request' ? requestBody(head) : responseBody(head, request)
}

function requestBody(head: Head): BodyFraming {
  // The bytes after a CONNECT (RFC 9110 9.3.6) or the HTTP/2 preface (RFC 9113 3.4) are not a body.
  if (head.method === 'CONNECT' || head.version === 'HTTP/2.0') return NONE
  // HeadScanner accepts a request's Transfer-Encoding only if chunked is last.
  if (head.has('transfer-encoding')) return CHUNKED
  return lengthOf(head) ?? NONE
}

function responseBody(head: Head, request: Head | undefined): BodyFraming {
  const { status } = head
  // RFC 9112 6.3, rules 1 and 2.
  if (request?.method === 'HEAD' || status < 200 || status === 204 || status === 304) return NONE
  if (request?.method === 'CONNECT' && status < 300) return NONE
  const codings = head.get('transfer-encoding')
  if (codings !== undefined) return /(?:^|,)[\t ]*chunked$/i.test(codings) ? CHUNKED : CLOSE
  return lengthOf(head) ?? CLOSE
}

function lengthOf(head: Head): BodyFraming | undefined {
  const text = head.get('content-length')
  if (text === undefined) return undefined
  const length = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(length)) {
    throw new RangeError(`Content-Length: expected one decimal number below 2^53, got '${text}'`)
  }
  return { kind: 'length', length }
}
