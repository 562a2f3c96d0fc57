import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LenientScanner, parseHead } from '../../src/parser/index.ts'
import { anyStream, cutter, limits, validStream } from './arbitraries.ts'
import { cutAt, feed, feedTo, latin1 } from './feed.ts'
import { Tally } from './tally.ts'

const LINE_END = ['\r\n', '\n', '\r', '\r\n ', '\n\t', '\r\r\n', '\0', ' \r\n']
const PARTS = [
  ...LINE_END,
  ...LINE_END,
  'HTTP/1.1 200 OK',
  'HTTP/1.0 200',
  'HTTP/2.3 404 \x01',
  'Content-Length',
  'Transfer-Encoding',
  'X',
  ':',
  ' :',
  ': ',
  '5',
  'chunked',
  'a, b',
  '\x7f',
  ' ',
  '\t',
  '\xff',
]

/** Random parts of heads. Most streams start with a status line. */
const oddStream = fc
  .tuple(
    fc.constantFrom('', 'HTTP/1.1 200 OK\n', 'HTTP/1.1 200 OK\r\n', '\nHTTP/9.9 200\nX'),
    fc.array(
      fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...PARTS) }, fc.string({ unit: 'binary', maxLength: 3 })),
      {
        maxLength: 30,
      },
    ),
    fc.constantFrom('', '\n\n', '\r\n\r\nrest', '\n\r\n\0'),
  )
  .map((parts) => latin1(parts.flat().join('')))

const anyBytes = fc.oneof(
  { weight: 4, arbitrary: oddStream },
  anyStream.map(({ bytes }) => bytes),
)

const scan = (pieces: Buffer[], ...limit: ConstructorParameters<typeof LenientScanner>) =>
  feedTo(new LenientScanner(...limit), pieces)

test('gives any stream the same outcome however it is cut', () => {
  fc.assert(
    fc.property(anyBytes, limits, cutter, (bytes, limit, cut) => {
      expect(scan(cut(bytes), limit)).toEqual(scan([bytes], limit))
    }),
    { numRuns: 5_000 },
  )
})

test('repairs heads so that HeadScanner accepts them and they need no further repair', () => {
  let accepted = 0
  fc.assert(
    fc.property(anyBytes, limits, (bytes, limit) => {
      const outcome = scan([bytes], limit)
      if (outcome.verdict === 'invalid') return
      accepted++
      const again = [latin1(outcome.bytes), latin1(outcome.rest)]
      expect(feed('response', again, limit)).toEqual(outcome)
      expect(scan(again, limit)).toEqual(outcome)
      expect(outcome.bytes).toMatch(
        /^HTTP\/1\.[01] [1-9]\d\d [\t\x20-\x7e\x80-\xff]*\r\n(?:[\t\x20-\x7e\x80-\xff]*\r\n)*$/,
      )
      expect(bytes.toString('latin1').endsWith(outcome.rest)).toBe(true)
    }),
    { numRuns: 5_000 },
  )
  expect(accepted).toBeGreaterThan(500)
})

test('frames the body of a repaired head in one way only', () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const outcome = scan([bytes])
      if (outcome.verdict === 'invalid' || bytes.toString('latin1').startsWith(outcome.bytes)) return
      const head = parseHead(latin1(outcome.bytes), 'response')
      const framing = [...head.getAll('content-length'), ...head.getAll('transfer-encoding')]
      // The only repair was the space after the status. HeadScanner accepts the head without it.
      if (feed('response', [bytes]).verdict === 'head') return
      expect(framing.length === 0 || head.has('transfer-encoding') || /^\d+$/.test(framing.join())).toBe(true)
      expect(head.has('content-length') && head.has('transfer-encoding')).toBe(false)
    }),
    { numRuns: 2_000 },
  )
})

test('leaves heads that HeadScanner accepts unchanged, except for a space after the status', () => {
  fc.assert(
    fc.property(fc.oneof(validStream, anyStream), ({ kind, bytes }) => {
      if (kind !== 'response') return
      const strict = feed('response', [bytes])
      if (strict.verdict !== 'head') return
      const bare = /^(HTTP\/1\.\d \d{3})\r/
      const expected = { first: strict.first.length === 12 ? `${strict.first} ` : strict.first }
      expect(scan([bytes])).toEqual({ ...strict, ...expected, bytes: strict.bytes.replace(bare, '$1 \r') })
    }),
    { numRuns: 1_000 },
  )
})

test('does O(n) work for any head however it is cut', () => {
  const work = (chunks: Buffer[]) => {
    const tally = new Tally()
    const scanner = new LenientScanner({ maxHeadBytes: 1_000_000, maxFields: 1_000_000 })
    tally.watch(() => {
      for (const chunk of chunks) if (!scanner.head) scanner.push(tally.counted(chunk))
    })
    expect(scanner.head).toBeDefined()
    return tally
  }
  for (const line of ['X: y\r\n', 'X  \t : y\n', 'X:\0\x01\x02\x03\n', 'X: y\r\n \r\n\t\n', 'X:\n']) {
    for (const length of [2_000, 32_000]) {
      const bytes = latin1(`HTTP/1.1 200 OK\n${line.repeat(length / line.length)}\r\n`)
      for (const size of [1, 7, bytes.length]) {
        const count = Math.ceil(bytes.length / size) - 1
        const chunks = cutAt(
          bytes,
          Array.from({ length: count }, (_, i) => (i + 1) * size),
        )
        const { looks, copied } = work(chunks)
        expect(looks / bytes.length, `${JSON.stringify(line)} in pieces of ${size}`).toBeLessThan(4)
        expect(copied / bytes.length, `${JSON.stringify(line)} in pieces of ${size}`).toBeLessThan(8)
      }
    }
  }
})
