import type { ClientInfo, Connection, ConnectionEvents, Dest, Head, ProxyErrorCode } from '../../index.ts'
import { type RequestTimes, subscribe } from '../../proxy/index.ts'
import { splitTarget } from '../../request-target.ts'
import { isTunnel } from '../../tunnel.ts'
import { escapeText } from '../escape.ts'
import { RecentRequests, type RequestEntry, type RequestLists } from '../recent-requests.ts'
import { clientOf, type Known, nameOf } from './log.ts'
import type { Pools } from './pools.ts'

const MOST_ADDRESS = 64
const MOST_METHOD = 32
const MOST_PATH = 256

/** Failures that the client causes, or that end a connection without a fault of the backend. */
const NO_FAILURES: ReadonlySet<ProxyErrorCode> = new Set([
  'BAD_HEAD',
  'HTTP2_REFUSED',
  'BAD_REQUEST_BODY',
  'HEAD_TIMEOUT',
  'REQUEST_BODY_TIMEOUT',
  'CLIENT_GONE',
  'CLIENT_RESET',
  'DESTROYED',
  'IDLE_TIMEOUT',
  'HALF_CLOSE_TIMEOUT',
])

/** A request under way. */
interface Started {
  /** Before hooks and routes changed them. */
  readonly method: string
  readonly target: string
  /** The client's own address, if trusted proxies named it. */
  readonly address: string | undefined
  /** Only the first request of its connection is read. */
  readonly isConnection: boolean
  /** The last error, unless a backend was reached after it. */
  code: ProxyErrorCode | undefined
}

/** Keeps the slowest and the failed requests, by listening to the proxy's diagnostics channels. */
export class RequestRecorder {
  readonly #pools: Pools
  readonly #recent = new RecentRequests()
  readonly #started = new WeakMap<ClientInfo, Started>()
  readonly #stops: readonly (() => void)[]

  constructor(pools: Pools) {
    this.#pools = pools
    this.#stops = [
      subscribe('connected', ({ connection }) => this.#note(connection, undefined)),
      subscribe('error', ({ connection, error }) => this.#note(connection, error.code)),
      subscribe('end', this.#ended),
    ]
  }

  get lists(): RequestLists {
    return this.#recent.lists
  }

  /** Call this with each request head before hooks change it. */
  request({ method, target }: Head, client: ClientInfo, { address, isConnection }: Known): void {
    this.#started.set(client, { method, target, address: address(), isConnection, code: undefined })
  }

  close(): void {
    for (const stop of this.#stops) stop()
  }

  #note({ client }: Connection, code: ProxyErrorCode | undefined): void {
    const started = this.#started.get(client)
    if (started) started.code = code
  }

  readonly #ended = ({ connection, dest, status, times }: ConnectionEvents['end']): void => {
    const started = this.#started.get(connection.client)
    // Requests of other services in this process have not been announced to this one.
    if (!started) return
    this.#started.delete(connection.client)
    const { method, code, isConnection } = started
    const total = isConnection ? timeToBackend(times) : times.total
    const isSlow = !isTunnel(method, status) && this.#recent.isSlow(total)
    const isFailed = code === undefined ? status !== undefined && status >= 500 : !NO_FAILURES.has(code)
    if (!isSlow && !isFailed) return
    const entry = this.#entryOf(started, connection.client, dest, status, { ...times, total })
    if (isSlow) this.#recent.addSlow(entry)
    if (isFailed) this.#recent.addFailed(entry)
  }

  #entryOf(
    started: Started,
    client: ClientInfo,
    dest: Dest | undefined,
    status: number | undefined,
    { connect, firstByte, total }: RequestTimes,
  ): RequestEntry {
    const { method, target, address, code } = started
    const place = this.#pools.find(dest)
    return {
      at: Date.now(),
      client: shown(address ?? clientOf(client) ?? '', MOST_ADDRESS),
      method: shown(method, MOST_METHOD),
      path: shown(splitTarget({ method, target })?.path ?? target, MOST_PATH),
      status,
      code,
      pool: place?.pool ?? '',
      backend: place?.backend ?? (dest ? nameOf(dest) : ''),
      connect: connect && rounded(connect),
      firstByte: firstByte && rounded(firstByte),
      total: rounded(total),
    }
  }
}

/** With `requests: 'first'` a connection ends long after its first request. What is known of that is when it was passed on. */
function timeToBackend({ queue, connect, firstByte = 0, total }: RequestTimes): number {
  return connect === undefined ? total : (queue ?? 0) + connect + firstByte
}

/** Cut and escaped. A slice would keep the whole string, a request head, in memory. */
function shown(text: string, most: number): string {
  return escapeText(Buffer.from(text.slice(0, most), 'latin1').toString('latin1'))
}

/** Rounds to 0.1. */
function rounded(ms: number): number {
  return Math.round(ms * 10) / 10
}
