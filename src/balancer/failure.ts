import { isExhausted, ProxyError, UNANSWERED } from '../proxy/index.ts'
import { propertyOf } from '../show.ts'
import type { BackendSettings } from './backend-options.ts'

/** Whether an error means that no backend was reached. Nothing has been sent, so another may be tried. */
export function isConnectFailure(error: unknown): error is ProxyError {
  return error instanceof ProxyError && (error.code === 'CONNECT_FAILED' || error.code === 'CONNECT_TIMEOUT')
}

/** Whether a backend that was sent a request gave no response. */
export function isUnanswered({ code, requestSent }: ProxyError): boolean {
  return requestSent && UNANSWERED.has(code)
}

/**
 * Whether a failure says nothing about the backend's health: out of local resources, or EAGAIN, a full accept queue of
 * a Unix socket.
 */
export function isTransient(cause: unknown): boolean {
  return isExhausted(cause) || propertyOf(cause, 'code') === 'EAGAIN'
}

/**
 * Whether a failed connect for HTTP/2 says nothing about a backend's health: over TLS, a backend for both protocols may
 * speak HTTP/1.1 only. It answers the offer of h2 with an alert or a reset, or ignores it. Any client can make that offer.
 */
export function mayLackHttp2(
  { cause }: ProxyError,
  { protocol, place }: Pick<BackendSettings, 'protocol' | 'place'>,
): boolean {
  const code = String(propertyOf(cause, 'code') ?? '')
  return (
    protocol === 'both' && place.tls !== undefined && /^(?:ERR_H2_NOT_CHOSEN|ERR_SSL_.*|ECONNRESET|EPIPE|)$/.test(code)
  )
}
