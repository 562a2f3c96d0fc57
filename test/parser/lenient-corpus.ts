const BODY = 'hello'
const CHUNKED = '5\r\nhello\r\n0\r\n\r\n'

/** The responses to mutate: the first with every byte, the others with the bytes in TELLING. */
const BASES = [
  `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b c\r\n\r\n${BODY}`,
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX:\r\n\r\n${CHUNKED}`,
  `HTTP/1.0 404 Not Found\r\nA: b\r\n c\r\nD: \r\n\r\n${BODY}`,
  `HTTP/1.1 200\nX-A:b\nContent-Length:5\n\n${BODY}`,
]
const ALL = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))
const TELLING = [...'\0\x01\x08\t\n\x0b\x0c\r\x1b\x1f !"(,/0159:;@A_a{~\x7f\x80\x85\xa0\xff']

const LINE_ENDS = [
  '\r\n',
  '\n',
  '\r',
  '\n\r',
  '\r\r\n',
  '\r\n\n',
  '\r\n\r',
  ' \r\n',
  '\t\n',
  '\x01\r\n',
  '\r\n ',
  '\n\t',
]

/** Deletes each byte of a head, and inserts each of `bytes` before it and in its place. */
function* mutations(base: string, bytes: readonly string[]): Generator<string> {
  const end = base.search(/\r?\n\r?\n/) + 4
  for (let at = 0; at < end; at++) {
    const [before, after] = [base.slice(0, at), base.slice(at + 1)]
    yield before + after
    for (const byte of bytes) {
      yield before + byte + base[at] + after
      yield before + byte + after
    }
  }
}

/** Every combination of line ends in a head of two fields. */
function* lineEnds(): Generator<string> {
  for (const a of LINE_ENDS) {
    for (const b of LINE_ENDS) {
      for (const c of LINE_ENDS) yield `HTTP/1.1 200 OK${a}X: y${b}Z:${c}\r\n${BODY}`
      yield `HTTP/1.1 200 OK\nX: y${a}${b}${BODY}`
      yield `HTTP/1.1 200 OK${a}${b}${BODY}`
    }
  }
}

function* startLines(): Generator<string> {
  for (let major = 0; major < 10; major++) {
    for (let minor = 0; minor < 10; minor++) yield `HTTP/${major}.${minor} 200 OK\n\n${BODY}`
    yield `HTTP/${major}.1 200 OK\r\nTransfer-Encoding: chunked\n\r\n${CHUNKED}`
    yield `HTTP/${major}.0 200 OK\r\nTransfer-Encoding: chunked\n\r\n${CHUNKED}`
  }
  for (const first of [
    'RTSP/1.0 200 OK',
    'ICE/1.0 200 OK',
    'ICY 200 OK',
    'HTTP/2 200',
    'http/1.1 200 OK',
    'HTTP/1.10 200',
  ]) {
    yield `${first}\r\n\r\n${BODY}`
  }
  for (const empty of ['\r\n', '\n', '\r\n\r\n\n', '\r', '\n\r\r\n', ' \r\n', '\0', '\xef\xbb\xbf']) {
    yield `${empty}HTTP/1.1 200 OK\r\n\r\n${BODY}`
  }
  for (const status of ['000', '099', '99', '1000', '204', '304', '999', '20x', ' 200', '+20']) {
    yield `HTTP/1.1 ${status} OK\nX: y\n\n`
  }
  for (const end of ['', ' ', '  OK', ' OK ', '\tOK', ' \t', ' O\0K', ' \x7f', ' \xff', ' O\rK']) {
    for (const line of ['\r\n', '\n']) yield `HTTP/1.1 200${end}${line}X: y\r\n\r\n${BODY}`
  }
}

/** Framing fields with valid and invalid values, separators and line ends. */
function* framing(): Generator<string> {
  const lengths = [
    '5',
    '05',
    '+5',
    '-5',
    '0x5',
    '5 5',
    '5, 5',
    '',
    ' ',
    '\t5',
    '5\t',
    '5\x01',
    '\x015',
    '5\0',
    '6',
    '1e1',
  ]
  const codings = [
    'chunked',
    'Chunked',
    'gzip, chunked',
    'chunked, gzip',
    'chunked, chunked',
    'gzip',
    'identity',
    '',
    'chunked,',
    ',chunked',
    '"chunked"',
    'chunked;a=b',
    'xchunked',
    'gzip chunked',
    'chunked\x01',
    '\x0bchunked',
    'chun\0ked',
    'chunked\t',
    '\tchunked',
  ]
  const separators = [':', ': ', ' :', '\t: ', '  : ', ':\r\n ', ':\n\t', ': \r\n\r\n']
  const ends = ['\r\n', '\n', '\r\n \r\n', '\n\t\n', '\r\n ;x\r\n']
  for (const separator of separators) {
    for (const end of ends) {
      for (const version of ['1.1', '1.0']) {
        const first = `HTTP/${version} 200 OK\n`
        for (const length of lengths) yield `${first}Content-Length${separator}${length}${end}X: y\r\n\r\n${BODY}`
        for (const coding of codings) yield `${first}Transfer-Encoding${separator}${coding}${end}\r\n${CHUNKED}`
        for (const coding of codings)
          yield `${first}Content-Length: 5\r\ntransfer-encoding${separator}${coding}${end}\r\n${CHUNKED}`
        for (const length of lengths)
          yield `${first}Content-Length: 5\r\ncontent-length${separator}${length}${end}\r\n${BODY}`
        for (const coding of codings)
          yield `${first}Transfer-Encoding: gzip\r\ntransfer-encoding${separator}${coding}${end}\r\n${CHUNKED}`
      }
    }
  }
}

/** Responses whose heads are broken in many ways. Each character is one byte. */
export function corpus(): string[] {
  const mutated = BASES.flatMap((base, i) => [...mutations(base, i === 0 ? ALL : TELLING)])
  return [...new Set([...mutated, ...lineEnds(), ...startLines(), ...framing()])]
}
