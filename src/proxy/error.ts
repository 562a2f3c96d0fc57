import { HeadError } from '../parser/index.ts'

/** Every way in which a connection can fail: the status a client gets where it still can get one, and what it means. */
const FAILURES = {
  UNTRUSTED_PROXY: [undefined, 'the peer is not one whose PROXY header is taken'],
  BAD_PROXY_HEADER: [undefined, 'the PROXY header was refused'],
  PROXY_HEADER_TIMEOUT: [undefined, 'the PROXY header took longer than headTimeout'],
  BAD_HEAD: [400, 'the request head was refused'],
  HEAD_TIMEOUT: [408, 'the request head took longer than headTimeout'],
  NO_DESTINATION: [503, 'lookup returned no destination'],
  LOOKUP_FAILED: [503, 'lookup threw or rejected'],
  CONNECT_FAILED: [502, 'the backend could not be reached'],
  CONNECT_TIMEOUT: [504, 'the backend could not be reached within connectTimeout'],
  ERRBACK_FAILED: [
    undefined,
    'errback threw, rejected, or returned something else than nothing, a Readable or a Dest; the first error is answered',
  ],
  BAD_RESPONSE_HEAD: [502, 'the response head was refused'],
  NO_RESPONSE: [502, 'the backend ended before its response head did'],
  RESPONSE_HEAD_TIMEOUT: [504, 'the response head took longer than responseHeadTimeout'],
  MODIFY_FAILED: [502, 'modify threw or rejected'],
  REPLY_FAILED: [undefined, 'the Readable that errback returned broke off'],
  CLIENT_RESET: [undefined, 'the client broke the connection off'],
  BACKEND_RESET: [undefined, 'the backend broke the connection off'],
  DESTROYED: [undefined, 'the connection was ended by destroy(), or at the end of a drain'],
  IDLE_TIMEOUT: [undefined, 'no byte went either way for idleTimeout'],
  HALF_CLOSE_TIMEOUT: [undefined, 'one side had ended, and no byte went the other way for halfCloseTimeout'],
} as const satisfies Record<string, readonly [status: number | undefined, meaning: string]>

export type ProxyErrorCode = keyof typeof FAILURES

/** Where in a connection's life it failed. */
export type Phase = 'head' | 'lookup' | 'connect' | 'response' | 'tunnel' | 'reply'

/** Why a connection failed. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError'
  readonly code: ProxyErrorCode
  readonly phase: Phase
  /** The status of the answer that the engine gives for it; undefined where it is too late for one. */
  readonly status: number | undefined

  /** `cause` is the HeadError or ProxyHeaderError, the system's error, or what the hook threw. */
  constructor(code: ProxyErrorCode, phase: Phase, cause?: unknown) {
    const [status, meaning] = FAILURES[code]
    super(cause instanceof Error ? `${code}: ${meaning}: ${messageOf(cause)}` : `${code}: ${meaning}`)
    if (cause !== undefined) this.cause = cause
    this.code = code
    this.phase = phase
    this.status = code === 'BAD_HEAD' && cause instanceof HeadError ? cause.status : status
  }
}

/** What something that was thrown says. When every address of a host failed, Node's AggregateError has only a code. */
export function messageOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return cause.message || (cause as NodeJS.ErrnoException).code || cause.name
}

const EXHAUSTED: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL'])

/** Whether this machine has run out of files, ports or memory: no fault of the backend that was to be reached. */
export function isExhausted(cause: unknown): boolean {
  // Of a host with several addresses, each was tried.
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.every(isExhausted)
  return EXHAUSTED.has((cause as NodeJS.ErrnoException | undefined)?.code)
}

/** Each code with its status and meaning. */
export const proxyErrorCodes: Readonly<Record<ProxyErrorCode, readonly [status: number | undefined, meaning: string]>> =
  FAILURES
