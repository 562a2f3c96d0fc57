import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LenientScanner, parseHead } from '../../src/parser/index.ts'
import { anyStream, cutter, limits, rightStream } from './arbitraries.ts'
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

/** Parts of heads as they come, right or wrong; most begin as a head does. */
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

const mend = (pieces: Buffer[], ...limit: ConstructorParameters<typeof LenientScanner>) =>
  feedTo(new LenientScanner(...limit), pieces)

test('whatever comes, however it is cut: the same head, rest and verdict, and no throw', () => {
  fc.assert(
    fc.property(anyBytes, limits, cutter, (bytes, limit, cut) => {
      expect(mend(cut(bytes), limit)).toEqual(mend([bytes], limit))
    }),
    { numRuns: 5_000 },
  )
})

test('a mended head is one that the strict scanner takes, and that is not mended again', () => {
  let taken = 0
  fc.assert(
    fc.property(anyBytes, limits, (bytes, limit) => {
      const outcome = mend([bytes], limit)
      if (outcome.verdict === 'invalid') return
      taken++
      const again = [latin1(outcome.bytes), latin1(outcome.rest)]
      expect(feed('response', again, limit)).toEqual(outcome)
      expect(mend(again, limit)).toEqual(outcome)
      expect(outcome.bytes).toMatch(
        /^HTTP\/1\.[01] [1-9]\d\d [\t\x20-\x7e\x80-\xff]*\r\n(?:[\t\x20-\x7e\x80-\xff]*\r\n)*$/,
      )
      expect(bytes.toString('latin1').endsWith(outcome.rest)).toBe(true)
    }),
    { numRuns: 5_000 },
  )
  expect(taken).toBeGreaterThan(500)
})

test('a mended head has one reading of where its body is', () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const outcome = mend([bytes])
      if (outcome.verdict === 'invalid' || bytes.toString('latin1').startsWith(outcome.bytes)) return
      const head = parseHead(latin1(outcome.bytes), 'response')
      const framing = [...head.getAll('content-length'), ...head.getAll('transfer-encoding')]
      // But for a status line without its space, which the strict scanner takes with whatever follows it.
      if (feed('response', [bytes]).verdict === 'head') return
      expect(framing.length === 0 || head.has('transfer-encoding') || /^\d+$/.test(framing.join())).toBe(true)
      expect(head.has('content-length') && head.has('transfer-encoding')).toBe(false)
    }),
    { numRuns: 2_000 },
  )
})

test('what the strict scanner takes is taken, and but for the space after the status as it came', () => {
  fc.assert(
    fc.property(fc.oneof(rightStream, anyStream), ({ kind, bytes }) => {
      if (kind !== 'response') return
      const strict = feed('response', [bytes])
      if (strict.verdict !== 'head') return
      const bare = /^(HTTP\/1\.\d \d{3})\r/
      const expected = { first: strict.first.length === 12 ? `${strict.first} ` : strict.first }
      expect(mend([bytes])).toEqual({ ...strict, ...expected, bytes: strict.bytes.replace(bare, '$1 \r') })
    }),
    { numRuns: 1_000 },
  )
})

test('the work is O(n), however wrong the head is and however it is cut', () => {
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
