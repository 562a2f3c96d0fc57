/** PROXY headers of version 2, built by hand without the code under test. */

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

export interface Block {
  /** 0x20: LOCAL, 0x21: PROXY. */
  command?: number
  family?: number
  /** The length of addresses and TLVs. Default: the true length. */
  length?: number
  addresses?: Buffer
  tlvs?: Buffer[]
}

export function block({ command = 0x21, family = 0x11, addresses = V4, tlvs = [], length }: Block = {}): Buffer {
  const body = Buffer.concat([addresses, ...tlvs])
  const said = length ?? body.length
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, said >> 8, said & 255]), body])
}

/** 192.0.2.1:5000 to 198.51.100.2:443. */
export const V4 = Buffer.from('c0000201c6336402138801bb', 'hex')
/** 2001:db8::1 port 5000 to 2001:db8::2 port 443. */
export const V6 = Buffer.from(`${'20010db8'.padEnd(30, '0')}01${'20010db8'.padEnd(30, '0')}02138801bb`, 'hex')

export function tlv(type: number, value: Buffer | string, length = Buffer.byteLength(value)): Buffer {
  return Buffer.concat([Buffer.from([type, length >> 8, length & 255]), Buffer.from(value)])
}

/** The same header with a CRC32c at its end, calculated bit by bit from the polynomial. */
export function withChecksum(given: Block = {}): Buffer {
  const header = block({ ...given, tlvs: [...(given.tlvs ?? []), tlv(3, Buffer.alloc(4))] })
  let value = 0xffffffff
  for (const byte of header) {
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = ((value ^ (byte >> bit)) & 1) === 1
      value = isOdd ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
    }
  }
  header.writeUInt32BE(~value >>> 0, header.length - 4)
  return header
}

/**
 * `withChecksum` with one bit flipped per header. Skips bits that make another valid header: LOCAL, another length,
 * or no checksum.
 */
export function withBitsTurned(): Buffer[] {
  const header = withChecksum()
  const isOther = (bit: number) => bit === 8 * 12 || [14, 15, header.length - 7].includes(bit >> 3)
  const bits = Array.from({ length: 8 * header.length }, (_, bit) => bit).filter((bit) => !isOther(bit))
  return bits.map((bit) => {
    const changed = Buffer.from(header)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    return changed
  })
}

export const LINE = 'PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n'
const after = (text: string) => Buffer.from(`PROXY ${text}`, 'latin1')

