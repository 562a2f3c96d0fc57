import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { Head } from '../parser/index.ts'
import type { ProxyErrorCode } from './error.ts'
import type { Settings } from './options.ts'
import { offer } from './upgrade.ts'

/** The only protocol that a backend is offered over TLS for an HTTP/2 connection. One list, so that keys are the same. */
const H2 = ['h2']

/** Whether the client negotiated HTTP/2 during its TLS handshake (RFC 9113 3.2). It cannot read answers of HTTP/1. */
export function hasNegotiatedHttp2(client: Duplex): boolean {
  return client instanceof tls.TLSSocket && client.alpnProtocol === 'h2'
}

/** Why the first head of a connection is refused for its protocol. Undefined: it is not. */
export function wrongProtocol(
  head: Head,
  client: Duplex,
  http2: Settings['http2'],
): Extract<ProxyErrorCode, `HTTP2_${string}`> | undefined {
  const hasNegotiated = hasNegotiatedHttp2(client)
  if (head.version !== 'HTTP/2.0') return hasNegotiated ? 'HTTP2_EXPECTED' : undefined
  return http2 === 'pass' || (http2 === 'alpn' && hasNegotiated) ? undefined : 'HTTP2_REFUSED'
}

/** Removes HTTP/2 from Upgrade. The request is then served as HTTP/1.1. */
export function withoutHttp2(head: Head): void {
  offer(head, true)
  head.delete('HTTP2-Settings')
}

/** Offers HTTP/2 and nothing else: RFC 9113 3.2 requires that over TLS. */
export function offeringHttp2(options: true | tls.ConnectionOptions): tls.ConnectionOptions {
  return { ...(options as tls.ConnectionOptions), ALPNProtocols: H2 }
}

/**
 * The error of a backend that was offered HTTP/2 only, and did not choose it. It would read an HTTP/2 connection as
 * HTTP/1. Undefined if it may be used.
 */
export function http2NotChosen(stream: Duplex, { ALPNProtocols: offered }: tls.ConnectionOptions): Error | undefined {
  const isOnly = Array.isArray(offered) && offered.length === 1 && offered[0] === 'h2'
  if (!isOnly || !(stream instanceof tls.TLSSocket) || stream.alpnProtocol === 'h2') return undefined
  return Object.assign(new Error('the backend did not choose h2 (ALPN)'), { code: 'ERR_H2_NOT_CHOSEN' })
}
