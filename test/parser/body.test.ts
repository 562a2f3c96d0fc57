import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BodyError, type BodyFraming, type BodyLimits, BodyScanner, bodyErrorCodes } from '../../src/parser/index.ts'
import { byteByByte, cutAt, latin1 } from './feed.ts'
import { Tally } from './tally.ts'

const CHUNKED: BodyFraming = { kind: 'chunked' }

/** Returns the body and the bytes after it, or the error. */
function scan(pieces: readonly Buffer[], framing: BodyFraming, limits?: BodyLimits) {
  const scanner = new BodyScanner(framing, limits)
  let body = ''
  let rest = ''
  for (const piece of pieces) {
    const count = scanner.push(piece)
    body += piece.toString('latin1', 0, count)
    rest += piece.toString('latin1', count)
  }
  const error = scanner.end()
  if (!error) return { body, rest }
  // The error stays, and no more bytes are accepted.
  expect([scanner.push(latin1('0\r\n\r\n')), scanner.end(), scanner.state]).toEqual([0, error, 'invalid'])
  expect(error).toBeInstanceOf(BodyError)
  expect(error.message).toBe(`${error.code}: ${bodyErrorCodes[error.code]} (byte ${error.offset}, in ${error.state})`)
  return { code: error.code, offset: error.offset, state: error.state }
}

/** Scans the stream in one piece, byte by byte, and cut at each offset. The outcome must be the same. */
function scanEveryWay(bytes: Buffer, framing: BodyFraming, limits?: BodyLimits) {
  const outcome = scan([bytes], framing, limits)
  expect(scan(byteByByte(bytes), framing, limits), 'byte by byte').toEqual(outcome)
  for (let at = 0; at <= bytes.length; at++)
    expect(scan(cutAt(bytes, [at]), framing, limits), `cut at ${at}`).toEqual(outcome)
  return outcome
}