/** Invalid headers, each with its error code. */
export const MALFORMED: [what: string, header: Buffer, code: string, offset: number][] = [
  ['no header at all', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'NOT_PROXY', 0],
  ['TLS instead', Buffer.from('160301020001', 'hex'), 'NOT_PROXY', 0],
  ['small letters', Buffer.from(LINE.toLowerCase()), 'NOT_PROXY', 0],
  ['a blank first', Buffer.from(` ${LINE}`), 'NOT_PROXY', 0],
  ['an empty line first', Buffer.from(`\r\n${LINE}`), 'NOT_PROXY', 2],
  ['a tab for a space', Buffer.from('PROXY\tTCP4 192.0.2.1 198.51.100.2 5000 443\r\n'), 'NOT_PROXY', 5],
  ['two spaces before the family', after(' TCP4 192.0.2.1 198.51.100.2 5000 443\r\n'), 'BAD_FAMILY', 6],
  ['a small family', after('tcp4 192.0.2.1 198.51.100.2 5000 443\r\n'), 'BAD_FAMILY', 6],
  ['UDP', after('UDP4 192.0.2.1 198.51.100.2 5000 443\r\n'), 'BAD_FAMILY', 6],
  ['a family nobody knows', after('TCP5 192.0.2.1 198.51.100.2 5000 443\r\n'), 'BAD_FAMILY', 6],
  ['more than UNKNOWN', after('UNKNOWNS\r\n'), 'BAD_FAMILY', 6],
  ['nothing after PROXY', after('\r\n'), 'BAD_FAMILY', 6],
  ['nothing after the family', after('TCP4\r\n'), 'BAD_LINE', 10],
  ['one address', after('TCP4 192.0.2.1\r\n'), 'BAD_LINE', 20],
  ['no ports', after('TCP4 192.0.2.1 198.51.100.2\r\n'), 'BAD_LINE', 33],
  ['one port', after('TCP4 192.0.2.1 198.51.100.2 5000\r\n'), 'BAD_LINE', 38],
  ['a third port', after('TCP4 192.0.2.1 198.51.100.2 5000 443 1\r\n'), 'BAD_LINE', 43],
  ['a space at the end', after('TCP4 192.0.2.1 198.51.100.2 5000 443 \r\n'), 'BAD_LINE', 43],
  ['two spaces between the addresses', after('TCP4 192.0.2.1  198.51.100.2 5000 443\r\n'), 'BAD_ADDRESS', 21],
  ['three numbers', after('TCP4 192.0.2 198.51.100.2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['five numbers', after('TCP4 192.0.2.1.1 198.51.100.2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['a number past 255', after('TCP4 192.0.2.256 198.51.100.2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['a leading zero', after('TCP4 192.0.2.01 198.51.100.2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['a name', after('TCP4 localhost 198.51.100.2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['IPv6 as TCP4', after('TCP4 ::1 ::2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['IPv4 as TCP6', after('TCP6 192.0.2.1 198.51.100.2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['a destination of the other family', after('TCP6 ::1 198.51.100.2 5000 443\r\n'), 'BAD_ADDRESS', 15],
  ['brackets', after('TCP6 [::1] ::2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['a zone', after('TCP6 fe80::1%eth0 ::2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['two gaps', after('TCP6 1::2::3 ::2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['nine groups', after('TCP6 1:2:3:4:5:6:7:8:9 ::2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['a group of five digits', after('TCP6 12345::1 ::2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ['a NUL', after('TCP4 192.0.2.1\0 198.51.100.2 5000 443\r\n'), 'BAD_ADDRESS', 11],
  ...['65536', '99999', '100000', '080', '00', '-1', '+1', '0x50', '1e3', '8\0', '\xb2', ''].map(
    (port): (typeof MALFORMED)[0] => [
      `the port ${JSON.stringify(port)}`,
      after(`TCP4 1.1.1.1 2.2.2.2 ${port} 443\r\n`),
      'BAD_PORT',
      27,
    ],
  ),
  ['a letter in the second port', after('TCP4 1.1.1.1 2.2.2.2 1 44a\r\n'), 'BAD_PORT', 29],
  ['a bare LF', after('TCP4 1.1.1.1 2.2.2.2 1 2\n'), 'BAD_LINE', 30],
  ['a bare CR', after('TCP4 1.1.1.1 2.2.2.2 1 2\rx'), 'BAD_LINE', 31],
  ['two CR', after('TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n'), 'BAD_LINE', 31],
  ['a line of 108 bytes', after(`UNKNOWN ${'x'.repeat(92)}\r\n`), 'HEADER_TOO_LARGE', 105],
  ['a line without an end', after(`UNKNOWN ${'x'.repeat(9_000)}`), 'HEADER_TOO_LARGE', 105],
  ['version 1 in binary', block({ command: 0x11 }), 'BAD_VERSION', 12],
  ['version 3', block({ command: 0x31 }), 'BAD_VERSION', 12],
  ['a third command', block({ command: 0x22 }), 'BAD_COMMAND', 12],
  ['UDP over IPv4', block({ family: 0x12 }), 'BAD_FAMILY', 13],
  ['UDP over IPv6', block({ family: 0x22, addresses: V6 }), 'BAD_FAMILY', 13],
  ['Unix datagrams', block({ family: 0x32, addresses: Buffer.alloc(216) }), 'BAD_FAMILY', 13],
  ['IPv4 of no transport', block({ family: 0x10 }), 'BAD_FAMILY', 13],
  ['a transport of no family', block({ family: 0x01 }), 'BAD_FAMILY', 13],
  ['a fourth family', block({ family: 0x41 }), 'BAD_FAMILY', 13],
  ['a fourth transport', block({ family: 0x13 }), 'BAD_FAMILY', 13],
  ['addresses of IPv4 cut short', block({ length: 11 }), 'BAD_LENGTH', 14],
  ['IPv4 where IPv6 is said', block({ family: 0x21 }), 'BAD_LENGTH', 14],
  ['Unix paths cut short', block({ family: 0x31, addresses: Buffer.alloc(215) }), 'BAD_LENGTH', 14],
  ['no addresses', block({ addresses: Buffer.alloc(0) }), 'BAD_LENGTH', 14],
  ['4097 bytes', block({ length: 4081 }), 'HEADER_TOO_LARGE', 14],
  ['all that a length can say', block({ length: 65_535 }), 'HEADER_TOO_LARGE', 14],
  ['LOCAL, and too long', block({ command: 0x20, family: 0, length: 4081 }), 'HEADER_TOO_LARGE', 14],
  ['a TLV of one byte', block({ tlvs: [Buffer.from([4])] }), 'BAD_TLV', 28],
  ['a TLV without its length', block({ tlvs: [Buffer.from([4, 0])] }), 'BAD_TLV', 28],
  ['a TLV longer than the header', block({ tlvs: [tlv(4, 'ab', 3)] }), 'BAD_TLV', 28],
  ['a second TLV longer than the header', block({ tlvs: [tlv(4, ''), tlv(4, 'ab', 65_535)] }), 'BAD_TLV', 31],
  ['a checksum of three bytes', block({ tlvs: [tlv(3, 'abc')] }), 'BAD_TLV', 28],
  ['a wrong checksum', block({ tlvs: [tlv(3, Buffer.alloc(4))] }), 'BAD_CHECKSUM', 31],
]
