import { isExhausted, ProxyError, UNANSWERED } from '../proxy/index.ts'
import { propertyOf } from '../show.ts'

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
