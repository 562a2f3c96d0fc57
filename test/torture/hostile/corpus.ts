import { alike, ENCODINGS, HOSTS, LENGTHS, METHODS, TARGETS, VERSIONS } from './values.ts'

/** Valid request heads (RFC 9112) and broken variants. All strings are Latin-1. */

/** A chunked body that is also a body of 15 bytes, so that a different framing shows. */
const BODY = '5\r\nhello\r\n0\r\n\r\n'
/** The next request, which must not be read as part of the first. */
export const SECOND = 'GET /second HTTP/1.1\r\nHost: second\r\nConnection: close\r\n\r\n'

const HOST = 'Host: example.com\r\n'
const BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))
/** Every byte is inserted at each `|`. */
const PLACES = [
  'G|ET| |/pa|th| |HT|TP|/|1|.|1|\r|\n|Ho|st|:|| exa|mple.com|\r|\n|\r|\n',
  '|GET / HTTP/1.1\r\nHost: example.com|:|8|0|\r|\nX-A: b\r\n\r\n',
  `GET / HTTP/1.1\r\n${HOST}|X-|A|:|b|c|\r|\n|X-D: e\r\n\r\n`,
  `POST / HTTP/1.1\r\n${HOST}|Content|-Length|:| |1|5|\r|\n\r\n`,
  `POST / HTTP/1.1\r\n${HOST}|Transfer|-Encoding|:| |chun|ked|\r|\n\r\n`,
  `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip|,| chunked\r\n\r\n`,
  `GET |http|:|/|/|exa|mple.com|/ HTTP/1.1\r\n${HOST}\r\n`,
]
/** A line of every single byte is inserted at each `|`. */
const LINES = '|GET / HTTP/1.1\r\n|Host: example.com\r\n|X-A: b\r\n|\r\n'

/** Each separator in braces is left out, doubled or replaced. */
const SEPARATED = [
  `GET{ }/{ }HTTP/1.1{\r\n}Host{:}{ }example.com{\r\n}X-A{:}{ }b{\r\n}{\r\n}`,
  `POST / HTTP/1.1\r\n${HOST}Content-Length{:}{ }15{\r\n}{\r\n}`,
  `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding{:}{ }gzip{, }chunked{\r\n}{\r\n}`,
]
const SEPARATORS = [
  ...['', ' ', '  ', '\t', ' \t', '\x0b', '\x0c', '\xa0', ':', '::', ',', ',,', ', ,', ';', '/', '\0'],
  ...['\r', '\n', '\r\n', '\n\r', '\n\n', '\r\r\n', '\r\n\r\n', '\r\n ', '\r\n\t', '\n ', '\r ', ' \r\n', '\0\r\n'],
]

const LENGTH = 'Content-Length: 15\r\n'
const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const WHOLE = `POST /path HTTP/1.1\r\n${HOST}${LENGTH}X-A: b\r\n\r\n`
const BEFORE = ['\r\n', '\r\n\r\n', '\r\n\r\n\r\n', '\n', '\n\n', '\r', '\n\r', ' \r\n', 'X\r\n', '\0', '\xef\xbb\xbf']
const FIRSTS = [
  ...['GET / HTTP/1.1', 'GET / HTTP/1.0', 'GET http://example.com/ HTTP/1.1', 'GET http://example.com:80 HTTP/1.1'],
  ...['CONNECT example.com:80 HTTP/1.1', 'OPTIONS * HTTP/1.1'],
]

function* strayBytes(): Generator<string> {
  for (const place of PLACES) {
    const parts = place.split('|')
    for (let i = 1; i < parts.length; i++) {
      for (const byte of BYTES) yield parts.slice(0, i).join('') + byte + parts.slice(i).join('')
    }
  }
  const lines = LINES.split('|')
  for (let i = 1; i < lines.length; i++) {
    for (const byte of BYTES) yield `${lines.slice(0, i).join('')}${byte}\r\n${lines.slice(i).join('')}`
  }
}

function* otherSeparators(): Generator<string> {
  for (const text of SEPARATED) {
    const parts = text.split(/[{}]/)
    for (let i = 1; i < parts.length; i += 2) {
      for (const other of [...SEPARATORS, parts[i]! + parts[i]!]) yield parts.with(i, other).join('')
    }
  }
  for (const before of BEFORE) yield before + WHOLE
  for (let end = 1; end < WHOLE.length; end++) yield WHOLE.slice(0, end)
}

function* framings(first: string): Generator<string> {
  for (const lengths of LENGTHS) {
    for (const encodings of ENCODINGS) {
      const lines = lengths.map((one) => `Content-Length: ${one}\r\n`)
      lines.push(...encodings.map((one) => `Transfer-Encoding: ${one}\r\n`))
      yield `${first}\r\n${HOST}${lines.join('')}\r\n`
    }
  }
}

function* lookAlikes(): Generator<string> {
  for (const line of [...alike('Content-Length', '15'), ...alike('Transfer-Encoding', 'chunked')]) {
    for (const other of ['', LENGTH, CHUNKED]) {
      yield `POST / HTTP/1.1\r\n${HOST}${line}\r\n${other}\r\n`
      yield `POST / HTTP/1.1\r\n${HOST}${other}${line}\r\n\r\n`
      yield `POST / HTTP/1.1\r\n${line}\r\n${HOST}${other}\r\n`
    }
  }
  for (const line of alike('Host', 'example.com')) {
    yield `GET / HTTP/1.1\r\n${line}\r\n\r\n`
    yield `GET / HTTP/1.1\r\nHost: other.example\r\n${line}\r\n\r\n`
  }
}

function* startLines(): Generator<string> {
  for (const first of FIRSTS) {
    for (const hosts of HOSTS) yield `${first}\r\n${hosts.map((host) => `Host: ${host}\r\n`).join('')}X-A: b\r\n\r\n`
  }
  for (const target of TARGETS) {
    for (const method of ['GET', 'OPTIONS', 'CONNECT']) {
      for (const version of ['1.0', '1.1']) yield `${method} ${target} HTTP/${version}\r\n${HOST}\r\n`
    }
  }
  for (const method of METHODS) {
    yield `${method} / HTTP/1.1\r\n${HOST}\r\n`
    yield `${method} * HTTP/2.0\r\n\r\n`
    yield `${method} / HTTP/1.1\r\n${HOST}${LENGTH}\r\n`
  }
  yield 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
  for (const version of VERSIONS) {
    yield `GET / ${version}\r\n${HOST}\r\n`
    yield `POST / ${version}\r\n${HOST}${CHUNKED}\r\n`
  }
}

function* heads(): Generator<string> {
  yield* strayBytes()
  yield* otherSeparators()
  for (const method of ['GET', 'POST']) {
    for (const version of ['1.1', '1.0']) yield* framings(`${method} / HTTP/${version}`)
  }
  yield* lookAlikes()
  yield* startLines()
}

/** Each head with the bytes after it. */
export function buildCorpus(): string[] {
  const streams = [...heads()].map((head) => {
    // Nothing follows a head that is cut off.
    if (!/\n\r?\n/.test(head)) return head
    return /length|encoding/i.test(head) ? head + BODY + SECOND : head + SECOND
  })
  return [...new Set(streams)]
}
