/** Requests that two readers may frame in different ways. All strings are Latin-1. */

/** A request of a stream, with the bytes after its head. */
export interface Trick {
  /** Writes the request for the path `target`, with `inner` as a body that could hide another request. */
  write(target: string, inner: string): string
  /** The body, if the framing is valid. A reader that accepts the request must read exactly this. */
  body?(inner: string): string
  /** The body may never be complete. Only the client's FIN ends it. */
  isOpen?: boolean
}

type Write = Trick['write']

const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const HELLO = '5\r\nhello\r\n'

const head = (method: string, target: string, fields: string, version = 'HTTP/1.1') =>
  `${method} ${target} ${version}\r\nHost: a\r\n${fields}\r\n`
const hex = (text: string) => text.length.toString(16)
const nothing = () => ''
const same = (inner: string) => inner

/** A request with these fields and no body. */
const bare = (fields: string, method = 'GET', version = 'HTTP/1.1'): Trick => ({
  write: (target) => head(method, target, fields, version),
  body: nothing,
})

/** A request with a Content-Length and another request as its body. */
const sized = (method: string, fields = '', version = 'HTTP/1.1'): Trick => ({
  write: (target, inner) => head(method, target, `${fields}Content-Length: ${inner.length}\r\n`, version) + inner,
  body: same,
})

/** A request whose body is one chunk with another request. */
const chunk = (fields = '', method = 'POST', version = 'HTTP/1.1'): Trick => ({
  write: (target, inner) => `${head(method, target, fields + CHUNKED, version)}${hex(inner)}\r\n${inner}\r\n0\r\n\r\n`,
  body: same,
})

const right = (write: Write, body: (inner: string) => string): Trick => ({ write, body })
const odd = (write: Write): Trick => ({ write })
const open = (write: Write): Trick => ({ write, isOpen: true })

/** Content-Length values that readers may interpret differently. `N`: the length of the rest. */
const LENGTHS = [
  ...['N', '00N', ' N', 'N ', '\tN\t', '+N', '-N', '0xN', 'N.0', 'N;', 'N, N', 'N,N', ',N', 'N,', '"N"', 'Na', 'N\0'],
  ...['', '0, N', 'N, 0', '18446744073709551616', '9007199254740993', '4294967296', 'N\x0b', '1e1', 'N N', '_N'],
]
const LENGTH_LINES = [
  'Content-Length: N\r\nContent-Length: N\r\n',
  'Content-Length: 0\r\nContent-Length: N\r\n',
  'Content-Length: N\r\nContent-Length: 0\r\n',
  'Content-Length : N\r\n',
  'Content-Length:\r\n N\r\n',
  'X: y\r\n Content-Length: N\r\n',
  'X: y\nContent-Length: N\r\n',
  'X: y\rContent-Length: N\r\n',
  'Content_Length: N\r\n',
  'Content-Length\0: N\r\n',
  'CONTENT-LENGTH: N\r\n',
]

const ENCODINGS = [
  ...['chunked', 'Chunked', ' chunked ', '\tchunked', 'chunked;q=1', 'chunked, chunked', 'gzip, chunked', 'identity'],
  ...['identity, chunked', 'chunked, identity', 'xchunked', 'chunked\x0b', '"chunked"', 'chunked\0', ',chunked', ''],
]
const ENCODING_LINES = [
  'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
  'Transfer-Encoding : chunked\r\n',
  'Transfer_Encoding: chunked\r\n',
  'Transfer-Encoding:\r\n chunked\r\n',
  'X: y\nTransfer-Encoding: chunked\r\n',
  'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
  'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n',
]

