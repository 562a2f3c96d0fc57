/** Every way in which a head can be refused: the code, the status a client gets for it, and what it means. */
const FAULTS = {
  EMPTY_LINES: [400, 'more than one empty line before the request line'],
  BAD_METHOD: [400, 'the method is not a token'],
  BAD_TARGET: [400, 'the request target has a byte it may not have, or none of the four forms'],
  BAD_START_LINE: [400, 'the start line ends before it is whole'],
  BAD_VERSION: [400, 'the version is not HTTP/ and two digits, or something follows it'],
  UNSUPPORTED_VERSION: [400, 'the version is none of HTTP/1.0 and HTTP/1.1'],
  BAD_PREFACE: [400, 'PRI with anything else than the HTTP/2 preface'],
  BAD_STATUS: [400, 'the status is not a number of three digits from 100'],
  BAD_REASON: [400, 'a byte that a reason phrase may not have'],
  BARE_CR: [400, 'a CR that no LF follows'],
  BARE_LF: [400, 'an LF without its CR'],
  NUL: [400, 'a NUL byte'],
  OBS_FOLD: [400, 'a line starts with white space'],
  EMPTY_FIELD_NAME: [400, 'a line starts with a colon'],
  BAD_FIELD_NAME: [400, 'a byte that a field name may not have'],
  SPACE_BEFORE_COLON: [400, 'white space in or after a field name'],
  MISSING_COLON: [400, 'a field line without a colon'],
  BAD_FIELD_VALUE: [400, 'a byte that a field value may not have'],
  BAD_CONTENT_LENGTH: [400, 'Content-Length is not one decimal number below 2^53'],
  DUPLICATE_CONTENT_LENGTH: [400, 'more than one Content-Length'],
  LENGTH_AND_ENCODING: [400, 'Content-Length and Transfer-Encoding in one head'],
  BAD_TRANSFER_ENCODING: [400, 'Transfer-Encoding is not a list of names with chunked once, at its end'],
  ENCODING_IN_HTTP_1_0: [400, 'Transfer-Encoding in HTTP/1.0'],
  MISSING_HOST: [400, 'an HTTP/1.1 request without Host'],
  DUPLICATE_HOST: [400, 'more than one Host'],
  BAD_HOST: [400, 'Host is not a host with an optional port'],
  HOST_MISMATCH: [400, 'Host names another host than the request target'],
  INCOMPLETE: [400, 'the bytes end before the head does'],
  TRAILING_BYTES: [400, 'bytes after the one head that was asked for'],
  HEAD_TOO_LARGE: [431, 'the head is longer than maxHeadBytes'],
  TOO_MANY_FIELDS: [431, 'the head has more fields than maxFields'],
} as const satisfies Record<string, readonly [status: number, meaning: string]>

export type HeadErrorCode = keyof typeof FAULTS

/** Why a head was refused. */
export class HeadError extends Error {
  override readonly name = 'HeadError'
  readonly code: HeadErrorCode
  /** The status for whoever sent a request head: 400 or 431. A bad response head makes a 502, whatever its code. */
  readonly status: 400 | 431
  /** Offset in bytes, from the first byte after construction or `reset()`, of the byte that broke the rule. */
  readonly offset: number
  /** The name of the scanner's state at that byte. */
  readonly state: string
  /** The byte itself; undefined where no single byte breaks the rule. */
  readonly byte: number | undefined

  constructor(code: HeadErrorCode, offset: number, state: string, byte?: number) {
    const [status, meaning] = FAULTS[code]
    const value = byte === undefined ? '' : ` is 0x${byte.toString(16).padStart(2, '0')}`
    super(`${code}: ${meaning} (byte ${offset}${value}, in ${state})`)
    this.code = code
    this.status = status
    this.offset = offset
    this.state = state
    this.byte = byte
  }
}

/** Each code with its status and meaning, in the order of the parts of a head that they are about. */
export const headErrorCodes: Readonly<Record<HeadErrorCode, readonly [status: 400 | 431, meaning: string]>> = FAULTS
