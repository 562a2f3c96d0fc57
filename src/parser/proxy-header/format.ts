/** Constants and types that the scanner and the writer share. */

export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** The client's address and the address that it connected to. */
export interface Ends {
  readonly source: Endpoint
  readonly destination: Endpoint
}

/** The first bytes of a header of version 1 and of version 2. */
export const SIGNATURES: readonly [Buffer, Buffer] = [
  Buffer.from('PROXY '),
  Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]),
]

/** Length of the fixed part of version 2: signature, version and command, family and transport, length. */
export const FIXED_BYTES = 16

export const LOCAL = 0x20
export const PROXY = 0x21

/** The byte for family and transport in version 2. Only those of streams are listed. */
export const FAMILIES = { unspecified: 0x00, ipv4: 0x11, ipv6: 0x21, unix: 0x31 } as const
