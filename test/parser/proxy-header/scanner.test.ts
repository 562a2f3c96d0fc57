import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Announced, ProxyHeaderScanner, proxyHeader, proxyHeaderErrorCodes } from '../../../src/parser/index.ts'
import { crc32c } from '../../../src/parser/proxy-header/crc32c.ts'
import { block, LINE, MALFORMED, tlv, V4, V6, withBitsTurned, withChecksum } from '../../helpers/proxy-header.ts'
import { byteByByte, cutAt } from '../feed.ts'

interface Scanned {
  from?: unknown
  length?: number
  /** All past the header. */
  rest?: string
  code?: string | undefined
  offset?: number | undefined
}

/** Feeds the pieces, and then the end. What a piece was in is written over once the scanner wants more. */
function scan(...pieces: Buffer[]): Scanned {
  const scanner = new ProxyHeaderScanner()
  for (const [i, piece] of pieces.entries()) {
    const chunk = Buffer.from(piece)
    const verdict = scanner.push(chunk)
    if (verdict === 'invalid') return { code: scanner.error!.code, offset: scanner.error!.offset }
    if (verdict === 'head') {
      const rest = Buffer.concat([scanner.rest, ...pieces.slice(i + 1)]).toString('latin1')
      return { ...scanner.head!, rest }
    }
    chunk.fill('*')
  }
  const { code, offset } = scanner.end()
  return { code, offset }
}

const REST = Buffer.from('GET / HTTP/1.1\r\n')
const ends = (source: string, destination: string, from = 5000, to = 443) => ({
  source: { address: source, port: from },
  destination: { address: destination, port: to },
})
const V4_ENDS = ends('192.0.2.1', '198.51.100.2')
const V6_ENDS = ends('2001:db8::1', '2001:db8::2')
const UNIX = Buffer.alloc(216, 'a')

const RIGHT: [what: string, header: Buffer, from: unknown][] = [
  ['TCP4', Buffer.from(LINE), V4_ENDS],
  ['TCP6', Buffer.from('PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 5000 443\r\n'), V6_ENDS],
  [
    'the first and the last port',
    Buffer.from('PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n'),
    ends('0.0.0.0', '255.255.255.255', 0, 65_535),
  ],
  ['mapped IPv4 as TCP6', Buffer.from('PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 5000 443\r\n'), V4_ENDS],
  [
    'the longest TCP6',
    Buffer.from(`PROXY TCP6 ${'ffff:'.repeat(8).slice(0, -1)} ${'ffff:'.repeat(8).slice(0, -1)} 65535 65535\r\n`),
    ends('ffff:'.repeat(8).slice(0, -1), 'ffff:'.repeat(8).slice(0, -1), 65_535, 65_535),
  ],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), 'own'],
  ['UNKNOWN and anything', Buffer.from('PROXY UNKNOWN ffff:f...f ? \0\xff\r\n', 'latin1'), 'own'],
  ['107 bytes', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`), 'own'],
  ['IPv4', block(), V4_ENDS],
  ['IPv6', block({ family: 0x21, addresses: V6 }), V6_ENDS],
  [
    'mapped IPv4 as IPv6',
    block({
      family: 0x21,
      addresses: Buffer.concat([Buffer.from(`${'0'.repeat(20)}ffffc0000201`, 'hex'), V6.subarray(16)]),
    }),
    { ...V6_ENDS, source: V4_ENDS.source },
  ],
  ['a Unix stream', block({ family: 0x31, addresses: UNIX }), 'unix'],
  ['AF_UNSPEC', block({ family: 0, addresses: Buffer.alloc(0) }), 'own'],
  ['AF_UNSPEC with a block', block({ family: 0, addresses: UNIX }), 'own'],
  ['LOCAL', block({ command: 0x20, family: 0, addresses: Buffer.alloc(0) }), 'own'],
  ['LOCAL with addresses', block({ command: 0x20 }), 'own'],
  ['LOCAL of a family that nobody knows', block({ command: 0x20, family: 0xff }), 'own'],
  ['TLVs', block({ tlvs: [tlv(1, 'h2'), tlv(2, 'a.test'), tlv(4, ''), tlv(0xea, Buffer.alloc(300))] }), V4_ENDS],
  ['4096 bytes', block({ tlvs: [tlv(4, Buffer.alloc(4096 - 28 - 3))] }), V4_ENDS],
  ['a checksum', withChecksum(), V4_ENDS],
  ['a checksum among others', withChecksum({ family: 0x21, addresses: V6, tlvs: [tlv(1, 'h2')] }), V6_ENDS],
]

describe('a header', () => {
  test.each(RIGHT)('with %s is read, in any chunks, and not a byte past it', (_, header, from) => {
    const expected = { from, length: header.length, rest: REST.toString() }
    const whole = Buffer.concat([header, REST])
    expect(scan(whole)).toEqual(expected)
    expect(scan(...byteByByte(whole))).toEqual(expected)
    for (let cut = 1; cut < header.length; cut += header.length > 300 ? 97 : 1) {
      expect(scan(...cutAt(whole, [cut])), `cut at ${cut}`).toEqual(expected)
    }
    expect(scan(header)).toEqual({ ...expected, rest: '' })
  })

  test.each(RIGHT)('with %s that is cut short is not whole', (_, header) => {
    for (let length = 0; length < header.length; length++) {
      expect(scan(header.subarray(0, length))).toEqual({ code: 'HEADER_INCOMPLETE', offset: length })
    }
  })

  test.each(MALFORMED)(
    'that is malformed (%s) is refused, where it is wrong, in any chunks',
    (_, header, code, offset) => {
      const expected = { code, offset }
      expect(scan(header)).toEqual(expected)
      expect(scan(...byteByByte(header))).toEqual(expected)
      expect(scan(...cutAt(header, [header.length >> 1]))).toEqual(expected)
      // A byte that is wrong needs no other after it.
      if (offset < 12)
        expect(scan(header.subarray(0, offset + 1)).code).toMatch(new RegExp(`^(${code}|HEADER_INCOMPLETE)$`))
    },
  )

  test('of each fault there is a case', () => {
    const codes = new Set([...MALFORMED.map(([, , code]) => code), 'HEADER_INCOMPLETE'])
    expect([...codes].sort()).toEqual(Object.keys(proxyHeaderErrorCodes).sort())
  })
})

test('any other byte in the fixed part of version 2 makes another header, or none', () => {
  const header = Buffer.concat([block(), REST])
  for (let at = 0; at < 16; at++) {
    for (let byte = 0; byte < 256; byte++) {
      if (byte === header[at]) continue
      const changed = Buffer.from(header)
      changed[at] = byte
      const { from, code } = scan(changed)
      const isLocal = at === 12 && byte === 0x20
      const isUnspecified = at === 13 && byte === 0
      expect(from, `byte ${at} is ${byte}`).toBe(isLocal || isUnspecified ? 'own' : undefined)
      if (at < 12) expect(code).toBe('NOT_PROXY')
    }
  }
})

test('with a checksum, no other bit can pass for the same header', () => {
  for (const header of withBitsTurned()) expect(scan(header), header.toString('hex')).not.toHaveProperty('from')
})

test('CRC32c is that of RFC 3720 B.4', () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
})

const ipv4 = fc.ipV4()
// Those that have a form of IPv4 are read as one.
const ipv6 = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 })
  .filter(([first]) => first !== 0)
  .map((groups) => new URL(`http://[${groups.map((group) => group.toString(16)).join(':')}]`).hostname.slice(1, -1))
const address = fc.oneof(ipv4, ipv6)
const port = fc.integer({ min: 0, max: 65_535 })
const announced = fc.record({ source: fc.record({ address, port }), destination: fc.record({ address, port }) })

test('what is written is read, in both versions, in any chunks', () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 2), announced, fc.array(fc.nat(120), { maxLength: 6 }), (version, from, cuts) => {
      const header = proxyHeader(version, from)
      const whole = Buffer.concat([header, REST])
      const scanned = scan(
        ...cutAt(
          whole,
          cuts.map((cut) => Math.min(cut, whole.length)),
        ),
      )
      expect(scanned).toEqual({ from, length: header.length, rest: REST.toString() })
    }),
  )
})

