import { describe, expect, test } from 'vitest'
import { Echo } from '../../bench/proxy/backends/frames.ts'

/** RFC 6455 5.2, by the letter: what the bench's own echo is held against. */
function frame(opcode: number, payload: Buffer, mask?: Buffer): Buffer {
  const bit = mask ? 0x80 : 0
  let length: Buffer
  if (payload.length < 126) length = Buffer.of(bit | payload.length)
  else if (payload.length < 65536) length = Buffer.of(bit | 126, payload.length >> 8, payload.length & 0xff)
  else {
    length = Buffer.alloc(9, bit | 127)
    length.writeBigUInt64BE(BigInt(payload.length), 1)
  }
  const body = mask ? payload.map((byte, i) => byte ^ mask[i % 4]!) : payload
  return Buffer.concat([Buffer.of(0x80 | opcode), length, mask ?? Buffer.alloc(0), body])
}

function payload(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 31 + 7) & 0xff))
}

const MASK = Buffer.of(0x12, 0x34, 0x56, 0x78)
const NO_MASK = Buffer.alloc(4)

/** What comes back of bytes that come in chunks. The echo works within a chunk, so each is a copy. */
function echo(...chunks: Buffer[]): Buffer {
  const one = new Echo()
  return Buffer.concat(chunks.map((chunk) => Buffer.from(one.push(Buffer.from(chunk)))))
}

describe.each([0, 1, 5, 125, 126, 300, 65535, 65536, 70001])('a message of %i bytes', (length) => {
  test.each([MASK, NO_MASK])('comes back unmasked', (mask) => {
    expect(echo(frame(2, payload(length), mask)).equals(frame(2, payload(length)))).toBe(true)
  })
})

test('messages come back wherever they are cut', () => {
  const sent = Buffer.concat([
    frame(2, payload(3), MASK),
    frame(1, payload(0), MASK),
    frame(2, payload(130), MASK),
    frame(2, payload(7), NO_MASK),
  ])
  const expected = Buffer.concat([3, 0, 130, 7].map((length) => frame(length === 0 ? 1 : 2, payload(length))))
  expect(echo(sent)).toEqual(expected)
  for (let cut = 1; cut < sent.length; cut++) {
    expect(echo(sent.subarray(0, cut), sent.subarray(cut)), `cut at ${cut}`).toEqual(expected)
  }
  expect(echo(...Array.from(sent, (byte) => Buffer.of(byte)))).toEqual(expected)
})

test('a ping is answered with a pong, a close with a close', () => {
  expect(echo(frame(9, payload(4), MASK))).toEqual(frame(10, payload(4)))
  expect(echo(frame(8, payload(2), MASK))).toEqual(frame(8, payload(2)))
})
