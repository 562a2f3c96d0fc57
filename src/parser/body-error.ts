/** Every code of a BodyError and its meaning. */
const FAULTS = {
  BAD_CHUNK_SIZE: 'a chunk size is not a hex number, or something other than an extension follows it',
  CHUNK_TOO_LARGE: 'a chunk size of 2^53 or more, or of more than 16 digits',
  BAD_CHUNK_EXTENSION: 'a byte that is not allowed in a chunk extension',
  CHUNK_EXTENSION_TOO_LARGE: 'a chunk extension is longer than maxChunkExtensionBytes',
  BAD_CHUNK_END: 'chunk data is not followed by CRLF',
  BARE_CR: 'a CR without its LF',
  BARE_LF: 'an LF without its CR',
  BAD_TRAILER: 'a trailer line is not a field',
  FORBIDDEN_TRAILER:
    'a trailer field that frames, routes or authenticates a message, such as Content-Length, Host or X-Forwarded-For',
  TRAILER_TOO_LARGE: 'the trailer section is longer than maxTrailerBytes',
  INCOMPLETE: 'the bytes end before the body does',
} as const satisfies Record<string, string>

export type BodyErrorCode = keyof typeof FAULTS

/** Why a body was refused. */
export class BodyError extends Error {
  override readonly name = 'BodyError'
  readonly code: BodyErrorCode
  /** Offset of the offending byte, in bytes from the start of the body. */
  readonly offset: number
  /** The scanner's state at that byte. */
  readonly state: string

  constructor(code: BodyErrorCode, offset: number, state: string) {
    super(`${code}: ${FAULTS[code]} (byte ${offset}, in ${state})`)
    this.code = code
    this.offset = offset
    this.state = state
  }
}

/** The meaning of each code, in the order of the parts of a body. */
export const bodyErrorCodes: Readonly<Record<BodyErrorCode, string>> = FAULTS