test('whatever comes is read or refused, and never throws; the chunks make no difference', () => {
  const start = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', 'PROXY TCP6 ::1 ').map((text) => Buffer.from(text))
  const begun = fc.oneof(start, fc.constant(block().subarray(0, 12)), fc.constant(block().subarray(0, 15)))
  const bytes = fc.tuple(begun, fc.uint8Array({ maxLength: 300 })).map(([first, more]) => Buffer.concat([first, more]))
  fc.assert(
    fc.property(bytes, (whole) => {
      expect(scan(...byteByByte(whole))).toEqual(scan(whole))
    }),
  )
})

describe('a header that is written', () => {
  const cases: [version: 1 | 2, from: Announced, bytes: string | Buffer][] = [
    [1, V4_ENDS, LINE],
    [1, V6_ENDS, 'PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n'],
    [1, ends('192.0.2.1', '2001:db8::2'), 'PROXY TCP6 ::ffff:c000:201 2001:db8::2 5000 443\r\n'],
    [1, ends('::ffff:192.0.2.1', '::ffff:198.51.100.2'), LINE],
    [1, ends('fe80::1%eth0', '::'), 'PROXY TCP6 fe80::1 :: 5000 443\r\n'],
    [1, 'unknown', 'PROXY UNKNOWN\r\n'],
    [1, 'local', 'PROXY UNKNOWN\r\n'],
    [2, V4_ENDS, block()],
    [2, ends('::ffff:192.0.2.1', '198.51.100.2'), block()],
    [2, V6_ENDS, block({ family: 0x21, addresses: V6 })],
    [
      2,
      ends('2001:db8::1', '198.51.100.2'),
      block({
        family: 0x21,
        addresses: Buffer.concat([
          V6.subarray(0, 16),
          Buffer.from(`${'0'.repeat(20)}ffffc6336402`, 'hex'),
          V4.subarray(8),
        ]),
      }),
    ],
    [2, 'unknown', block({ family: 0, addresses: Buffer.alloc(0) })],
    [2, 'local', block({ command: 0x20, family: 0, addresses: Buffer.alloc(0) })],
  ]
  test.each(cases)('of version %i, of %j', (version, from, bytes) => {
    expect(proxyHeader(version, from).toString('latin1')).toBe(bytes.toString('latin1'))
  })
})
