import type { Head } from '../parser/index.ts'

/** The 503 response when no backend is available (RFC 9110 15.6.4). `retryAfter` is in seconds. */
export function unavailable(head: Head, retryAfter: number): Response | undefined {
  // An HTTP/2 client could not read it: its connection is reset.
  if (head.version === 'HTTP/2.0') return undefined
  return new Response('503 Service Unavailable: no backend is available\n', {
    status: 503,
    headers: { 'Retry-After': String(retryAfter), 'Content-Type': 'text/plain; charset=utf-8' },
  })
}