/** Replaces '5\r\nhello\r\n0\r\n\r\n' or a part of it. `@`: a request of `#` bytes (hexadecimal). */
export const RIGHT_CHUNKS: readonly [bytes: string, body: string][] = [
  [`${HELLO}0\r\n\r\n`, 'hello'],
  ['0\r\n\r\n', ''],
  ['000\r\n\r\n', ''],
  ['0;last\r\n\r\n', ''],
  ['00000005\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['0000000000000005\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['5;a\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['5;a=b;c="d\\"; e"\r\nhello\r\n0\r\n\r\n', 'hello'],
  [`5;${'x'.repeat(4000)}\r\nhello\r\n0\r\n\r\n`, 'hello'],
  ['#;i=1\r\n@\r\n0\r\n\r\n', '@'],
  [`${HELLO}0\r\nX: y\r\n\r\n`, 'hello'],
  [`${HELLO}0\r\nX-Id: forged\r\nX: y\r\n\r\n`, 'hello'],
  [`${HELLO}0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n`, 'hello'],
  [`${'1\r\nh\r\n'.repeat(50)}0\r\n\r\n`, 'h'.repeat(50)],
  ['A\r\n0\r\n\r\n12345\r\n0\r\n\r\n', '0\r\n\r\n12345'],
  ['a\r\n0\r\n\r\n12345\r\n0\r\n\r\n', '0\r\n\r\n12345'],
]
export const WRONG_CHUNKS = [
  ...['0x5', ' 5', '5 ', '+5', '-5', '5\t', '5\x0b', '5.', '5,', '5 ;a', '\x005', '5\0', '', 'g', '5h', '\xb5'],
  ...['00000000000000005', '10000000000000005', 'FFFFFFFFFFFFFFFF', '100000005', '20000000000000', '5;a\0', '5;a\x7f'],
  ...['0X5', '0x05', '0x10'],
  ...['5;a\nb', '5;a\rb', '5;\n', '5\n', '5\r', '5\r\r'],
].map((size) => `${size}\r\nhello\r\n0\r\n\r\n`)

/** Replacements of a CRLF. Most are wrong. */
const LINE_ENDS = [
  ...[
    '\n',
    '\r',
    '',
    '\r\r\n',
    '\n\r\n',
    '\r\n\n',
    'XX',
    'X\n',
    '\rX',
    '\r\n\r\n',
    ' \r\n',
    '\0\r\n',
    '\x0b\r\n',
    '\x85\r\n',
  ],
]

/** These lines, with each line end replaced in turn. */
const withOddEnds = (lines: readonly string[]): string[] =>
  lines.flatMap((_, k) =>
    LINE_ENDS.map(
      (end) =>
        `${lines.slice(0, k + 1).join('\r\n')}${end}${lines
          .slice(k + 1)
          .map((line) => `${line}\r\n`)
          .join('')}`,
    ),
  )

export const WRONG_ENDS = [
  ...withOddEnds(['5', 'hello', '0', '']),
  ...withOddEnds(['5;a', 'hello', '0;a', 'X: y', '']),
  ...['5\r\nhello\n0\n\n', '5\nhello\n0\n\n', `${HELLO}0\r\r@`, '5;a\n@', '5\r\nhello@'],
  ...[`5;\r\n hello\r\n0\r\n\r\n`, '5;a\r\n b\r\nhello\r\n0\r\n\r\n', `${HELLO}0;a\n@`],
]
export const WRONG_TRAILERS = [
  ...['Content-Length: 5', 'Transfer-Encoding: chunked', 'Host: b', 'X : y', ' X: y', 'X', ': y', 'X: y\n', 'X: \0'],
  ...['X: y\r', 'X: y\r\n Z', 'hOST: b', 'X\0: y', 'GET /smuggled HTTP/1.1', `X: ${'y'.repeat(17_000)}`],
].map((line) => `${HELLO}0\r\n${line}\r\n\r\n`)

/** Connection fields of a request without a body. */
const CONNECTIONS = [
  ...[
    'close, keep-alive',
    'keep-alive, close',
    'keep-alive',
    'Keep-Alive, TE',
    'close,close',
    ',,close',
    'X-Id',
    'Upgrade',
  ],
  ...[
    'Content-Length',
    'Transfer-Encoding',
    'Host',
    'X-Id, close',
    'Cookie',
    'X-Forwarded-For',
    'Expect',
    'a b',
    '"x"',
  ],
].map((value) => `Connection: ${value}\r\n`)
const FIELDS = [
  'Keep-Alive: timeout=1, max=1\r\nProxy-Connection: keep-alive\r\n',
  'TE: trailers\r\nConnection: TE\r\n',
  'TE: gzip;q=0.5, trailers\r\n',
  'X-Id: forged\r\n',
  'X-Id: forged\r\nx-id: twice\r\n',
  'X_Id: forged\r\n',
  'Upgrade: websocket\r\n',
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n',
  'Connection: Upgrade\r\nUpgrade: foo/1, websocket\r\n',
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
  'Connection: Upgrade, close\r\nUpgrade: foo\r\n',
  'Expect: 200-ok\r\n',
  'Host: b\r\n',
]
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: foo\r\n'
const EXPECT = 'Expect: 100-continue\r\n'

const fillLength = (value: string, inner: string) => value.replaceAll('N', String(inner.length))
export const fillChunks = (bytes: string, inner: string) => bytes.replace('#', hex(inner)).replaceAll('@', inner)
const lengthLine = (line: string): Trick =>
  open((target, inner) => head('POST', target, fillLength(line, inner)) + inner)
const encodingLine = (line: string): Trick => open((target) => `${head('POST', target, line)}${HELLO}0\r\n\r\n`)

export const TRICKS: readonly Trick[] = [
  ...['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'FOO'].flatMap((method) => [bare('', method), sized(method)]),
  ...['GET', 'HEAD', 'PUT'].map((method) => chunk('', method)),
  ...[UPGRADE, EXPECT, 'Connection: close\r\n', 'X-Id: forged\r\n'].flatMap((fields) => [
    ...[sized('POST', fields), chunk(fields)],
    ...[bare(`${fields}Content-Length: 0\r\n`, 'POST'), sized('GET', fields)],
  ]),
  ...['', 'Connection: keep-alive\r\n', EXPECT, UPGRADE, 'Connection: close, keep-alive\r\n'].flatMap((fields) => [
    ...[bare(fields, 'GET', 'HTTP/1.0'), sized('POST', fields, 'HTTP/1.0')],
    odd((target, inner) => chunk(fields, 'POST', 'HTTP/1.0').write(target, inner)),
  ]),
  ...LENGTHS.map((value) => lengthLine(`Content-Length: ${value}\r\n`)),
  ...LENGTH_LINES.map(lengthLine),
  // Longer than the body, and shorter.
  open((target, inner) => head('POST', target, `Content-Length: ${inner.length + 40}\r\n`) + inner),
  odd((target, inner) => head('POST', target, 'Content-Length: 3\r\n') + inner),
  right(
    (target, inner) => `${head('POST', target, 'Content-Length: 5\r\n')}hello\r\n${inner}`,
    () => 'hello',
  ),
  ...ENCODINGS.map((value) => encodingLine(`Transfer-Encoding: ${value}\r\n`)),
  ...ENCODING_LINES.map(encodingLine),
  ...RIGHT_CHUNKS.map(([bytes, body]) =>
    right(
      (target, inner) => head('POST', target, CHUNKED) + fillChunks(bytes, inner),
      (inner) => fillChunks(body, inner),
    ),
  ),
  ...[...WRONG_CHUNKS, ...WRONG_ENDS, ...WRONG_TRAILERS].map((bytes) =>
    open((target, inner) => head('POST', target, CHUNKED) + fillChunks(bytes, inner)),
  ),
  ...[...CONNECTIONS, ...FIELDS].map((fields) => bare(fields)),
  ...withOddEnds(['GET @ HTTP/1.1', 'Host: a', 'Content-Length: 0', '']).map((text) =>
    odd((target) => text.replace('@', target)),
  ),
  // Unusual line ends, empty lines before the request, and other forms of target.
  odd((target) => `GET ${target} HTTP/1.1\nHost: a\n\n`),
  odd((target) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\n`),
  odd((target) => `\r\n${head('GET', target, '')}`),
  odd((target) => `\r\n\r\n\n${head('GET', target, '')}`),
  odd((target, inner) => `${head('GET', target, '')}\0${inner}`),
  odd((target) => head('GET', `http://a${target}`, '')),
  odd((target) => head('GET', `/${target}`, '')),
  odd((target) => `GET  ${target} HTTP/1.1\r\nHost: a\r\n\r\n`),
  odd((target) => `GET ${target}\r\nHost: a\r\n\r\n`),
  odd((target) => `get ${target} http/1.1\r\nHost: a\r\n\r\n`),
  odd((target) => `GET ${target} HTTP/1.1\r\nX: y\r\n\r\n`),
  odd((target, inner) => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${head('GET', target, '')}${inner}`),
  odd((target, inner) => `CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nX-Target: ${target}\r\n\r\n${inner}`),
  odd((_target, inner) => `CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`),
]
