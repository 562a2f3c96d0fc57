import { HeadError } from '../parser/index.ts'
import { isError, messageOf, propertyOf } from '../show.ts'

/** Every code of a ProxyError, with the status that a client gets if it is not too late, and the meaning. */
const FAILURES = {
  UNTRUSTED_PROXY: [undefined, 'the peer may not send a PROXY header'],
  BAD_PROXY_HEADER: [undefined, 'the PROXY header was refused'],
  PROXY_HEADER_TIMEOUT: [undefined, 'the PROXY header took longer than headTimeout'],
  BAD_HEAD: [400, 'the request head was refused'],
  HTTP2_REFUSED: [505, 'an HTTP/2 connection, refused by the option http2'],
  HTTP2_EXPECTED: [undefined, 'the client negotiated h2 over TLS, but sent no HTTP/2 preface'],
  BAD_REQUEST_BODY: [400, 'the framing of the request body was refused'],
  HEAD_TIMEOUT: [408, 'the request head took longer than headTimeout'],
  NO_DESTINATION: [503, 'lookup returned no destination'],
  LOOKUP_FAILED: [503, 'lookup threw, rejected, or returned a bad Dest or Response'],
  CONNECT_FAILED: [502, 'the backend could not be reached'],
  CONNECT_TIMEOUT: [504, 'the backend could not be reached within connectTimeout'],
  ERRBACK_FAILED: [undefined, 'errback threw, rejected, or returned a wrong value'],
  REQUEST_BODY_TIMEOUT: [408, 'the request body stalled for bodyTimeout'],
  REQUEST_SEND_TIMEOUT: [504, 'the backend did not read the request body for bodyTimeout'],
  BAD_RESPONSE_HEAD: [502, 'the response head was refused'],
  UNASKED_UPGRADE: [502, 'the backend switched to a protocol that the client did not request'],
  BAD_RESPONSE_BODY: [undefined, 'the framing of the response body was refused'],
  RESPONSE_BODY_TIMEOUT: [undefined, 'the response body stalled for bodyTimeout, or the client did not read it'],
  NO_RESPONSE: [502, 'the backend closed before its response head was complete'],
  RESPONSE_HEAD_TIMEOUT: [504, 'the response head took longer than responseHeadTimeout'],
  MODIFY_FAILED: [502, 'modify threw or rejected'],
  REPLY_FAILED: [undefined, 'the Response body or Readable that a hook returned failed'],
  CLIENT_GONE: [undefined, 'the client closed its side, and no complete response came'],
  CLIENT_RESET: [undefined, 'the client reset the connection'],
  BACKEND_RESET: [undefined, 'the backend reset the connection'],
  DESTROYED: [undefined, 'destroy() or the end of a drain closed the connection'],
  IDLE_TIMEOUT: [undefined, 'no byte in either direction for idleTimeout'],
  HALF_CLOSE_TIMEOUT: [undefined, 'no byte for halfCloseTimeout after one side had closed'],
} as const satisfies Record<string, readonly [status: number | undefined, meaning: string]>

export type ProxyErrorCode = keyof typeof FAILURES

/** Failures before a response. With `requests: 'every'`, errback may answer the request, or send it again. */
export const UNANSWERED: ReadonlySet<ProxyErrorCode> = new Set([
  'NO_RESPONSE',
  'BACKEND_RESET',
  'RESPONSE_HEAD_TIMEOUT',
  'REQUEST_SEND_TIMEOUT',
])

/** The phase of the connection in which it failed. */
export type Phase = 'head' | 'lookup' | 'connect' | 'response' | 'tunnel' | 'reply'

/** Why a connection failed. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError'
  readonly code: ProxyErrorCode
  readonly phase: Phase
  /** The status of the engine's answer; undefined if it is too late for one. */
  readonly status: number | undefined
  /** A backend may have received bytes of the request. */
  readonly requestSent: boolean

  /** `cause` is a HeadError, BodyError, ProxyHeaderError or system error, or the value that a hook threw. */
  constructor(code: ProxyErrorCode, phase: Phase, cause?: unknown, requestSent = false) {
    const [status, meaning] = FAILURES[code]
    super(isError(cause) ? `${code}: ${meaning}: ${messageOf(cause)}` : `${code}: ${meaning}`)
    if (cause !== undefined) this.cause = cause
    this.code = code
    this.phase = phase
    this.requestSent = requestSent
    this.status = code === 'BAD_HEAD' && cause instanceof HeadError ? cause.status : status
  }
}

const EXHAUSTED: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL'])

/** Whether this machine is out of files, ports or memory. The backend is not to blame then. */
export function isExhausted(cause: unknown): boolean {
  // A host with several addresses: every attempt must have failed for that reason.
  if (isError(cause) && cause instanceof AggregateError) {
    const errors = propertyOf(cause, 'errors')
    if (Array.isArray(errors) && errors.length > 0) return errors.every(isExhausted)
  }
  return EXHAUSTED.has(propertyOf(cause, 'code'))
}

/** Each code with its status and meaning. */
export const proxyErrorCodes: Readonly<Record<ProxyErrorCode, readonly [status: number | undefined, meaning: string]>> =
  FAILURES
