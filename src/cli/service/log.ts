import type { ClientInfo, Connection, Dest, Head } from '../../index.ts'
import { hear, hostPort, normalize } from '../../proxy/index.ts'
import { escapeText } from '../escape.ts'

export type LogFormat = 'text' | 'json'

/** What one line tells of a connection. */
export interface Entry {
  /** When it closed. */
  time: Date
  /** '127.0.0.1:50000', or 'unix'. */
  client: string
  /** The first line of its first request, as it came. */
  request: string | undefined
  /** The id of the last backend that it was sent to, or the address of a Dest of the user's own. */
  backend: string | undefined
  /** ms from accept to the end of the head. */
  headMs: number | undefined
  /** ms from there until a backend was reached. */
  connectMs: number | undefined
  /** ms from accept to close. */
  totalMs: number
  /** Bytes from the client. */
  bytesIn: number
  /** Bytes to the client. */
  bytesOut: number
  /** The codes of its errors, in order, and 'ok' where there was none, or where it got on after them. */
  outcome: string
}

interface Record {
  start: number
  head: number | undefined
  connected: number | undefined
  request: string | undefined
  dest: Dest | undefined
  errors: string[]
  /** A backend was reached after the last of the errors. */
  isWell: boolean
}

/** Writes a line for each connection of a service, when it closes. As long as there is none, it costs nothing. */
export class AccessLog {
  format: LogFormat
  readonly #isOurs: (connection: Connection) => boolean
  readonly #write: (line: string) => void
  /** By what `lookup` knows of a connection. */
  readonly #records = new Map<ClientInfo, Record>()
  readonly #stops: readonly (() => void)[]

  /** Begins to listen: of the connections that are open, nothing is known. */
  constructor(format: LogFormat, isOurs: (connection: Connection) => boolean, write: (line: string) => void) {
    this.format = format
    this.#isOurs = isOurs
    this.#write = write
    this.#stops = [
      hear('open', ({ connection }) => this.#opened(connection)),
      hear('routed', ({ connection, dest }) => this.#with(connection, (record) => routed(record, dest))),
      hear('connected', ({ connection }) => this.#with(connection, connected)),
      hear('error', ({ connection, error }) => this.#with(connection, (record) => failed(record, error.code))),
      hear('close', ({ connection }) => this.#closed(connection)),
    ]
  }

  /** A request came, which nobody has written to yet. */
  request(head: Head, client: ClientInfo): void {
    const record = this.#records.get(client)
    if (!record) return
    record.head = performance.now()
    record.request = head.first
  }

  close(): void {
    for (const stop of this.#stops) stop()
    this.#records.clear()
  }

  #opened(connection: Connection): void {
    if (!this.#isOurs(connection)) return
    this.#records.set(connection.client, {
      start: performance.now(),
      head: undefined,
      connected: undefined,
      request: undefined,
      dest: undefined,
      errors: [],
      isWell: true,
    })
  }

  #with(connection: Connection, change: (record: Record) => void): void {
    const record = this.#records.get(connection.client)
    if (record) change(record)
  }

  #closed(connection: Connection): void {
    const record = this.#records.get(connection.client)
    if (!record) return
    this.#records.delete(connection.client)
    // A health check of somebody else's, or a browser that connected ahead: nothing was asked, and nothing went wrong,
    // but for the drain that waits no longer.
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

function entryOf(connection: Connection, { start, head, connected, request, dest, errors, isWell }: Record): Entry {
  const { remoteAddress, remotePort } = connection.client
  return {
    time: new Date(),
    client: remoteAddress === undefined ? 'unix' : hostPort(normalize(remoteAddress), remotePort),
    request,
    backend: dest && nameOf(dest),
    headMs: head && head - start,
    connectMs: head && connected && connected - head,
    totalMs: performance.now() - start,
    bytesIn: connection.bytesRead,
    bytesOut: connection.bytesWritten,
    outcome: [...errors, ...(isWell ? ['ok'] : [])].join(','),
  }
}

/** What a line calls a destination. */
function nameOf(dest: Dest): string {
  if ('backend' in dest) {
    const { id } = Object(dest.backend)
    if (typeof id === 'string') return id
  }
  if ('path' in dest && typeof dest.path === 'string') return `unix:${dest.path}`
  if ('port' in dest && typeof dest.port === 'number') return hostPort(dest.host ?? 'localhost', dest.port)
  return 'own'
}

const FORMATS: Readonly<{ [K in LogFormat]: (entry: Entry) => string }> = { text: toText, json: toJson }

/** Fields between spaces, '-' where there is none: time, client, "request", backend, times, bytes, outcome. */
export function toText(entry: Entry): string {
  const { time, client, request, backend, headMs, connectMs, totalMs, bytesIn, bytesOut, outcome } = entry
  const times = [headMs, connectMs, totalMs].map((ms) => (ms === undefined ? '-' : rounded(ms)))
  return [
    time.toISOString(),
    client,
    request === undefined ? '-' : `"${escapeText(request)}"`,
    backend === undefined ? '-' : escapeText(backend).replaceAll(' ', '\\x20'),
    `${times.join('/')}ms`,
    `${bytesIn}/${bytesOut}`,
    outcome,
  ].join(' ')
}

/** The same as an object of JSON, in ASCII; null where there is none. */
export function toJson({ time, client, request, backend, headMs, connectMs, totalMs, ...rest }: Entry): string {
  const text = JSON.stringify({
    time: time.toISOString(),
    client,
    request: request ?? null,
    backend: backend ?? null,
    headMs: headMs === undefined ? null : rounded(headMs),
    connectMs: connectMs === undefined ? null : rounded(connectMs),
    totalMs: rounded(totalMs),
    ...rest,
  })
  // JSON leaves DEL and the control characters past it as they are, and a terminal obeys some of them.
  return text.replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** To the tenth. */
function rounded(ms: number): number {
  return Math.round(ms * 10) / 10
}
