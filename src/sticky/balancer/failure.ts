import { isExhausted, ProxyError } from '../../proxy/index.ts'

/** Whether a backend was not reached: nothing has been sent, and another may be tried. */
export function isConnectFailure(error: unknown): error is ProxyError {
  return error instanceof ProxyError && (error.code === 'CONNECT_FAILED' || error.code === 'CONNECT_TIMEOUT')
}

/** Whether a failure is no reason to take a backend out. EAGAIN: the queue of its Unix socket is full for the moment. */
export function isPassing(cause: NodeJS.ErrnoException): boolean {
  return isExhausted(cause) || cause.code === 'EAGAIN'
}
