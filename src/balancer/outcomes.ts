import { bodyOf, type Head } from '../parser/index.ts'
import { type Connection, followErrors, type ProxyError, type ProxyErrorCode, subscribe } from '../proxy/index.ts'
import type { Backend } from './backend.ts'
import type { EjectSettings } from './eject-options.ts'

/** A response did not come. */
const MISSING: ReadonlySet<ProxyErrorCode> = new Set(['NO_RESPONSE', 'RESPONSE_HEAD_TIMEOUT'])

/** Tells backends whether they served their requests, by listening to the proxy's diagnostics channels. */
export class Outcomes {
  settings: EjectSettings
  /** Connections whose last request has reached a verdict. */
  readonly #judged = new WeakSet<Connection>()
  /** Connections whose request ended with its head, so that its client cannot be the reason for a failure. */
  readonly #withoutBody = new WeakSet<Connection>()
  readonly #stops: readonly (() => void)[]

  /** `backendOf` finds the backend of a Dest. */
  constructor(settings: EjectSettings, backendOf: (dest: unknown) => Backend | undefined) {
    this.settings = settings
    this.#stops = [
      subscribe('routed', ({ connection, head }) => {
        this.#judged.delete(connection)
        if (isWithoutBody(head)) this.#withoutBody.add(connection)
        else this.#withoutBody.delete(connection)
      }),
      subscribe('response', ({ connection, dest, status, response }) => {
        if (!response) return
        const fault = this.#faultOf(status)
        if (fault) this.#failed(connection, backendOf(dest), fault)
        else this.#judge(connection, backendOf(dest))
      }),
      followErrors(({ connection, error, dest }) => {
        if (isMissing(error, connection)) this.#failed(connection, backendOf(dest), error)
        else this.#judged.add(connection)
      }),
      // With `requests: 'first'` responses pass unread.
      subscribe('end', ({ connection, dest, status, bytesWritten }) => {
        if (status === undefined && bytesWritten > 0) this.#judge(connection, backendOf(dest))
      }),
    ]
  }

  stop(): void {
    for (const stop of this.#stops) stop()
  }

  /**
   * Counts neither way for a request with a body, or if the client has ended its side: the client may be the reason. Many
   * backends give up a client that seems to have left.
   */
  #failed(connection: Connection, backend: Backend | undefined, fault: Error): void {
    if (this.#withoutBody.has(connection) && !connection.hasClientEnded) this.#judge(connection, backend, fault)
    else this.#judged.add(connection)
  }

  #judge(connection: Connection, backend: Backend | undefined, fault?: Error): void {
    if (this.#judged.has(connection)) return
    this.#judged.add(connection)
    if (fault) backend?.misbehaved(fault)
    else backend?.served()
  }

  #faultOf(status: number): Error | undefined {
    const isFault = this.settings.status.some(([least, most]) => least <= status && status <= most)
    return isFault ? new Error(`it answered ${status}`) : undefined
  }
}

/**
 * Whether the backend gave no response. Other errors may be the client's fault, such as a reset inside a response that the
 * client does not read. With `requests: 'first'` a tunnel is open already. A reused connection that is reset says nothing.
 */
function isMissing({ code, phase }: ProxyError, { bytesWritten }: Connection): boolean {
  return MISSING.has(code) || (code === 'BACKEND_RESET' && phase === 'tunnel' && bytesWritten === 0)
}

/**
 * Whether the request was complete when it was routed. A backend may give up a client that stalls or sends nonsense in a
 * body, a tunnel or an HTTP/2 connection, also with a 503.
 */
function isWithoutBody(head: Head): boolean {
  return bodyOf(head).kind === 'none' && head.method !== 'CONNECT' && head.version !== 'HTTP/2.0'
}
