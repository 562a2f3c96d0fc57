import { pattern } from '../../../helpers/pattern.ts'

/** The framing and the length of a body. */
type Framing = 'none' | 'length' | 'chunked' | 'close'

interface RequestKind {
  readonly method: string
  readonly version?: string
  /** Fields that the backend gets, too. */
  readonly fields?: string
  /** Fields that the engine removes. */
  readonly dropped?: string
  readonly framing?: Framing
  readonly size?: number
  /** The engine refuses it. */
  readonly isBad?: boolean
}

const LARGE = 150_000

export const REQUEST_KINDS = {
  get: { method: 'GET' },
  head: { method: 'HEAD' },
  delete: { method: 'DELETE' },
  post: { method: 'POST', framing: 'length', size: 50 },
  empty: { method: 'POST', framing: 'length', size: 0 },
  put: { method: 'PUT', framing: 'length', size: 3_000 },
  chunked: { method: 'POST', framing: 'chunked', size: 600 },
  large: { method: 'PUT', framing: 'length', size: LARGE },
  flood: { method: 'POST', framing: 'chunked', size: LARGE },
  expect: { method: 'PUT', fields: 'Expect: 100-continue\r\n', framing: 'length', size: 100 },
  last: { method: 'GET', dropped: 'Connection: close\r\n' },
  old: { method: 'GET', version: 'HTTP/1.0', fields: 'Connection: keep-alive\r\n' },
  older: { method: 'GET', version: 'HTTP/1.0' },
  login: { method: 'GET', fields: 'Authorization: NTLM abc\r\n' },
  upgrade: { method: 'GET', fields: 'Connection: Upgrade\r\nUpgrade: x\r\n' },
  bad: { method: 'GET', fields: 'Bad : x\r\n', isBad: true },
  'bad body': { method: 'POST', framing: 'chunked', size: 0, isBad: true },
} as const satisfies Record<string, RequestKind>

export type RequestName = keyof typeof REQUEST_KINDS

export interface RequestText {
  readonly kind: RequestKind
  /** The head as the client sends it. */
  readonly head: Buffer
  readonly body: Buffer
  /** The head as a backend gets it, without its last empty line. */
  readonly passed: string
}

const BYTES = pattern(3, LARGE + 1_000)
const BAD_CHUNK = Buffer.from('xyz\r\n')

const FIELDS: Readonly<Record<Framing, (size: number) => string>> = {
  none: () => '',
  close: () => '',
  length: (size) => `Content-Length: ${size}\r\n`,
  chunked: () => 'Transfer-Encoding: chunked\r\n',
}

