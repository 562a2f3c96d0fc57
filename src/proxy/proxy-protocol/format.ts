/** What both versions of the PROXY protocol have in common for the one who reads and the one who writes. */

export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** Who connected, and to what. */
export interface Ends {
  readonly source: Endpoint
  readonly destination: Endpoint
}

/** Version 1: what a line begins with. Version 2: the 12 bytes that no other protocol begins with. */
export const SIGNATURES = [
  Buffer.from('PROXY '),
  Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]),
] as const

/** Version 2: the signature, a byte each for version and command, family and transport, and two for the length. */
export const FIXED_BYTES = 16

export const LOCAL = 0x20
export const PROXY = 0x21

/** Family and transport, as a byte of version 2: all that can be announced for a stream. */
export const FAMILIES = { unspecified: 0x00, ipv4: 0x11, ipv6: 0x21, unix: 0x31 } as const
