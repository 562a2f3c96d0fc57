/** Every way in which a PROXY header can be wrong, and what it means. */
const FAULTS = {
  NOT_PROXY: 'the first bytes are not those of a PROXY header',
  BAD_LINE: 'the line of version 1 is not whole, or has more or other bytes than it may',
  BAD_VERSION: 'the version is none of 1 and 2',
  BAD_COMMAND: 'the command is none of LOCAL and PROXY',
  BAD_FAMILY: 'what is announced is no stream over IPv4, IPv6 or a Unix socket',
  BAD_ADDRESS: 'an address is not of the family that was said',
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
  /** Bytes of the connection before the one that is wrong. */
  readonly offset: number

  constructor(code: ProxyHeaderErrorCode, offset: number) {
    super(`${code}: ${FAULTS[code]} (at byte ${offset})`)
    this.code = code
    this.offset = offset
  }
}

/** Each code with its meaning. */
export const proxyHeaderErrorCodes: Readonly<Record<ProxyHeaderErrorCode, string>> = FAULTS
