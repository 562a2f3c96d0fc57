import type { ClientInfo, Connection, Dest, Head } from '../../index.ts'
import { hostPort, type RequestTimes, subscribe } from '../../proxy/index.ts'
import { type Entry, FORMATS, type LogFormat } from './log-format.ts'
import type { Pools } from './pools.ts'

/** What the service knows about a request. */
export interface Known {
  /** Its X-Request-Id, with --request-id. */
  readonly id: string | undefined
  /** The client's own address, if trusted proxies named it. */
  address(): string | undefined
  /** Only the first request of each connection is read. */
  readonly isConnection: boolean
}

/** What the log knows of a request, or of a connection before its first one. */
class Record {
  /** When the connection was accepted or the request's head arrived. Undefined between two requests. */
  start: number | undefined
  /** Bytes that the connection had moved before. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly headBytesOut: number
  head: number | undefined
  connected: number | undefined
  request: string | undefined
  id: string | undefined
  /** Number of attempts to send it to a backend. */
  attempts = 0
  firstByte: number | undefined
  /** The client's own address, if trusted proxies named it. */
  address: string | undefined
  referer: string | undefined
  userAgent: string | undefined
  status: number | undefined
  dest: Dest | undefined
  /** Error codes, joined with commas. */
  errors = ''
  /** No error, or a backend was reached after the last one. */
  isWell = true

  constructor(start: number | undefined, bytesIn = 0, bytesOut = 0, headBytesOut = 0) {
    this.start = start
    this.bytesIn = bytesIn
    this.bytesOut = bytesOut
    this.headBytesOut = headBytesOut
  }
}

/**
 * Writes a line for each connection when it closes; with `requests: 'every'`, for each request when it is answered.
 * Without an AccessLog nothing is recorded.
 */
export class AccessLog {
  format: LogFormat
  readonly #isOurs: (connection: Connection) => boolean
  readonly #pools: Pick<Pools, 'find'>
  readonly #write: (line: string) => void
  /** By the client that `lookup` gets. */
  readonly #records = new Map<ClientInfo, Record>()
  readonly #stops: readonly (() => void)[]

  /** Connections that are already open are not logged. */
  constructor(
    format: LogFormat,
    pools: Pick<Pools, 'find'>,
    isOurs: (connection: Connection) => boolean,
    write: (line: string) => void,
  ) {
    this.format = format
    this.#pools = pools
    this.#isOurs = isOurs
    this.#write = write
    this.#stops = [
      subscribe('open', ({ connection }) => this.#opened(connection)),
      subscribe('routed', ({ connection, dest }) => this.#with(connection, (record) => routed(record, dest))),
      subscribe('connecting', ({ connection }) => this.#with(connection, connecting)),
      subscribe('connected', ({ connection }) => this.#with(connection, connected)),
      subscribe('response', ({ connection, status }) => this.#with(connection, (record) => (record.status = status))),
      subscribe('error', ({ connection, error }) => {
        // A health check may end with a reset. That is no error if it has sent nothing but a PROXY header.
        const isCheck = error.code === 'CLIENT_RESET' && connection.isSilent
        if (!isCheck) this.#with(connection, (record) => failed(record, error.code))
      }),
      subscribe('end', ({ connection, times }) => this.#ended(connection, times)),
      subscribe('close', ({ connection }) => this.#closed(connection)),
    ]
  }

  /** Call this with each request head before hooks change it. */
  request(head: Head, client: ClientInfo, { id, address }: Known): void {
    const record = this.#records.get(client)
    if (!record) return
    const now = performance.now()
    if (record.start === undefined) record.start = now
    else record.head = now
    record.request = head.first
    record.id = id
    record.address = address()
    if (this.format !== 'combined') return
    record.referer = head.get('referer')
    record.userAgent = head.get('user-agent')
  }

  close(): void {
    for (const stop of this.#stops) stop()
    this.#records.clear()
  }

  #opened(connection: Connection): void {
    if (!this.#isOurs(connection)) return
    this.#records.set(connection.client, new Record(performance.now()))
  }

  #ended(connection: Connection, { firstByte }: RequestTimes): void {
    const record = this.#records.get(connection.client)
    if (!record) return
    record.firstByte = firstByte
    this.#log(connection, record)
    const { bytesRead, bytesWritten, headBytesWritten } = connection
    this.#records.set(connection.client, new Record(undefined, bytesRead, bytesWritten, headBytesWritten))
  }

  #with(connection: Connection, change: (record: Record) => void): void {
    const record = this.#records.get(connection.client)
    if (record) change(record)
  }

  #closed(connection: Connection): void {
    const record = this.#records.get(connection.client)
    if (!record) return
    this.#records.delete(connection.client)
    // A health check or a browser's preconnect: no request and no error. A drain may have destroyed it.
    if (record.request === undefined && (record.errors === '' || record.errors === 'DESTROYED')) return
    this.#log(connection, record)
  }

  #log(connection: Connection, record: Record): void {
    const pool = this.#pools.find(record.dest)?.pool
    this.#write(FORMATS[this.format](entryOf(connection, record, pool)))
  }
}

function routed(record: Record, dest: Dest): void {
  record.dest = dest
  record.connected = undefined
  record.attempts++
}

function connecting(record: Record): void {
  // The reused connection was closed. The request goes to a fresh one.
  if (record.connected !== undefined) record.attempts++
}

function connected(record: Record): void {
  record.connected = performance.now()
  record.isWell = true
}

function failed(record: Record, code: string): void {
  record.errors += record.errors === '' ? code : `,${code}`
  record.isWell = false
}

function entryOf(connection: Connection, record: Record, pool: string | undefined): Entry {
  const { start, head, connected, firstByte, address, attempts, request, status, dest, errors, isWell } = record
  const now = performance.now()
  const begin = start ?? now
  const bytesOut = connection.bytesWritten - record.bytesOut
  return {
    time: Date.now(),
    client: address ?? clientOf(connection.client),
    request,
    referer: record.referer,
    userAgent: record.userAgent,
    requestId: record.id,
    status,
    pool,
    backend: dest && nameOf(dest),
    headMs: head && head - begin,
    connectMs: request === undefined ? undefined : connected && connected - (head ?? begin),
    firstByteMs: firstByte,
    totalMs: now - begin,
    bytesIn: connection.bytesRead - record.bytesIn,
    bytesOut,
    // A client that left got less than the whole head.
    bodyBytesOut: Math.max(0, bytesOut - (connection.headBytesWritten - record.headBytesOut)),
    retries: Math.max(0, attempts - 1),
    outcome: isWell ? `${errors}${errors === '' ? '' : ','}ok` : errors,
  }
}

/** The address and port of a client, or 'unix'. */
export function clientOf({ transport, remoteAddress, remotePort }: ClientInfo): string | undefined {
  if (remoteAddress !== undefined) return hostPort(remoteAddress, remotePort)
  return transport === 'unix' ? 'unix' : undefined
}

/** The name of a Dest in the log. 'own' if it has none, or if its getters throw. */
export function nameOf(dest: Dest): string {
  try {
    if ('backend' in dest) {
      const { id } = Object(dest.backend)
      if (typeof id === 'string') return id
    }
    if ('path' in dest && typeof dest.path === 'string') return `unix:${dest.path}`
    if ('port' in dest && typeof dest.port === 'number') return hostPort(dest.host ?? 'localhost', dest.port)
  } catch {
    // A user's object may throw.
  }
  return 'own'
}
