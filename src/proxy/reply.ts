import { STATUS_CODES } from 'node:http'
import { HeadError } from '../parser/index.ts'
import type { ProxyError } from './error.ts'

/**
 * The engine's own answer to a failure, as bytes: a short text that names the code and quotes nothing of what the
 * client or the backend sent. `isHead`: it answers a HEAD request, so it has no body (RFC 9110 9.3.2).
 */
export function reply(error: ProxyError, isHead: boolean): Buffer {
  const status = error.status ?? 502
  const title = `${status} ${STATUS_CODES[status] ?? 'Unknown'}`
  const body = `${title}: ${error.cause instanceof HeadError ? error.cause.code : error.code}\n`
  return plainText(title, body, isHead)
}

/** A whole answer, after which the connection ends. `status` with its reason; `fields`: lines of its own. All in ASCII. */
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
