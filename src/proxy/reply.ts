import { STATUS_CODES } from 'node:http'
import { HeadError } from '../parser/index.ts'
import { isError } from '../show.ts'
import type { ProxyError } from './error.ts'

/**
 * Makes the bytes of the engine's own answer to a failure. Its short text names the code, and quotes no bytes of the
 * client or the backend. If `isHead` is true, it answers a HEAD request and has no body (RFC 9110 9.3.2).
 */
export function reply(error: ProxyError, isHead: boolean): Buffer {
  const status = error.status ?? 502
  const title = `${status} ${STATUS_CODES[status] ?? 'Unknown'}`
  const body = `${title}: ${isError(error.cause) && error.cause instanceof HeadError ? error.cause.code : error.code}\n`
  return plainText(title, body, isHead)
}

/**
 * Makes a complete answer that closes the connection. `status` includes the reason phrase, and `fields` are header
 * lines. All strings must be ASCII.
 */
export function plainText(status: string, body: string, isHead: boolean, ...fields: string[]): Buffer {
  const head = [
    `HTTP/1.1 ${status}`,
    `Date: ${new Date().toUTCString()}`,
    ...fields,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${body.length}`,
    'Connection: close',
    '\r\n',
  ].join('\r\n')
  return Buffer.from(isHead ? head : head + body, 'latin1')
}
