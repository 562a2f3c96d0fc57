import type { Head } from '../../index.ts'

/**
 * Protocols of Upgrade with requests that nobody would read here (RFC 2817). The engine removes h2c, except with http2
 * 'pass' and requests 'first'.
 */
const REQUESTS_INSIDE = /(?:^|,)[ \t]*(?:tls|https?)(?:[/, \t]|$)/i

/**
 * The answer to a request that would begin a tunnel for more requests. Those would pass without the fields and limits of
 * this proxy: a backend may answer CONNECT with a 2xx as any other method, and read on.
 */
export function refuseTunnel(head: Head): Response | undefined {
  if (head.method === 'CONNECT') return new Response('501 Not Implemented: CONNECT\n', { status: 501 })
  const isRefused = REQUESTS_INSIDE.test(head.get('upgrade') ?? '')
  return isRefused ? new Response('400 Bad Request: Upgrade to TLS or HTTP\n', { status: 400 }) : undefined
}