describe('bodies', () => {
  // '▸' marks the start of the next message.
  test.each<[name: string, framing: BodyFraming, stream: string]>([
    ['none', { kind: 'none' }, '▸GET'],
    ['a length of 0', { kind: 'length', length: 0 }, '▸GET'],
    ['a length', { kind: 'length', length: 5 }, 'hello▸GET'],
    ['until the connection closes', { kind: 'close' }, 'hello\r\n0\r\n\r\n'],
    ['no chunk', CHUNKED, '0\r\n\r\n▸GET'],
    ['a last chunk of many zeros', CHUNKED, '0000000000000000\r\n\r\n▸'],
    ['chunks', CHUNKED, '5\r\nhello\r\n00A\r\n0123456789\r\na\r\n\r\n0\r\n\r\n\r\n!\r\n0\r\n\r\n▸0\r\n\r\n'],
    ['extensions', CHUNKED, '1;a\r\nx\r\n1;a=b;c="d;\té \\"";;\r\nx\r\n0;last\r\n\r\n▸'],
    ['trailers', CHUNKED, '0\r\nA: b\r\nContent-Lengths:\r\nHos: 1\r\nExpires: \té\r\n\r\n▸GET'],
  ])('%s', (_, framing, stream) => {
    const [body = '', rest = ''] = stream.split('▸')
    expect(scanEveryWay(latin1(body + rest), framing)).toEqual({ body, rest })
  })

  // '▸' marks the offending byte.
  test.each<[code: string, state: string, stream: string, limits?: BodyLimits]>([
    ['BAD_CHUNK_SIZE', 'SizeStart', '▸\r\n'],
    ['BAD_CHUNK_SIZE', 'SizeStart', '▸;a\r\n'],
    ['BAD_CHUNK_SIZE', 'SizeStart', '▸ 1\r\nx'],
    ['BAD_CHUNK_SIZE', 'SizeStart', '▸+1\r\nx'],
    ['BAD_CHUNK_SIZE', 'SizeStart', '▸-1\r\nx'],
    ['BAD_CHUNK_SIZE', 'Size', '0▸x1\r\nx'],
    ['BAD_CHUNK_SIZE', 'Size', '1▸ \r\nx'],
    ['BAD_CHUNK_SIZE', 'Size', '1▸ ;a\r\nx'],
    ['BAD_CHUNK_SIZE', 'Size', '1▸\t\r\nx'],
    ['BAD_CHUNK_SIZE', 'Size', '1▸_0\r\n'],
    ['BAD_CHUNK_SIZE', 'Size', '1▸\0\r\n'],
    ['BARE_LF', 'Size', '1▸\nx\r\n'],
    ['BARE_LF', 'SizeStart', '▸\n1\r\nx'],
    ['BARE_CR', 'SizeEnd', '1\r▸x'],
    ['BARE_CR', 'SizeEnd', '1\r▸\r\nx'],
    ['CHUNK_TOO_LARGE', 'Size', '2000000000000▸0\r\n'],
    ['CHUNK_TOO_LARGE', 'Size', 'fffffffffffff▸fff\r\n'],
    ['CHUNK_TOO_LARGE', 'Size', '0000000000000000▸1\r\n'],
    ['BAD_CHUNK_EXTENSION', 'Extension', '1;a=▸\0\r\n'],
    ['BAD_CHUNK_EXTENSION', 'Extension', '1;a▸\x7f\r\n'],
    ['BARE_LF', 'Extension', '1;a="▸\n"\r\n'],
    ['BARE_CR', 'SizeEnd', '1;a="\r▸x"\r\n'],
    ['CHUNK_EXTENSION_TOO_LARGE', 'Extension', '1;abc▸d\r\n', { maxChunkExtensionBytes: 4 }],
    ['BAD_CHUNK_END', 'DataEnd', '1\r\nx▸y\r\n'],
    ['BAD_CHUNK_END', 'DataEnd', '1\r\nx▸0\r\n\r\n'],
    ['BARE_LF', 'DataEnd', '1\r\nx▸\n0\r\n\r\n'],
    ['BARE_CR', 'ChunkEnd', '1\r\nx\r▸0\r\n\r\n'],
    ['BAD_TRAILER', 'TrailerStart', '0\r\n▸ a: b\r\n\r\n'],
    ['BAD_TRAILER', 'TrailerStart', '0\r\n▸: b\r\n\r\n'],
    ['BAD_TRAILER', 'TrailerStart', '0\r\na: b\r\n▸ c\r\n\r\n'],
    ['BAD_TRAILER', 'TrailerName', '0\r\na▸ : b\r\n\r\n'],
    ['BAD_TRAILER', 'TrailerName', '0\r\na▸\r\n\r\n'],
    ['BAD_TRAILER', 'TrailerValue', '0\r\na: ▸\0\r\n\r\n'],
    ['BARE_LF', 'TrailerStart', '0\r\n▸\n'],
    ['BARE_LF', 'TrailerValue', '0\r\na: b▸\n\r\n'],
    ['BARE_CR', 'TrailerEnd', '0\r\na: b\r▸c\r\n\r\n'],
    ['BARE_CR', 'BodyEnd', '0\r\n\r▸x'],
    ['FORBIDDEN_TRAILER', 'TrailerName', '0\r\nContent-Length▸: 5\r\n\r\n'],
    ['FORBIDDEN_TRAILER', 'TrailerName', '0\r\na: b\r\ntransfer-ENCODING▸: chunked\r\n\r\n'],
    ...[
      'host',
      'Cookie',
      'authorization',
      'FORWARDED',
      'Via',
      'X-Real-IP',
      'X-Client-IP',
      'True-Client-IP',
      'CF-Connecting-IP',
      'X-Forwarded',
      'x-forwarded-for',
      'X-Forwarded-Something-Long',
      'Client-Cert',
      'client-cert-CHAIN',
      // To origins that read fields as CGI variables, these are the same.
      'Client_Cert',
      'client.cert!chain',
      'content_length',
      'X_Forwarded_For',
    ].map((name): [string, string, string] => ['FORBIDDEN_TRAILER', 'TrailerName', `0\r\n${name}▸: a\r\n\r\n`]),
    ['TRAILER_TOO_LARGE', 'TrailerStart', '0\r\na: b\r\n▸c: d\r\n\r\n', { maxTrailerBytes: 6 }],
    ['TRAILER_TOO_LARGE', 'TrailerValue', '0\r\na: b▸bbbb\r\n', { maxTrailerBytes: 4 }],
    ['INCOMPLETE', 'SizeStart', '▸'],
    ['INCOMPLETE', 'Data', '5\r\nhel▸'],
    ['INCOMPLETE', 'BodyEnd', '0\r\n\r▸'],
  ])('%s in %s: %j', (code, state, stream, limits) => {
    const offset = stream.indexOf('▸')
    expect(scanEveryWay(latin1(stream.replace('▸', '')), CHUNKED, limits)).toEqual({ code, offset, state })
  })

  test('reports INCOMPLETE if the stream ends before the length', () => {
    const outcome = { code: 'INCOMPLETE', offset: 3, state: 'Length' }
    expect(scanEveryWay(latin1('hel'), { kind: 'length', length: 5 })).toEqual(outcome)
  })

  test.each([0, -1, 1.5, Number.NaN, '5'])('throws a RangeError on a limit of %j', (limit) => {
    for (const name of ['maxChunkExtensionBytes', 'maxTrailerBytes']) {
      const make = () => new BodyScanner(CHUNKED, { [name]: limit })
      expect(make).toThrow(new RangeError(`${name}: expected a positive integer, got ${limit}`))
    }
  })
})

const data = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const size = (length: number) =>
  fc.tuple(fc.nat(2), fc.boolean()).map(([zeros, isUpper]) => {
    const hex = '0'.repeat(zeros) + length.toString(16)
    return isUpper ? hex.toUpperCase() : hex
  })
const extension = fc.constantFrom('', ';', ';a', ';a=b', ';a="b c"')
const chunk = data
  .filter((text) => text.length > 0)
  .chain((text) => fc.tuple(size(text.length), extension).map(([hex, ext]) => `${hex}${ext}\r\n${text}\r\n`))
