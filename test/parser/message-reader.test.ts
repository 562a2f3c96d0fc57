import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type HeadKind, MessageReader, type MessageReaderOptions, parseHead } from '../../src/parser/index.ts'
import { byteByByte, cutAt, latin1 } from './feed.ts'

/** The parts as text, with the pieces of a body joined. The last line is the error, if there is one. */
function read(kind: HeadKind, pieces: readonly Buffer[], options?: MessageReaderOptions): string[] {
  const reader = new MessageReader(kind, options)
  const lines: string[] = []
  for (const part of [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()]) {
    if (part.kind === 'head') lines.push(`${part.head.first} ${part.framing.kind}`)
    else if (part.kind === 'end') lines.push('end')
    else {
      const before = lines.at(-1)!
      const text = part.bytes.toString('latin1')
      if (before.startsWith(`${part.kind}:`)) lines.push(lines.pop() + text)
      else lines.push(`${part.kind}:${text}`)
    }
  }
  if (reader.error) lines.push(reader.error.code)
  expect(reader.push(latin1('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).length > 0).toBe(!reader.error)
  return lines
}

function readEveryWay(kind: HeadKind, text: string, options?: MessageReaderOptions): string[] {
  const bytes = latin1(text)
  const lines = read(kind, [bytes], options)
  expect(read(kind, byteByByte(bytes), options)).toEqual(lines)
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 6 }), (offsets) => {
      expect(read(kind, cutAt(bytes, offsets), options)).toEqual(lines)
    }),
    { numRuns: 30 },
  )
  return lines
}

const GET = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n'
const CHUNKED = 'POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

describe('MessageReader for requests', () => {
  test('reads message by message', () => {
    const post = 'POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'
    const empty = 'POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'
    expect(readEveryWay('request', `${GET}${post}${CHUNKED}1\r\nx\r\n0\r\n\r\n${empty}\r\n${GET}`)).toEqual([
      ...['GET /a HTTP/1.1 none', 'end'],
      ...['POST /b HTTP/1.1 length', 'body:hello', 'end'],
      ...['POST /c HTTP/1.1 chunked', 'body:1\r\nx\r\n0\r\n\r\n', 'end'],
      ...['POST /d HTTP/1.1 length', 'end'],
      ...['GET /a HTTP/1.1 none', 'end'],
    ])
  })

  test.each<[text: string, ...last: string[]]>([
    [`${GET}GET /b HT`, 'INCOMPLETE'],
    [`${GET}GET /b HTTP/1.1\r\nHost : a\r\n\r\n`, 'SPACE_BEFORE_COLON'],
    [`${GET}${CHUNKED}1\r\nxy`, 'POST /c HTTP/1.1 chunked', 'body:1\r\nx', 'BAD_CHUNK_END'],
    [`${GET}${CHUNKED}5\r\nxy`, 'POST /c HTTP/1.1 chunked', 'body:5\r\nxy', 'INCOMPLETE'],
    [`${GET}CONNECT b:1 HTTP/1.1\r\nHost: b\r\n\r\n\0${GET}`, 'CONNECT b:1 HTTP/1.1 none', 'end', `tunnel:\0${GET}`],
  ])('stops after the first message: %j', (text, ...last) => {
    expect(readEveryWay('request', text)).toEqual(['GET /a HTTP/1.1 none', 'end', ...last])
  })

  test('returns no parts and no error for an empty stream', () => {
    expect(read('request', [])).toEqual([])
  })
})

describe('MessageReader for responses', () => {
  test('reads interim and final responses up to one that ends when the connection closes', () => {
    const text =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' +
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nHTTP/1.1 '
    expect(readEveryWay('response', text)).toEqual([
      ...['HTTP/1.1 100 Continue none', 'end', 'HTTP/1.1 200 OK length', 'body:ok', 'end'],
      ...['HTTP/1.1 304 Not Modified none', 'end', 'HTTP/1.1 200 OK close', 'body:HTTP/1.1 ', 'end'],
    ])
  })

  test('frames a response by its request', () => {
    const requests = ['HEAD / HTTP/1.1', 'CONNECT a:1 HTTP/1.1'].map((line) =>
      parseHead(latin1(`${line}\r\nHost: a\r\n\r\n`), 'request'),
    )
    let count = 0
    const options: MessageReaderOptions = { requestOf: () => requests[count++ % 2] }
    const response = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'
    expect(read('response', [latin1(`${response}${response}ok`)], options)).toEqual([
      ...['HTTP/1.1 200 OK none', 'end', 'HTTP/1.1 200 OK none', 'end', 'tunnel:ok'],
    ])
  })

  test('returns tunnel bytes after a 101', () => {
    expect(readEveryWay('response', 'HTTP/1.1 101 X\r\n\r\n\0')).toEqual(['HTTP/1.1 101 X none', 'end', 'tunnel:\0'])
  })
})

test.each(['maxHeadBytes', 'maxChunkExtensionBytes', 'maxTrailerBytes'])(
  'throws on an invalid %s at construction',
  (name) => {
    expect(() => new MessageReader('request', { [name]: 0 })).toThrow(RangeError)
  },
)
