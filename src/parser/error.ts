/** Every code of a HeadError, with the status that a client gets and the meaning. */
const FAULTS = {
  EMPTY_LINES: [400, 'more than one empty line before the request line'],
  BAD_METHOD: [400, 'the method is not a token'],
  BAD_TARGET: [400, 'the request target has a forbidden byte, or none of the four forms of RFC 9112 3.2'],
  BAD_START_LINE: [400, 'the start line is incomplete'],
  BAD_VERSION: [400, 'the version is not HTTP/ and two digits, or something follows it'],
  UNSUPPORTED_VERSION: [505, 'the version is neither HTTP/1.0 nor HTTP/1.1'],
  BAD_PREFACE: [400, 'a PRI request that is not the HTTP/2 preface'],
  BAD_STATUS: [400, 'the status is not a number from 100 to 999'],
  BAD_REASON: [400, 'a byte that is not allowed in a reason phrase'],
  BARE_CR: [400, 'a CR without its LF'],
  BARE_LF: [400, 'an LF without its CR'],
  NUL: [400, 'a NUL byte'],
  OBS_FOLD: [400, 'a line starts with white space'],
  EMPTY_FIELD_NAME: [400, 'a line starts with a colon'],
  BAD_FIELD_NAME: [400, 'a byte that is not allowed in a field name'],
  SPACE_BEFORE_COLON: [400, 'white space in or after a field name'],
  MISSING_COLON: [400, 'a field line without a colon'],
  BAD_FIELD_VALUE: [400, 'a byte that is not allowed in a field value'],
  BAD_CONTENT_LENGTH: [400, 'Content-Length is not one decimal number below 2^53'],
  DUPLICATE_CONTENT_LENGTH: [400, 'more than one Content-Length value'],
  LENGTH_AND_ENCODING: [400, 'Content-Length and Transfer-Encoding in one head'],
  BAD_TRANSFER_ENCODING: [400, 'Transfer-Encoding is not a list of names with chunked once, at its end'],
  ENCODING_IN_HTTP_1_0: [400, 'Transfer-Encoding in HTTP/1.0'],
  BAD_CONNECTION: [
    400,
    'Connection is not a list of tokens, or names a field that routes, frames or forwards the request',
  ],
  MISSING_HOST: [400, 'an HTTP/1.1 request without Host'],
  DUPLICATE_HOST: [400, 'more than one Host'],
  BAD_HOST: [400, 'Host is not a host with an optional port'],
  INCOMPLETE: [400, 'the bytes end before the head does'],
  TRAILING_BYTES: [400, 'bytes follow the head'],
  HEAD_TOO_LARGE: [431, 'the head is longer than maxHeadBytes'],
  TOO_MANY_FIELDS: [431, 'the head has more fields than maxFields'],
} as const satisfies Record<string, readonly [status: number, meaning: string]>

export type HeadErrorCode = keyof typeof FAULTS

/** Why a head was refused. */
export class HeadError extends Error {
  override readonly name = 'HeadError'
  readonly code: HeadErrorCode
  /** The status to answer a request with: 400, 431 or 505. The proxy answers 502 to any bad response head. */
  readonly status: 400 | 431 | 505
  /** Offset of the offending byte, in bytes since the scanner was made or reset. */
  readonly offset: number
  /** The scanner's state at that byte. */
  readonly state: string
  /** The offending byte; undefined if the error is not about a single byte. */
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

/** The status and meaning of each code, in the order of the parts of a head. */
export const headErrorCodes: Readonly<Record<HeadErrorCode, readonly [status: 400 | 431 | 505, meaning: string]>> =
  FAULTS