/** Cuts data into some chunks. The seed decides where its bytes start in the pattern. */
function bodyOf(framing: Framing, size: number, seed: number): { bytes: Buffer; data: Buffer } {
  const from = (seed * 257) % 1_000
  const data = BYTES.subarray(from, from + size)
  if (framing !== 'chunked') return { bytes: data, data }
  const middle = size >> 1
  const chunks = [data.subarray(0, middle), data.subarray(middle)].filter(({ length }) => length > 0)
  const pieces = chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)};n=1\r\n`), chunk, CRLF])
  return { bytes: Buffer.concat([...pieces, Buffer.from('0\r\nX-Sum: 1\r\n\r\n')]), data }
}

const CRLF = Buffer.from('\r\n')

/** Writes a request for a target. */
export function requestText(name: RequestName, target: string, seed: number): RequestText {
  const kind: RequestKind = REQUEST_KINDS[name]
  const { method, version = 'HTTP/1.1', fields = '', dropped = '', framing = 'none', size = 0 } = kind
  const first = `${method} ${target} ${version}\r\nHost: a\r\n`
  const rest = `${fields}${FIELDS[framing](size)}`
  const body = name === 'bad body' ? BAD_CHUNK : bodyOf(framing, size, seed).bytes
  return { kind, head: Buffer.from(`${first}${dropped}${rest}\r\n`), body, passed: first + rest }
}

interface ResponseKind {
  readonly status?: string
  readonly version?: string
  readonly fields?: string
  readonly dropped?: string
  readonly framing?: Framing
  readonly size?: number
  /** Its length with its head, instead of `size`: it fills the buffers of its reads. */
  readonly total?: number
  /** An interim head before it. */
  readonly interim?: string
  /** Bytes that follow it. */
  readonly surplus?: string
  /** The engine refuses it: its head, or its body. */
  readonly bad?: 'head' | 'body'
}

const UNASKED = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-R: unasked\r\n\r\nunasked'

export const RESPONSE_KINDS = {
  plain: { framing: 'length', size: 20 },
  chunked: { framing: 'chunked', size: 700 },
  long: { framing: 'length', size: LARGE - 1_000 },
  exact: { framing: 'length', total: 131_072 },
  stream: { framing: 'chunked', size: LARGE - 1_000 },
  close: { framing: 'close', size: 300 },
  last: { dropped: 'Connection: close\r\n', framing: 'length', size: 20 },
  short: { dropped: 'Keep-Alive: timeout=1\r\n', framing: 'length', size: 20 },
  empty: { status: '204 No Content' },
  same: { status: '304 Not Modified', fields: 'Content-Length: 20\r\n' },
  old: { version: 'HTTP/1.0', framing: 'close', size: 30 },
  'old kept': { version: 'HTTP/1.0', dropped: 'Connection: keep-alive\r\n', framing: 'length', size: 30 },
  login: { status: '401 Unauthorized', fields: 'WWW-Authenticate: NTLM\r\n', framing: 'length', size: 20 },
  hints: { framing: 'length', size: 20, interim: '103 Early Hints' },
  continue: { framing: 'length', size: 20, interim: '100 Continue' },
  surplus: { framing: 'length', size: 20, surplus: UNASKED },
  switch: { status: '101 Switching Protocols', fields: 'Connection: Upgrade\r\nUpgrade: x\r\n' },
  'bad head': { fields: 'Bad\0: x\r\n', framing: 'length', size: 20, bad: 'head' },
  'bad body': { framing: 'chunked', size: 0, bad: 'body' },
} as const satisfies Record<string, ResponseKind>

export type ResponseName = keyof typeof RESPONSE_KINDS
export { UNASKED }

export interface ResponseText {
  readonly kind: ResponseKind
  readonly interim: string
  /** The head as the client gets it, without Connection. */
  readonly passed: string
  /** All bytes that the backend sends. */
  readonly bytes: Buffer
  /** The body with its framing, and without. */
  readonly body: Buffer
  readonly data: Buffer
}

/** Writes a response. `number` names it. */
export function responseText(name: ResponseName, number: number, isHead: boolean): ResponseText {
  const kind: ResponseKind = RESPONSE_KINDS[name]
  const { status = '200 OK', version = 'HTTP/1.1', fields = '', dropped = '', framing = 'none', total = 0 } = kind
  const interim = kind.interim === undefined ? '' : `HTTP/1.1 ${kind.interim}\r\nX-R: ${number}\r\n\r\n`
  const restOf = (size: number) => `${fields}${FIELDS[framing](size)}X-R: ${number}\r\n`
  const headOf = (rest: string) => Buffer.from(`${interim}${version} ${status}\r\n${dropped}${rest}\r\n`)
  const size = kind.size ?? Math.max(0, total - headOf(restOf(total)).length)
  const rest = restOf(size)
  const { bytes, data } = isHead ? bodyOf('none', 0, 0) : bodyOf(framing, size, number)
  const body = kind.bad === 'body' && !isHead ? BAD_CHUNK : bytes
  const all = Buffer.concat([headOf(rest), body, Buffer.from(kind.surplus ?? '')])
  return { kind, interim, passed: ` ${status}\r\n${rest}`, bytes: all, body, data }
}
