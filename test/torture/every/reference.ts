/**
 * Strict readers of HTTP/1.1 messages (RFC 9110, 9112), made of patterns. They share no code with the engine. All
 * strings are Latin-1.
 */

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const TEXT = '[\\t -~\\x80-\\xff]*'
const FIELD_LINE = `${TOKEN}:${TEXT}\\r\\n`
const REQUEST_HEAD = new RegExp(`^(${TOKEN}) ([!-~\\x80-\\xff]+) HTTP/1\\.([01])\\r\\n((?:${FIELD_LINE})*)\\r\\n`)
const RESPONSE_HEAD = new RegExp(`^HTTP/1\\.([01]) (\\d{3})(?: ${TEXT})?\\r\\n((?:${FIELD_LINE})*)\\r\\n`)
const CHUNK_LINE = new RegExp(`^([\\da-fA-F]{1,16})(?:;${TEXT})?\\r\\n`)
const CHUNK_LINE_START = new RegExp(`^(?:[\\da-fA-F]{1,16}(?:;${TEXT})?\\r?)?$`)
const TRAILERS = new RegExp(`^((?:${FIELD_LINE})*)\\r\\n`)
const TRAILERS_START = new RegExp(`^(?:${FIELD_LINE})*(?:\\r|${TOKEN}(?::${TEXT}\\r?)?)?$`)
/** Any punctuation may stand for a hyphen. */
const FORBIDDEN_TRAILER = new RegExp(
  '^(?:(?:content-length|transfer-encoding|host|cookie|authorization|forwarded|via|x-real-ip|x-client-ip|true-client-ip|cf-connecting-ip|client-cert|client-cert-chain):|x-forwarded)'.replaceAll(
    '-',
    '[^a-z\\d:\\s]',
  ),
  'im',
)

interface Fields {
  /** All values of a field, in order. */
  of(name: string): string[]
}

export interface Message extends Fields {
  readonly method: string
  readonly target: string
  readonly status: number
  readonly minor: '0' | '1'
  /** The content. */
  readonly body: string
  /** Length of the message in bytes; undefined if it is incomplete. */
  readonly length: number | undefined
  /** The bytes after it belong to another protocol. */
  readonly isSwitch: boolean
  /** The body ends when the connection does. */
  readonly isUntilClose: boolean
}

/** Reads the request at the start of a text. Returns the broken rule instead if no server may read it. */
export function readRequest(text: string): Message | string {
  const [head, method = '', target = '', minor = '1', block = ''] = REQUEST_HEAD.exec(text) ?? []
  if (head === undefined) return 'is not a request head'
  const fields = fieldsOf(block)
  const fault = faultOfRequest(method, minor, fields)
  if (fault) return fault
  const offers = fields.of('upgrade').length > 0
  const common = {
    ...fields,
    method,
    target,
    status: 0,
    minor: minor as '0' | '1',
    isSwitch: offers || method === 'CONNECT',
  }
  return withBody(common, text, head.length, framingOf(fields) ?? 0)
}

/** Reads the response at the start of a text, to a request with this method and minor version. */
export function readResponse(text: string, asked: { method: string; minor: '0' | '1' }): Message | string {
  const [head, minor = '1', code = '', block = ''] = RESPONSE_HEAD.exec(text) ?? []
  if (head === undefined) return 'is not a response head'
  const fields = fieldsOf(block)
  const status = Number(code)
  const isSwitch = status === 101 || (asked.method === 'CONNECT' && status >= 200 && status < 300)
  const common = { ...fields, method: asked.method, target: '', status, minor: minor as '0' | '1', isSwitch }
  const fault = faultOfResponse(common, asked.minor)
  if (fault) return fault
  const isBare = asked.method === 'HEAD' || status < 200 || status === 204 || status === 304 || isSwitch
  return withBody(common, text, head.length, isBare ? 0 : (framingOf(fields) ?? Number.POSITIVE_INFINITY))
}

function fieldsOf(block: string): Fields {
  const lines = block.split('\r\n').slice(0, -1)
  const fields = lines.map((line) => [
    line.slice(0, line.indexOf(':')).toLowerCase(),
    trim(line.slice(line.indexOf(':') + 1)),
  ])
  return { of: (name) => fields.filter(([one]) => one === name).map(([, value]) => value!) }
}

const trim = (text: string) => text.replace(/^[\t ]+|[\t ]+$/g, '')
const listOf = (values: string[]) => values.flatMap((value) => value.split(',').map((one) => trim(one).toLowerCase()))

/** The length of a body, 'chunked', or undefined if no field says. */
function framingOf(fields: Fields): number | 'chunked' | undefined {
  const codings = listOf(fields.of('transfer-encoding'))
  if (codings.length > 0) return codings.includes('chunked') ? 'chunked' : undefined
  const [length] = fields.of('content-length')
  return length === undefined ? undefined : Number(length)
}

