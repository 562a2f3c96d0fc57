/** Every code of a ProxyHeaderError and its meaning. */
const FAULTS = {
  NOT_PROXY: 'the first bytes are not those of a PROXY header',
  BAD_LINE: 'the line of version 1 is incomplete or has extra parts',
  BAD_VERSION: 'the version is neither 1 nor 2',
  BAD_COMMAND: 'the command is neither LOCAL nor PROXY',
  BAD_FAMILY: 'the family is not a stream over IPv4, IPv6 or a Unix socket',
  BAD_ADDRESS: 'an address is not of the stated family',
  BAD_PORT: 'a port is not a decimal number from 0 to 65535 without leading zeros',
  BAD_LENGTH: 'the length is too short for the addresses',
  BAD_TLV: 'a TLV does not fit',
  BAD_CHECKSUM: 'the CRC32c is wrong',
  HEADER_TOO_LARGE: 'the header is longer than 107 bytes (version 1) or 4096 bytes (version 2)',
  HEADER_INCOMPLETE: 'the bytes end before the header does',
} as const

export type ProxyHeaderErrorCode = keyof typeof FAULTS

/** Why a PROXY header was refused. */
export class ProxyHeaderError extends Error {
  override readonly name = 'ProxyHeaderError'
  readonly code: ProxyHeaderErrorCode
  /** Offset of the offending byte, in bytes from the start of the connection. */
  readonly offset: number

  constructor(code: ProxyHeaderErrorCode, offset: number) {
    super(`${code}: ${FAULTS[code]} (at byte ${offset})`)
    this.code = code
    this.offset = offset
  }
}

/** The meaning of each code. */
export const proxyHeaderErrorCodes: Readonly<Record<ProxyHeaderErrorCode, string>> = FAULTS
