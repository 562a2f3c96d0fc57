import { Readable } from 'node:stream'
import type { Head } from '../../parser/index.ts'

const BODY = '503 Service Unavailable: no backend is available\n'

/** What a client gets where no backend can take it (RFC 9110 15.6.4). `retryAfter` is in seconds. */
export function unavailable(head: Head, retryAfter: number): Readable | undefined {
  // A client that speaks HTTP/2 could not read it: it is reset.
  if (head.version === 'HTTP/2.0') return undefined
  const answer =
    'HTTP/1.1 503 Service Unavailable\r\n' +
    `Date: ${new Date().toUTCString()}\r\n` +
    `Retry-After: ${retryAfter}\r\n` +
    'Content-Type: text/plain; charset=utf-8\r\n' +
    `Content-Length: ${BODY.length}\r\n` +
    'Connection: close\r\n\r\n'
  // RFC 9110 9.3.2: the answer to HEAD has no body.
  return Readable.from([Buffer.from(head.method === 'HEAD' ? answer : answer + BODY, 'latin1')])
}
