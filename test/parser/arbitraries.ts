import fc from 'fast-check'
import type { HeadKind, HeadLimits } from '../../src/parser/index.ts'
import { cutAt } from './feed.ts'

const chars = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => String.fromCharCode(from + i))
const TCHARS = [...chars(0x30, 0x39), ...chars(0x41, 0x5a), ...chars(0x61, 0x7a), ..."!#$%&'*+-.^_`|~"]
const VISIBLE = [...chars(0x21, 0x7e), ...chars(0x80, 0xff)]

const text = (alphabet: string[], minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength })

/** Names of object properties, and names similar to those with rules. */
const ODD_NAMES = [
  '__proto__',
  'constructor',
  'get',
  'set',
  'toString',
  'then',
  'a',
  'A',
  'Set-Cookie',
  'set-cookie',
  'X-Host',
]
const isPlain = (name: string) => !/^(host|content-length|transfer-encoding)$/i.test(name)

/** A field name without a rule. */
export const plainName = fc.oneof(fc.constantFrom(...ODD_NAMES), text(TCHARS, 1, 12).filter(isPlain))
/** A field value, without white space around it. */
export const value = fc.oneof(
  fc.constant(''),
  text(VISIBLE, 1, 1),
  fc
    .tuple(text(VISIBLE, 1, 8), text([...VISIBLE, ' ', '\t'], 0, 12), text(VISIBLE, 1, 8))
    .map((parts) => parts.join('')),
)
const blank = text([' ', '\t'], 0, 3)
const line = (name: fc.Arbitrary<string>, content: fc.Arbitrary<string>) =>
  fc.tuple(name, blank, content, blank).map(([n, before, v, after]) => `${n}:${before}${v}${after}\r\n`)

const host = fc.constantFrom('a', 'example.com', 'EXAMPLE.com:8080', '127.0.0.1:1', '[::1]', '[2001:db8::1]:443')
const path = text(
  VISIBLE.filter((char) => char !== '#'),
  0,
  12,
).map((rest) => `/${rest}`)
const inAnyCase = (name: string) => fc.constantFrom(name, name.toLowerCase(), name.toUpperCase())

/** A method, a target and the matching Host line. */
const route = host.chain((authority) => {
  const hostLine = line(inAnyCase('Host'), fc.constant(authority))
  const withPort = /:\d+$/.test(authority) ? authority : `${authority}:80`
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(
        text(TCHARS, 1, 6).filter((method) => method !== 'PRI' && method !== 'CONNECT'),
        path,
        hostLine,
      ),
    },
    fc.tuple(
      fc.constant('GET'),
      path.map((rest) => `http://${authority}${rest}`),
      hostLine,
    ),
    fc.tuple(fc.constant('CONNECT'), fc.constant(withPort), hostLine),
    fc.tuple(fc.constant('OPTIONS'), fc.constant('*'), hostLine),
  )
})

/** The line that frames the body. */
const framing = (version: string) =>
  fc.oneof(
    fc.constant(''),
    line(inAnyCase('Content-Length'), fc.constantFrom('0', '5', '007', '9007199254740991')),
    version === 'HTTP/1.1'
      ? line(inAnyCase('Transfer-Encoding'), fc.constantFrom('chunked', 'gzip, Chunked'))
      : fc.constant(''),
  )

const version = fc.constantFrom('HTTP/1.1', 'HTTP/1.0')
const plainLines = fc.array(line(plainName, value), { maxLength: 8 })

const requestHead = version.chain((v) =>
  fc
    .tuple(route, framing(v), plainLines)
    .chain(([[method, target, hostLine], framingLine, lines]) =>
      fc
        .shuffledSubarray([hostLine, framingLine, ...lines], { minLength: lines.length + 2 })
        .map((all) => `${method} ${target} ${v}\r\n${all.join('')}\r\n`),
    ),
)

