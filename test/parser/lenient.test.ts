import { describe, expect, test } from 'vitest'
import { HeadError, type HeadErrorCode, type HeadLimits, LenientScanner, parseHead } from '../../src/parser/index.ts'
import { byteByByte, cutAt, feedTo, latin1, type Outcome } from './feed.ts'

/** Received heads and their repaired form. A body follows each. */
const REPAIRED: [name: string, received: string, repaired: string][] = [
  ['LF line ends', 'HTTP/1.1 200 OK\nX: y\nZ:\n\n', 'HTTP/1.1 200 OK\r\nX: y\r\nZ:\r\n\r\n'],
  ['a mix of LF and CRLF', 'HTTP/1.1 200 OK\r\nX: y\nZ: \r\n\n', 'HTTP/1.1 200 OK\r\nX: y\r\nZ: \r\n\r\n'],
  ['an LF at the end of the start line alone', 'HTTP/1.1 200 OK\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  ['empty lines before it', '\r\n\n\r\nHTTP/1.1 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  ['a CR before it', '\rHTTP/1.1 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  ['HTTP/9.9', 'HTTP/9.9 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  ['HTTP/0.9', 'HTTP/0.9 200 OK\r\n\r\n', 'HTTP/1.0 200 OK\r\n\r\n'],
  ['HTTP/0.1', 'HTTP/0.1 200 OK\r\n\r\n', 'HTTP/1.0 200 OK\r\n\r\n'],
  ['no reason, and no space before it', 'HTTP/1.1 200\r\n\r\n', 'HTTP/1.1 200 \r\n\r\n'],
  ['no reason, and an LF', 'HTTP/1.1 200\nX: y\r\n\r\n', 'HTTP/1.1 200 \r\nX: y\r\n\r\n'],
  ['controls in the reason', 'HTTP/1.1 200 \0O\x01\x1b\x7fK\r\n\r\n', 'HTTP/1.1 200  O   K\r\n\r\n'],
  ['a space before a colon', 'HTTP/1.1 200 OK\r\nX : y\r\n\r\n', 'HTTP/1.1 200 OK\r\nX: y\r\n\r\n'],
  ['white space before colons', 'HTTP/1.1 200 OK\r\nX \t :\r\nY\t:z\r\n\r\n', 'HTTP/1.1 200 OK\r\nX:\r\nY:z\r\n\r\n'],
  ['NUL in a value', 'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n', 'HTTP/1.1 200 OK\r\nX: a b\r\n\r\n'],
  ['controls around a value', 'HTTP/1.1 200 OK\r\nX:\x01a\x0b\x0c\x7f\r\n\r\n', 'HTTP/1.1 200 OK\r\nX: a   \r\n\r\n'],
  ['a folded line', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n', 'HTTP/1.1 200 OK\r\nX: a b\r\n\r\n'],
  ['folded lines with tabs', 'HTTP/1.1 200 OK\r\nX: a \r\n\t\tb\n c\r\n\r\n', 'HTTP/1.1 200 OK\r\nX: a  \tb c\r\n\r\n'],
  ['a fold before the value', 'HTTP/1.1 200 OK\r\nX:\r\n a\r\nY: b\r\n\r\n', 'HTTP/1.1 200 OK\r\nX: a\r\nY: b\r\n\r\n'],
  ['empty folded lines', 'HTTP/1.1 200 OK\r\nX: a\r\n \r\n\t\r\n\r\n', 'HTTP/1.1 200 OK\r\nX: a  \r\n\r\n'],
  ['a folded line that looks like a field', 'HTTP/1.1 200 OK\nX: a\n Y: b\n\n', 'HTTP/1.1 200 OK\r\nX: a Y: b\r\n\r\n'],
  ['an interim head', 'HTTP/1.1 103 Early Hints\nLink: </a>\n\n', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'],
  [
    'white space before the colon of Transfer-Encoding',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding : gzip, chunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
  ],
  [
    'a tab before the colon of Content-Length',
    'HTTP/1.1 200 OK\nContent-Length\t: 5\n\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
  ],
  [
    'equal lengths in two lines',
    'HTTP/1.1 200 OK\r\nContent-length: 5\r\nX: y\r\nContent-Length: 05\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-length: 5\r\nX: y\r\n\r\n',
  ],
  [
    'equal lengths in one line',
    'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
  ],
  [
    'equal lengths beside a line that is repaired',
    'HTTP/1.1 200 OK\nContent-Length: 5 ,5\nX : y\nContent-Length: 5\n\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n',
  ],
  [
    'a coding that is not chunked',
    'HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
  ],
]

/** Valid responses, some of which would be invalid requests. They stay unchanged. */
const VALID = [
  'HTTP/1.1 200 OK\r\n\r\n',
  'HTTP/1.0 404 \r\nX:y \t\r\nSet-Cookie: \xff\r\nset-cookie:\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
]

/** As in cases/case.ts: '▸' stands before the byte that is told of. */
const REFUSED: [what: string, input: string, code: HeadErrorCode, state: string, limits?: HeadLimits][] = [
  ['a lone CR for a line end', 'HTTP/1.1 200 OK\r▸X: y\r\n\r\n', 'BARE_CR', 'StartLineEnd'],
  ['a lone CR in a value', 'HTTP/1.1 200 OK\nX: y\r▸Y: z\r\n\r\n', 'BARE_CR', 'FieldEnd'],
  ['a lone CR after no value', 'HTTP/1.1 200 OK\r\nX:\r▸Y: z\r\n\r\n', 'BARE_CR', 'FieldEnd'],
  ['CR CR LF', 'HTTP/1.1 200 OK\r▸\r\nContent-Length: 5\r\n\r\n', 'BARE_CR', 'StartLineEnd'],
  ['a lone CR for the end', 'HTTP/1.1 200 OK\nX: y\n\r▸body', 'BARE_CR', 'HeadEnd'],
  ['a NUL after a CR', 'HTTP/1.1 200 OK\nX: y\r▸\0', 'NUL', 'FieldEnd'],
  ['white space before the first field', 'HTTP/1.1 200 OK\n▸ X: y\r\n\r\n', 'OBS_FOLD', 'FieldStart'],
  ['a line of white space after the start line', 'HTTP/1.1 200 OK\r\n▸\t\r\n\r\n', 'OBS_FOLD', 'FieldStart'],
  ['no colon', 'HTTP/1.1 200 OK\nfoo▸\nX: y\n\n', 'MISSING_COLON', 'FieldName'],
  ['no colon before CRLF', 'HTTP/1.1 200 OK\nfoo▸\r\n\r\n', 'MISSING_COLON', 'FieldName'],
  ['white space in a name', 'HTTP/1.1 200 OK\nX ▸Y: z\n\n', 'SPACE_BEFORE_COLON', 'FieldName'],
  ['white space after a name, and no colon', 'HTTP/1.1 200 OK\nX \t▸\r\n\r\n', 'SPACE_BEFORE_COLON', 'FieldName'],
  ['no name', 'HTTP/1.1 200 OK\n▸: y\n\n', 'EMPTY_FIELD_NAME', 'FieldStart'],
  ['a NUL in a name', 'HTTP/1.1 200 OK\nX▸\0: y\n\n', 'NUL', 'FieldName'],
  [
    'a byte that is not allowed in a name',
    'HTTP/1.1 200 OK\n\nX: y'.replace('\n\n', '\n▸\xe9'),
    'BAD_FIELD_NAME',
    'FieldStart',
  ],
  ['a status below 100', 'HTTP/1.1 ▸099 OK\n\n', 'BAD_STATUS', 'Status'],
  ['a status of two digits', 'HTTP/1.1 20▸\n\n', 'BAD_STATUS', 'Status'],
  ['a control after the status', 'HTTP/1.1 200▸\x01OK\n\n', 'BAD_STATUS', 'StatusEnd'],
  ['ICY', '\n▸ICY 200 OK\n\n', 'BAD_VERSION', 'Version'],
  ['RTSP', '▸RTSP/1.0 200 OK\n\n', 'BAD_VERSION', 'Version'],
  ['HTTP/2', 'HTTP/2▸ 200 OK\n\n', 'BAD_VERSION', 'Version'],
  ['HTTP/1.10', 'HTTP/1.1▸0 200 OK\n\n', 'BAD_VERSION', 'VersionEnd'],
  ['a status line without a status', 'HTTP/1.1▸\n\n', 'BAD_START_LINE', 'VersionEnd'],
  ['white space before the head', '\n▸ HTTP/1.1 200 OK\n\n', 'BAD_VERSION', 'Version'],
  ['a head that does not end', 'HTTP/1.1 200 OK\nX: y\n', 'INCOMPLETE', 'FieldValue'],
  ['empty lines that do not end', '\n\r\n\n', 'INCOMPLETE', 'Start'],
  [
    'two lengths',
    'HTTP/1.1 200 OK\nX: y\nContent-Length: 5\n▸content-length : 6\n\n',
    'DUPLICATE_CONTENT_LENGTH',
    'Rules',
  ],
  ...['\n', '\r\n'].flatMap((end): typeof REFUSED => [
    [
      `two lengths in one, ${JSON.stringify(end)}`,
      `HTTP/1.1 200 OK${end}▸Content-Length: 5,6${end}${end}`,
      'DUPLICATE_CONTENT_LENGTH',
      'Rules',
    ],
    [
      `a length that is none, ${JSON.stringify(end)}`,
      `HTTP/1.1 200 OK${end}▸Content-Length: x${end}${end}`,
      'BAD_CONTENT_LENGTH',
      'Rules',
    ],
    [
      `a list with an empty length, ${JSON.stringify(end)}`,
      `HTTP/1.1 200 OK${end}▸Content-Length: 5,${end}${end}`,
      'BAD_CONTENT_LENGTH',
      'Rules',
    ],
    [
      `equal lengths, and a coding, ${JSON.stringify(end)}`,
      `HTTP/1.1 200 OK${end}Content-Length: 5, 5${end}▸Transfer-Encoding: chunked${end}${end}`,
      'LENGTH_AND_ENCODING',
      'Rules',
    ],
    [
      `a coding in HTTP/1.0, ${JSON.stringify(end)}`,
      `HTTP/1.0 200 OK${end}▸Transfer-Encoding: chunked${end}${end}`,
      'ENCODING_IN_HTTP_1_0',
      'Rules',
    ],
  ]),
  ['a length with a control in it', 'HTTP/1.1 200 OK\r\n▸Content-Length: 5\x01\r\n\r\n', 'BAD_CONTENT_LENGTH', 'Rules'],
  ['a folded length', 'HTTP/1.1 200 OK\r\n▸Content-Length:\r\n 5\r\n\r\n', 'BAD_CONTENT_LENGTH', 'Rules'],
  [
    'a folded coding',
    'HTTP/1.1 200 OK\r\nX: y\r\n▸Transfer-Encoding: gzip,\r\n chunked\r\n\r\n',
    'BAD_TRANSFER_ENCODING',
    'Rules',
  ],
  [
    'a coding with a control in it',
    'HTTP/1.1 200 OK\r\n▸Transfer-Encoding: \x0bchunked\r\n\r\n',
    'BAD_TRANSFER_ENCODING',
    'Rules',
  ],
  [
    'a coding after chunked',
    'HTTP/1.1 200 OK\n▸Transfer-Encoding: chunked, gzip\n\n',
    'BAD_TRANSFER_ENCODING',
    'Rules',
  ],
  [
    'a length and a coding',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\n▸Transfer-Encoding: chunked\r\n\r\n',
    'LENGTH_AND_ENCODING',
    'Rules',
  ],
  ['a coding in HTTP/0.9', 'HTTP/0.9 200 OK\r\n▸Transfer-Encoding: chunked\r\n\r\n', 'ENCODING_IN_HTTP_1_0', 'Rules'],
  ['more bytes than the limit', 'HTTP/1.1 200 OK\r\nX: ▸y\r\n\r\n', 'HEAD_TOO_LARGE', 'FieldGap', { maxHeadBytes: 20 }],
  [
    'more empty lines than the limit',
    '\n\r\n\n\n▸\nHTTP/1.1 200 OK\r\n\r\n',
    'HEAD_TOO_LARGE',
    'Start',
    { maxHeadBytes: 5 },
  ],
  [
    'a head whose dropped bytes exceed the limit',
    'HTTP/1.1 200 OK\r\nX    ▸:\r\n\r\n',
    'HEAD_TOO_LARGE',
    'FieldName',
    { maxHeadBytes: 22 },
  ],
  [
    'a head whose repaired form exceeds the limit',
    'HTTP/1.1 200 OK\nX: ▸y\n\n',
    'HEAD_TOO_LARGE',
    'FieldGap',
    { maxHeadBytes: 20 },
  ],
  [
    'more fields than the limit',
    'HTTP/1.1 200 OK\nX: y\nX: y\n▸X: y\n\n',
    'TOO_MANY_FIELDS',
    'FieldStart',
    { maxFields: 2 },
  ],
]

const BODY = 'HTTP/1.1 \0\n\n'

/** Scans the bytes in one piece, byte by byte, and cut at each offset. The outcome must be the same. */
function outcome(bytes: Buffer, limits?: HeadLimits): Outcome {
  const whole = feedTo(new LenientScanner(limits), [bytes])
  expect(feedTo(new LenientScanner(limits), byteByByte(bytes)), 'byte by byte').toEqual(whole)
  for (let at = 1; at < bytes.length; at++) {
    expect(feedTo(new LenientScanner(limits), cutAt(bytes, [at])), `cut at ${at}`).toEqual(whole)
    const twice = cutAt(bytes, [at, Math.min(at + 1 + (at % 3), bytes.length)])
    expect(feedTo(new LenientScanner(limits), twice), `cut at ${at} and soon after`).toEqual(whole)
  }
  return whole
}

describe('repairs', () => {
  test.for(REPAIRED)('%s', ([, received, repaired]) => {
    const strict = parseHead(latin1(repaired), 'response')
    expect(outcome(latin1(received + BODY))).toEqual({
      verdict: 'head',
      first: strict.first,
      fields: [...strict],
      bytes: repaired,
      rest: BODY,
    })
    expect(parseHead(latin1(received), 'response', { lenient: true }).bytes().toString('latin1')).toBe(repaired)
    expect(() => parseHead(latin1(`${received}x`), 'response', { lenient: true })).toThrow(
      /^TRAILING_BYTES: .*\(byte \d+, in Done\)$/,
    )
  })

  test.for(VALID)('leaves %j unchanged', (text) => {
    expect(outcome(latin1(text + BODY))).toMatchObject({ verdict: 'head', bytes: text, rest: BODY })
  })
})

describe('refuses', () => {
  test.for(REFUSED)('%s', ([, input, code, state, limits]) => {
    const [before, after] = input.split('▸') as [string, string?]
    const received = latin1(before + (after ?? ''))
    const hasByte = state !== 'Rules' && !/INCOMPLETE|TOO_/.test(code)
    const byte = hasByte ? received[before.length] : undefined
    const refusal = { verdict: 'invalid', code, state, offset: before.length, byte }
    expect(outcome(received, limits)).toMatchObject(refusal)
    let thrown: unknown
    try {
      parseHead(received, 'response', { ...limits, lenient: true })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(HeadError)
    expect(thrown).toMatchObject({ code, state, offset: before.length, byte })
  })
})

describe('LenientScanner', () => {
  test('does not copy a valid head in one chunk', () => {
    const bytes = latin1(`${VALID[1]}body`)
    const scanner = new LenientScanner()
    expect(scanner.push(bytes)).toBe('head')
    expect(scanner.head!.bytes().buffer).toBe(bytes.buffer)
    expect(scanner.rest.buffer).toBe(bytes.buffer)
    expect(scanner.rest.byteOffset).toBe(bytes.byteOffset + VALID[1]!.length)
  })

  test('refuses a line at its first invalid byte', () => {
    for (const text of [
      'S',
      'HTTP/1.1 0',
      'HTTP/1.1 200 OK\n ',
      'HTTP/1.1 200 OK\nfoo\n',
      'HTTP/1.1 200 OK\nX: y\rY',
    ]) {
      expect(new LenientScanner().push(latin1(text)), text).toBe('invalid')
    }
  })

  test('starts anew after a reset', () => {
    const scanner = new LenientScanner()
    for (const text of [
      'HTTP/0.9 200\nX : a\n b\n\nrest',
      'HTTP/1.0 200\nX: y\r',
      'HTTP/1.1 200 OK\nX: y\n',
      '\n',
      'x',
    ]) {
      scanner.push(latin1(text))
      scanner.reset()
      expect([scanner.head, scanner.error, scanner.rest.length], text).toEqual([undefined, undefined, 0])
      expect(scanner.push(latin1('HTTP/1.1 200 OK\r\nContent-Length:5\n\n!')), text).toBe('head')
      expect(scanner.head!.bytes().toString(), text).toBe('HTTP/1.1 200 OK\r\nContent-Length:5\r\n\r\n')
      expect(scanner.rest.toString()).toBe('!')
      scanner.reset()
      expect(scanner.push(latin1('HTTP/1.1 200 OK\nX: y\nContent-Length:\n\n')), text).toBe('invalid')
      expect(scanner.error).toMatchObject({ code: 'BAD_CONTENT_LENGTH', offset: 21 })
      scanner.reset()
    }
  })

  test('throws on push() after the head, and stays invalid after an error', () => {
    const scanner = new LenientScanner()
    scanner.push(latin1('HTTP/1.1 200 OK\n\n'))
    const message = 'after the head; call reset() first'
    expect(() => scanner.push(latin1('x'))).toThrow(new Error(`LenientScanner: push() ${message}`))
    expect(() => scanner.end()).toThrow(new Error(`LenientScanner: end() ${message}`))
    scanner.reset()
    expect(scanner.push(latin1('x'))).toBe('invalid')
    const { error } = scanner
    expect(scanner.push(latin1('HTTP/1.1 200 OK\n\n'))).toBe('invalid')
    expect(scanner.end()).toBe(error)
    expect(scanner.head).toBeUndefined()
  })

  test('throws a RangeError on an invalid limit', () => {
    expect(() => new LenientScanner({ maxFields: 0 })).toThrow(
      new RangeError('maxFields: expected a positive integer, got 0'),
    )
    expect(() => new LenientScanner({ maxHeadBytes: 0.5 })).toThrow(RangeError)
  })

  test('throws on lenient for a request', () => {
    const lenient = () => parseHead(latin1('GET / HTTP/1.1\nHost: a\n\n'), 'request', { lenient: true })
    expect(lenient).toThrow(new TypeError('lenient: only response heads can be repaired'))
    expect(() => parseHead(latin1('GET / HTTP/1.1\nHost: a\n\n'), 'request', { lenient: false })).toThrow(HeadError)
    expect(() => parseHead(latin1('HTTP/1.1 200 OK\n\n'), 'response', { lenient: false })).toThrow(HeadError)
  })
})
