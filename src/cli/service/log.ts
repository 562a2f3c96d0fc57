import type { ClientInfo, Connection, Dest, Head } from '../../index.ts'
import { hostPort, subscribe } from '../../proxy/index.ts'
import { escapeText } from '../escape.ts'

export type LogFormat = 'text' | 'json'

/** One line of the access log. */
export interface Entry {
  /** When it closed, or the request was answered. */
  time: Date
  /** '127.0.0.1:50000' or 'unix'. Undefined for a TCP client that left before its address was known. */
  client: string | undefined
  /** The request line, unchanged. */
  request: string | undefined
  /** The status of the response. Undefined if there was none, or if it passed unread. */
  status: number | undefined
  /** The id of the last backend, or the address of a Dest from a user's hook. */
  backend: string | undefined
  /** ms from accept to the end of the request head. Undefined for a later request of the connection. */
  headMs: number | undefined
  /** ms from there to the backend connection. */
  connectMs: number | undefined
  /** ms from accept to close; for a later request, from the end of its head. */
  totalMs: number
  /** Bytes from the client. */
  bytesIn: number
  /** Bytes to the client. */
  bytesOut: number
  /** Error codes in order. 'ok' follows if there was none, or if a backend was reached after the last one. */
  outcome: string
}

interface Record {
  /** Undefined between two requests. */
  start: number | undefined
  /** Bytes that the connection had moved before. */
  bytesIn: number
  bytesOut: number
  head: number | undefined
  connected: number | undefined
  request: string | undefined
  status: number | undefined
  dest: Dest | undefined
  errors: string[]
  /** No error, or a backend was reached after the last one. */
  isWell: boolean
}

const UNUSED: Omit<Record, 'errors'> = {
  start: undefined,
  bytesIn: 0,
  bytesOut: 0,
  head: undefined,
  connected: undefined,
  request: undefined,
  status: undefined,
  dest: undefined,
  isWell: true,
}

/**
 * Writes a line for each connection when it closes; with `requests: 'every'`, for each request when it is answered.
 * Without an AccessLog nothing is recorded.
 */
export class AccessLog {
  format: LogFormat
  readonly #isOurs: (connection: Connection) => boolean
  readonly #write: (line: string) => void
  /** By the client that `lookup` gets. */
  readonly #records = new Map<ClientInfo, Record>()
  readonly #stops: readonly (() => void)[]

  /** Connections that are already open are not logged. */
  constructor(format: LogFormat, isOurs: (connection: Connection) => boolean, write: (line: string) => void) {
    this.format = format
    this.#isOurs = isOurs
    this.#write = write
    this.#stops = [
      subscribe('open', ({ connection }) => this.#opened(connection)),
      subscribe('routed', ({ connection, dest }) => this.#with(connection, (record) => routed(record, dest))),
      subscribe('connected', ({ connection }) => this.#with(connection, connected)),
      subscribe('response', ({ connection, status }) => this.#with(connection, (record) => (record.status = status))),
      subscribe('error', ({ connection, error }) => this.#with(connection, (record) => failed(record, error.code))),
      subscribe('end', ({ connection }) => this.#ended(connection)),
      subscribe('close', ({ connection }) => this.#closed(connection)),
    ]
  }

  /** Call this with each request head before it is changed. */
  request(head: Head, client: ClientInfo): void {
    const record = this.#records.get(client)
    if (!record) return
    const now = performance.now()
    if (record.start === undefined) record.start = now
    else record.head = now
    record.request = head.first
  }

  close(): void {
    for (const stop of this.#stops) stop()
    this.#records.clear()
  }

  #opened(connection: Connection): void {
    if (!this.#isOurs(connection)) return
    this.#records.set(connection.client, { ...UNUSED, start: performance.now(), errors: [] })
  }

  #ended(connection: Connection): void {
    const record = this.#records.get(connection.client)
    if (!record) return
    this.#write(FORMATS[this.format](entryOf(connection, record)))
    const { bytesRead, bytesWritten } = connection
    Object.assign(record, { ...UNUSED, errors: [], bytesIn: bytesRead, bytesOut: bytesWritten })
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
    if (record.request === undefined && record.errors.every((code) => code === 'DESTROYED')) return
    this.#write(FORMATS[this.format](entryOf(connection, record)))
  }
}

function routed(record: Record, dest: Dest): void {
  record.dest = dest
}

function connected(record: Record): void {
  record.connected = performance.now()
  record.isWell = true
}

function failed(record: Record, code: string): void {
  record.errors.push(code)
  record.isWell = false
}

function entryOf(connection: Connection, record: Record): Entry {
  const { start, head, connected, request, status, dest, errors, isWell } = record
  const now = performance.now()
  const begin = start ?? now
  return {
    time: new Date(),
    client: clientOf(connection.client),
    request,
    status,
    backend: dest && nameOf(dest),
    headMs: head && head - begin,
    connectMs: request === undefined ? undefined : connected && connected - (head ?? begin),
    totalMs: now - begin,
    bytesIn: connection.bytesRead - record.bytesIn,
    bytesOut: connection.bytesWritten - record.bytesOut,
    outcome: [...errors, ...(isWell ? ['ok'] : [])].join(','),
  }
}

function clientOf({ transport, remoteAddress, remotePort }: ClientInfo): string | undefined {
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

const FORMATS: Readonly<{ [K in LogFormat]: (entry: Entry) => string }> = { text: toText, json: toJson }

/** Fields separated by spaces, '-' for none: time, client, "request", status, backend, times, bytes, outcome. */
export function toText(entry: Entry): string {
  const { time, client, request, status, backend, headMs, connectMs, totalMs, bytesIn, bytesOut, outcome } = entry
  const times = [headMs, connectMs, totalMs].map((ms) => (ms === undefined ? '-' : rounded(ms)))
  return [
    time.toISOString(),
    client ?? '-',
    request === undefined ? '-' : `"${escapeText(request)}"`,
    status ?? '-',
    backend === undefined ? '-' : escapeText(backend).replaceAll(' ', '\\x20'),
    `${times.join('/')}ms`,
    `${bytesIn}/${bytesOut}`,
    outcome,
  ].join(' ')
}

/** The same as a JSON object in ASCII, null for none. */
export function toJson({ time, client, request, status, backend, headMs, connectMs, totalMs, ...rest }: Entry): string {
  const text = JSON.stringify({
    time: time.toISOString(),
    client: client ?? null,
    request: request ?? null,
    status: status ?? null,
    backend: backend ?? null,
    headMs: headMs === undefined ? null : rounded(headMs),
    connectMs: connectMs === undefined ? null : rounded(connectMs),
    totalMs: rounded(totalMs),
    ...rest,
  })
  // JSON does not escape DEL and C1 control characters, some of which a terminal would obey.
  return text.replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Rounds to 0.1. */
function rounded(ms: number): number {
  return Math.round(ms * 10) / 10
}