function faultOfFraming(minor: string, fields: Fields): string | undefined {
  const lengths = fields.of('content-length')
  const codings = listOf(fields.of('transfer-encoding'))
  if (lengths.length > 1 || lengths.some((length) => !/^\d{1,15}$/.test(length))) return 'has a bad Content-Length'
  if (codings.length === 0) return undefined
  if (lengths.length > 0) return 'has Content-Length and Transfer-Encoding'
  if (minor === '0') return 'has Transfer-Encoding in HTTP/1.0'
  return [-1, codings.length - 1].includes(codings.indexOf('chunked')) ? undefined : 'does not end in chunked'
}

/** RFC 9110 7.6.1, 7.8. The bytes behind an upgrade are another protocol, so it has no body. */
function faultOfRequest(method: string, minor: string, fields: Fields): string | undefined {
  if (fields.of('host').length !== 1 && (minor === '1' || fields.of('host').length > 1)) return 'has not one Host'
  const fault = faultOfFraming(minor, fields)
  if (fault) return fault
  const framing = framingOf(fields)
  if (framing === undefined && fields.of('transfer-encoding').length > 0) return 'has no end'
  if (method === 'CONNECT' && framing !== undefined) return 'is a CONNECT with a body'
  const options = listOf(fields.of('connection'))
  if (options.some((option) => !['keep-alive', 'upgrade', 'te'].includes(option)))
    return 'has a Connection field of the client'
  if (['keep-alive', 'proxy-connection', 'http2-settings'].some((name) => fields.of(name).length > 0))
    return 'has a hop-by-hop field'
  const offers = fields.of('upgrade').length > 0
  if (offers !== options.includes('upgrade')) return 'has half an upgrade'
  if (offers && (framing === 'chunked' || (framing ?? 0) > 0)) return 'is an upgrade with a body'
  return offers && minor === '0' ? 'is an upgrade of HTTP/1.0' : undefined
}

function faultOfResponse(
  message: Pick<Message, 'of' | 'status' | 'minor' | 'isSwitch'>,
  asked: '0' | '1',
): string | undefined {
  const { status, minor, isSwitch, of } = message
  const framing = [...of('content-length'), ...of('transfer-encoding')]
  if (status < 200 && asked === '0') return 'is an interim response to HTTP/1.0'
  if (status < 200 || status === 204 || isSwitch)
    return framing.length > 0 ? 'frames a body that it does not have' : undefined
  if (asked === '1' && minor === '0') return 'is an HTTP/1.0 response to HTTP/1.1'
  // Other codings end with the connection, for any client.
  if (asked === '0' && listOf(of('transfer-encoding')).includes('chunked')) return 'has chunks for an HTTP/1.0 client'
  return faultOfFraming('1', message)
}

type Common = Omit<Message, 'body' | 'length' | 'isUntilClose'>

function withBody(common: Common, text: string, from: number, framing: number | 'chunked'): Message | string {
  if (framing === 'chunked') {
    const chunked = dechunk(text.slice(from))
    if (!chunked) return 'has a bad chunked body'
    const length = chunked.length === undefined ? undefined : from + chunked.length
    return { ...common, body: chunked.body, length, isUntilClose: false }
  }
  const body = text.slice(from, from + framing)
  const length = body.length === framing ? from + framing : undefined
  return { ...common, body, length, isUntilClose: framing === Number.POSITIVE_INFINITY }
}

/** Reads a chunked body (RFC 9112 7.1). Returns undefined if this cannot be the start of one. */
function dechunk(text: string): { body: string; length: number | undefined } | undefined {
  let body = ''
  for (let at = 0; ; ) {
    const rest = text.slice(at)
    const [line, digits = ''] = CHUNK_LINE.exec(rest) ?? []
    if (line === undefined) return CHUNK_LINE_START.test(rest) ? { body, length: undefined } : undefined
    at += line.length
    const size = Number.parseInt(digits, 16)
    if (size === 0) return endOf(text, at, body)
    body += text.slice(at, at + size)
    at += size
    const end = text.slice(at, at + 2)
    if (!'\r\n'.startsWith(end)) return undefined
    if (end.length < 2) return { body, length: undefined }
    at += 2
  }
}

function endOf(text: string, at: number, body: string): ReturnType<typeof dechunk> {
  const [section, trailers = ''] = TRAILERS.exec(text.slice(at)) ?? []
  if (section === undefined) return TRAILERS_START.test(text.slice(at)) ? { body, length: undefined } : undefined
  return FORBIDDEN_TRAILER.test(trailers) ? undefined : { body, length: at + section.length }
}
