import { escapeText } from '../escape.ts'

export type LogFormat = 'text' | 'json' | 'combined'

/** One line of the access log. */
export interface Entry {
  /** When it closed, or the request was answered: ms since 1970. */
  time: number
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
  const times = `${msOf(entry.headMs)}/${msOf(entry.connectMs)}/${msOf(entry.firstByteMs)}/${msOf(entry.totalMs)}`
  const head = `${isoTime(time)} ${wordOf(client)} ${request === undefined ? '-' : `"${escapeText(request)}"`}`
  const from = `${status ?? '-'} ${pool ?? '-'} ${wordOf(backend)}`
  return `${head} ${from} ${times}ms ${bytesIn}/${bytesOut} +${retries} ${wordOf(requestId)} ${outcome}`
}

/** The same as a JSON object in ASCII, null for none. */
export function toJson(entry: Entry): string {
  const { time, client, request, status, pool, backend, bytesIn, bytesOut, retries, requestId, outcome } = entry
  const head = `{"time":"${isoTime(time)}","client":${quoted(client)},"request":${quoted(request)}`
  const from = `"status":${status ?? null},"pool":${quoted(pool)},"backend":${quoted(backend)}`
  const start = `"headMs":${msOf(entry.headMs, 'null')},"connectMs":${msOf(entry.connectMs, 'null')}`
  const rest = `"firstByteMs":${msOf(entry.firstByteMs, 'null')},"totalMs":${msOf(entry.totalMs)}`
  const bytes = `"bytesIn":${bytesIn},"bytesOut":${bytesOut},"retries":${retries}`
  return `${head},${from},${start},${rest},${bytes},"requestId":${quoted(requestId)},"outcome":${quoted(outcome)}}`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** The Combined Log Format of the Apache HTTP Server: host ident user [time] "request" status bytes "referer" "agent". */
export function toCombined({ time, client, request, status, bodyBytesOut, referer, userAgent }: Entry): string {
  const [first, from, agent] = [request, referer, userAgent].map((text) => (text ? escapeText(text) : '-'))
  const host = client === undefined ? '-' : wordOf(hostOf(client))
  return `${host} - - [${apacheTime(time)}] "${first}" ${status ?? '-'} ${bodyBytesOut} "${from}" "${agent}"`
}

/** Keeps the text of the last second: to format a time takes as long as the rest of a line. */
function bySecond(format: (second: Date) => string): (time: number) => string {
  let known = Number.NaN
  let text = ''
  return (time) => {
    const second = Math.floor(time / 1_000)
    if (second !== known) text = format(new Date(second * 1_000))
    known = second
    return text
  }
}

const isoSecond = bySecond((second) => second.toISOString().slice(0, -4))
const apacheTime = bySecond((second) => {
  const [day, clock] = [second.toISOString().slice(8, 10), second.toISOString().slice(11, 19)]
  return `${day}/${MONTHS[second.getUTCMonth()]}/${second.getUTCFullYear()}:${clock} +0000`
})

function isoTime(time: number): string {
  return `${isoSecond(time)}${String(time % 1_000).padStart(3, '0')}Z`
}

/** A client without its port. */
function hostOf(client: string): string {
  return client.replace(/^\[(.*)\]:\d+$|^([^:]+):\d+$/, '$1$2')
}

/** A field without spaces, '-' for none. */
function wordOf(text: string | undefined): string {
  return text === undefined ? '-' : escapeText(text).replaceAll(' ', '\\x20')
}

/** JSON in ASCII. */
function quoted(text: string | undefined): string {
  if (text === undefined) return 'null'
  if (/^[ !#-[\]-~]*$/.test(text)) return `"${text}"`
  // JSON does not escape DEL and C1 control characters, some of which a terminal would obey.
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(text).replace(/[^ -~]/g, escaped)
}

/** Rounded to 0.1. Integers are printed faster than fractions. */
function msOf(ms: number | undefined, none = '-'): string {
  if (ms === undefined) return none
  const tenths = Math.round(ms * 10)
  const whole = Math.trunc(tenths / 10)
  return tenths === whole * 10 ? `${whole}` : `${whole}.${tenths - whole * 10}`
}