const reason = fc.oneof(
  fc.constant(''),
  text([...VISIBLE, ' ', '\t'], 0, 12).map((phrase) => ` ${phrase}`),
)
const responseHead = fc
  .tuple(version, fc.integer({ min: 100, max: 999 }), reason, plainLines)
  .map(([v, status, phrase, lines]) => `${v} ${status}${phrase}\r\n${lines.join('')}\r\n`)

export interface Stream {
  kind: HeadKind
  bytes: Buffer
}

const kinds: fc.Arbitrary<HeadKind> = fc.constantFrom('request', 'response')
const rest = fc.oneof(fc.constant(''), fc.constant('\r\n'), text(chars(0, 255), 0, 20), requestHead)

/** A valid head and the bytes after it; sometimes an empty line before a request. */
export const validStream: fc.Arbitrary<Stream & { head: string; rest: string }> = kinds.chain((kind) =>
  fc
    .tuple(
      kind === 'request' ? fc.constantFrom('', '\r\n') : fc.constant(''),
      kind === 'request' ? requestHead : responseHead,
      rest,
    )
    .map(([before, head, after]) => ({ kind, head, rest: after, bytes: Buffer.from(before + head + after, 'latin1') })),
)

const TELLING = [...'\0\t\n\r :,;/#"\x7f\x80HA1'].map((char) => char.charCodeAt(0))
const byte = fc.oneof(fc.constantFrom(...TELLING), fc.integer({ min: 0, max: 255 }))

/** One change: a byte replaced, inserted or deleted, a line doubled, or the end cut off. */
const mutation: fc.Arbitrary<(bytes: Buffer) => Buffer> = fc
  .tuple(fc.constantFrom('flip', 'insert', 'delete', 'double', 'cut'), fc.nat(), byte)
  .map(([how, place, by]) => (bytes) => {
    const at = bytes.length === 0 ? 0 : place % bytes.length
    const before = bytes.subarray(0, at)
    if (how === 'flip') return Buffer.concat([before, Buffer.from([by]), bytes.subarray(at + 1)])
    if (how === 'insert') return Buffer.concat([before, Buffer.from([by]), bytes.subarray(at)])
    if (how === 'delete') return Buffer.concat([before, bytes.subarray(at + 1)])
    if (how === 'cut') return before
    const start = bytes.lastIndexOf('\n', at) + 1
    const end = bytes.indexOf('\n', start) + 1 || bytes.length
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start, end), bytes.subarray(end)])
  })

const mutatedStream: fc.Arbitrary<Stream> = fc
  .tuple(validStream, fc.array(mutation, { minLength: 1, maxLength: 3 }))
  .map(([{ kind, bytes }, mutations]) => ({ kind, bytes: mutations.reduce((all, mutate) => mutate(all), bytes) }))

const arbitraryStream: fc.Arbitrary<Stream> = fc.record({
  kind: kinds,
  bytes: fc.array(byte, { maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
})

/** Valid heads, mutated heads and arbitrary bytes. */
export const anyStream: fc.Arbitrary<Stream> = fc.oneof(
  { weight: 3, arbitrary: validStream },
  { weight: 5, arbitrary: mutatedStream },
  { weight: 1, arbitrary: arbitraryStream },
)

/** The default limits, or limits near the size of the streams. */
export const limits: fc.Arbitrary<HeadLimits> = fc.oneof(
  fc.constant({}),
  fc.record({ maxHeadBytes: fc.integer({ min: 1, max: 300 }), maxFields: fc.integer({ min: 1, max: 8 }) }),
)

/** Cuts bytes into a few large pieces, many small ones, or single bytes. */
export const cutter: fc.Arbitrary<(bytes: Buffer) => Buffer[]> = fc.oneof(
  fc.array(fc.nat(), { maxLength: 20 }).map(
    (places) => (bytes: Buffer) =>
      cutAt(
        bytes,
        places.map((place) => place % (bytes.length + 1)),
      ),
  ),
  fc.constant((bytes: Buffer) => [...bytes].map((one) => Buffer.from([one]))),
)
