import { escapeText } from '../escape.ts'

export type LogFormat = 'text' | 'json' | 'combined'

/** One line of the access log. */
export interface Entry {
  /** When it closed, or the request was answered. */
  time: Date
  /**
   * '127.0.0.1:50000' or 'unix'; the address alone if trusted proxies named it. Undefined for a TCP client that left before
   * its address was known.
   */
  client: string | undefined
  /** The request line, unchanged. */
  request: string | undefined
  /** The status of the response. Undefined if there was none, or if it passed unread. */
  status: number | undefined
  /** The pool of the last backend. Undefined for a Dest from a user's hook. */
  pool: string | undefined
  /** The id of the last backend, or the address of a Dest from a user's hook. */
  backend: string | undefined
  /** ms from accept to the end of the request head. Undefined for a later request of the connection. */
  headMs: number | undefined
  /** ms from there to the backend connection. */
  connectMs: number | undefined
  /** ms from there to the first byte of the response, where responses are read. */
  firstByteMs: number | undefined
  /** ms from accept to close; for a later request, from the end of its head. */
  totalMs: number
  /** Bytes from the client. */
  bytesIn: number
  /** Bytes to the client. */
  bytesOut: number
  /** Without the heads that were read, for 'combined'. */
  bodyBytesOut: number
  /** Times that the request went to another backend or connection. */
  retries: number
  /** X-Request-Id, with --request-id. */
  requestId: string | undefined
  /** The fields of these names, for 'combined'. */
  referer: string | undefined
  userAgent: string | undefined
  /** Error codes in order. 'ok' follows if there was none, or if a backend was reached after the last one. */
  outcome: string
}

export const FORMATS: Readonly<{ [K in LogFormat]: (entry: Entry) => string }> = {
  text: toText,
  json: toJson,
  combined: toCombined,
}

/** Fields separated by spaces, '-' for none: time, client, "request", status, pool, backend, times, bytes, retries, id, outcome. */
export function toText(entry: Entry): string {
  const { time, client, request, status, pool, backend, bytesIn, bytesOut, retries, requestId, outcome } = entry
  const { headMs, connectMs, firstByteMs, totalMs } = entry
  const times = [headMs, connectMs, firstByteMs, totalMs].map((ms) => (ms === undefined ? '-' : rounded(ms)))
  return [
    time.toISOString(),
    client === undefined ? '-' : wordOf(client),
    request === undefined ? '-' : `"${escapeText(request)}"`,
    status ?? '-',
    pool ?? '-',
    backend === undefined ? '-' : wordOf(backend),
    `${times.join('/')}ms`,
    `${bytesIn}/${bytesOut}`,
    `+${retries}`,
    requestId === undefined ? '-' : wordOf(requestId),
    outcome,
  ].join(' ')
}

/** The same as a JSON object in ASCII, null for none. */
export function toJson(entry: Entry): string {
  const { time, client, request, status, pool, backend, bytesIn, bytesOut, retries, requestId, outcome } = entry
  const { headMs, connectMs, firstByteMs, totalMs } = entry
  const ms = (time: number | undefined) => (time === undefined ? null : rounded(time))
  const text = JSON.stringify({
    time: time.toISOString(),
    client: client ?? null,
    request: request ?? null,
    status: status ?? null,
    pool: pool ?? null,
    backend: backend ?? null,
    headMs: ms(headMs),
    connectMs: ms(connectMs),
    firstByteMs: ms(firstByteMs),
    totalMs: rounded(totalMs),
    bytesIn,
    bytesOut,
    retries,
    requestId: requestId ?? null,
    outcome,
  })
  // JSON does not escape DEL and C1 control characters, some of which a terminal would obey.
  return text.replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** The Combined Log Format of the Apache HTTP Server: host ident user [time] "request" status bytes "referer" "agent". */
export function toCombined({ time, client, request, status, bodyBytesOut, referer, userAgent }: Entry): string {
  const [day, clock] = [time.toISOString().slice(8, 10), time.toISOString().slice(11, 19)]
  const date = `${day}/${MONTHS[time.getUTCMonth()]}/${time.getUTCFullYear()}:${clock} +0000`
  const [first, from, agent] = [request, referer, userAgent].map((text) => (text ? escapeText(text) : '-'))
  return `${wordOf(hostOf(client))} - - [${date}] "${first}" ${status ?? '-'} ${bodyBytesOut} "${from}" "${agent}"`
}

/** A client without its port. */
function hostOf(client: string | undefined): string {
  return client?.replace(/^\[(.*)\]:\d+$|^([^:]+):\d+$/, '$1$2') ?? '-'
}

/** A field without spaces. */
function wordOf(text: string): string {
  return escapeText(text).replaceAll(' ', '\\x20')
}

/** Rounds to 0.1. */
function rounded(ms: number): number {
  return Math.round(ms * 10) / 10
}