const trailer = fc.constantFrom('A: b\r\n', 'x:\r\n', 'Content-Md5: \t1\r\n')
const chunkedBody = fc
  .tuple(fc.array(chunk, { maxLength: 5 }), size(0), extension, fc.array(trailer, { maxLength: 2 }))
  .map(([chunks, zero, ext, trailers]) => `${chunks.join('')}${zero}${ext}\r\n${trailers.join('')}\r\n`)
const cuts = (length: number) => fc.array(fc.nat(length), { maxLength: 8 })

describe('properties', () => {
  test('finds the end of the body however the bytes are cut', () => {
    const stream = fc
      .tuple(chunkedBody, data)
      .chain(([body, rest]) => fc.tuple(fc.constant(body), fc.constant(rest), cuts(body.length + rest.length)))
    fc.assert(
      fc.property(stream, ([body, rest, offsets]) => {
        expect(scan(cutAt(latin1(body + rest), offsets), CHUNKED)).toEqual({ body, rest })
      }),
    )
  })

  test('gives an invalid body the same code and offset however it is cut', () => {
    const edited = fc
      .tuple(chunkedBody, fc.nat(), fc.constantFrom('', '\r', '\n', ' ', ';', '0', 'g', ':', '\0', '\r\n'), fc.nat(2))
      .map(([body, at, insert, drop]) => {
        const i = at % (body.length + 1)
        return body.slice(0, i) + insert + body.slice(i + drop)
      })
      .chain((text) => fc.tuple(fc.constant(text), cuts(text.length)))
    fc.assert(
      fc.property(edited, ([text, offsets]) => {
        const bytes = latin1(text)
        expect(scan(cutAt(bytes, offsets), CHUNKED)).toEqual(scan([bytes], CHUNKED))
      }),
    )
  })
})

describe('data', () => {
  test('appends the data without its framing, however the bytes are cut', () => {
    const stream = fc.array(data, { maxLength: 5 }).chain((pieces) => {
      const texts = pieces.filter((text) => text.length > 0)
      const chunks = texts.map((text) => `${text.length.toString(16)};a=b\r\n${text}\r\n`)
      const body = `${chunks.join('')}0\r\nA: b\r\n\r\nnext`
      return fc.tuple(fc.constant(texts.join('')), fc.constant(body), cuts(body.length))
    })
    fc.assert(
      fc.property(stream, ([text, body, offsets]) => {
        const scanner = new BodyScanner(CHUNKED)
        const found: Uint8Array[] = []
        for (const piece of cutAt(latin1(body), offsets)) scanner.push(piece, found)
        expect(Buffer.concat(found).toString('latin1')).toBe(text)
        expect(found.every((piece) => piece.length > 0)).toBe(true)
      }),
    )
  })

  test.each<[BodyFraming, string]>([
    [{ kind: 'none' }, ''],
    [{ kind: 'length', length: 4 }, 'body'],
    [{ kind: 'close' }, 'body and more'],
  ])('appends the data of a body of %j', (framing, text) => {
    const found: Uint8Array[] = []
    new BodyScanner(framing).push(latin1('body and more'), found)
    expect(Buffer.concat(found).toString('latin1')).toBe(text)
  })

  test('appends views of the chunk', () => {
    const bytes = latin1('3\r\nabc\r\n')
    const found: Uint8Array[] = []
    new BodyScanner(CHUNKED).push(bytes, found)
    expect([found.length, found[0]!.buffer === bytes.buffer, found[0]!.byteOffset]).toEqual([
      1,
      true,
      bytes.byteOffset + 3,
    ])
  })
})

describe('bytes read', () => {
  function looks(pieces: readonly Buffer[], framing: BodyFraming): number {
    const tally = new Tally()
    const scanner = new BodyScanner(framing)
    tally.watch(() => {
      for (const piece of pieces) scanner.push(tally.counted(piece))
    })
    expect(scanner.state).not.toBe('invalid')
    expect([tally.copied, tally.allocations]).toEqual([0, []])
    return tally.looks
  }

  test('reads each byte of framing once, and no data, however it is cut', () => {
    const lines = ['1f;ext="y"\r\n', '\r\n1\r\n', '\r\n0\r\nName: value\r\nX:\r\n\r\n']
    const bytes = latin1(`${lines[0]}${'d'.repeat(31)}${lines[1]}d${lines[2]}`)
    const framing = lines.join('').length
    for (let step = 1; step <= bytes.length; step++) {
      const offsets = Array.from({ length: Math.ceil(bytes.length / step) - 1 }, (_, i) => (i + 1) * step)
      expect(looks(cutAt(bytes, offsets), CHUNKED), `pieces of ${step}`).toBe(framing)
    }
  })

  test('reads no byte of a body without chunks', () => {
    expect(looks([Buffer.alloc(1000), Buffer.alloc(24)], { kind: 'length', length: 1020 })).toBe(0)
    expect(looks([Buffer.alloc(1000), Buffer.alloc(24)], { kind: 'close' })).toBe(0)
  })
})
