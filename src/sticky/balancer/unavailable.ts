import { Readable } from 'node:stream'
import type { Head } from '../../parser/index.ts'
import { plainText } from '../../proxy/index.ts'

const STATUS = '503 Service Unavailable'

/** What a client gets where no backend can take it (RFC 9110 15.6.4). `retryAfter` is in seconds. */
export function unavailable(head: Head, retryAfter: number): Readable | undefined {
  // A client that speaks HTTP/2 could not read it: it is reset.
  if (head.version === 'HTTP/2.0') return undefined
  const body = `${STATUS}: no backend is available\n`
  return Readable.from([plainText(STATUS, body, head.method === 'HEAD', `Retry-After: ${retryAfter}`)])
}
