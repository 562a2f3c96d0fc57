/** Responses that two readers may frame in different ways. All strings are Latin-1. */

import { fillChunks, RIGHT_CHUNKS, WRONG_CHUNKS, WRONG_ENDS, WRONG_TRAILERS } from './tricks.ts'

/** A second response, which answers nothing. */
const HIDDEN = 'HTTP/1.1 200 OK\r\nX-Path: /hidden\r\nContent-Length: 6\r\n\r\nhidden'

export interface ResponseTrick {
  /** Writes the response. `path` is the field that names the request. */
  write(path: string): string
  /** The body that a GET must get, if the response is valid. */
  readonly body?: string
  /** The backend ends its connection after it. */
  readonly ends?: boolean
}

const response =
  (fields: string, body = '', status = '200 OK', version = 'HTTP/1.1') =>
  (path: string) =>
    `${version} ${status}\r\n${path}${fields}\r\n${body}`
const right = (fields: string, bytes: string, body = bytes, status?: string): ResponseTrick => ({
  write: response(fields, bytes, status),
  body,
})
const wrong = (fields: string, bytes = HIDDEN, status?: string, version?: string): ResponseTrick => ({
  write: response(fields, bytes, status, version),
})
const ending = (trick: ResponseTrick): ResponseTrick => ({ ...trick, ends: true })

const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const FIVE = 'Content-Length: 5\r\n'
const PLAIN: ResponseTrick = right(FIVE, 'hello')

const LENGTHS = [
  '+5',
  '-5',
  '0x5',
  '5, 5',
  '5,5',
  '5, 6',
  '5;',
  '5.0',
  ' 5',
  '5 ',
  '',
  '"5"',
  '5\x0b',
  '5\0',
  '05',
  '1e1',
  '18446744073709551621',
]
const CODINGS = [
  'chunked, chunked',
  'xchunked',
  'chunked;q=1',
  'gzip, chunked',
  'chunked, gzip',
  'identity',
  'chunked\x0b',
  '"chunked"',
  ',chunked',
  '',
  'Chunked',
]
const LINES = [
  `${FIVE}${FIVE}`,
  `${FIVE}Content-Length: 0\r\n`,
  `Content-Length: 0\r\n${FIVE}`,
  `${FIVE}${CHUNKED}`,
  `${CHUNKED}${FIVE}`,
  `${CHUNKED}${CHUNKED}`,
  'Content-Length : 5\r\n',
  'Content-Length:\r\n 5\r\n',
  'Transfer-Encoding:\r\n chunked\r\n',
  'X: y\r\n Content-Length: 5\r\n',
  'X: y\nContent-Length: 5\r\n',
  'X: y\rContent-Length: 5\r\n',
  'Content-Length\0: 5\r\n',
  'Content_Length: 5\r\n',
  `Connection: Content-Length\r\n${FIVE}`,
]
const FIRST_LINES: [status: string, version?: string][] = [
  ...['200', '200 ', '200OK', '2000 OK', '20 OK', '0200 OK', ' 200 OK', '200\tOK', '099 OK', '999 OK', '200 O\0K'].map(
    (status): [string] => [status],
  ),
  ...['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2', 'http/1.1', 'HTTP/1.1 ', '\r\nHTTP/1.1', 'ICY'].map(
    (version): [string, string] => ['200 OK', version],
  ),
]
const FRAMINGS = ['', FIVE, CHUNKED, 'Connection: Upgrade\r\nUpgrade: foo\r\n']
const BARE = ['204 No Content', '304 Not Modified', '101 Switching Protocols']
const INTERIM = ['100 Continue', '103 Early Hints', '199 Odd']

export const RESPONSE_TRICKS: readonly ResponseTrick[] = [
  PLAIN,
  right('Content-Length: 0\r\n', ''),
  right(CHUNKED, '5\r\nhello\r\n0\r\n\r\n', 'hello'),
  right('', '', '', '204 No Content'),
  right(FIVE, '', '', '304 Not Modified'),
  right(CHUNKED, '', '', '304 Not Modified'),
  ending(right('', `${HIDDEN}${HIDDEN}`)),
  ending(right('Connection: close\r\n', 'hello')),
  ending(right(`Connection: close\r\n${FIVE}`, 'hello')),
  ending(wrong('', HIDDEN, '200 OK', 'HTTP/1.0')),
  ending(wrong(FIVE, 'he')),
  ending(wrong(CHUNKED, '5\r\nhello\r\n')),
  ...['100 Continue', '103 Early Hints'].map(
    (interim): ResponseTrick => ({
      write: (path) => `HTTP/1.1 ${interim}\r\n${path}\r\nHTTP/1.1 ${interim}\r\nLink: x\r\n\r\n${PLAIN.write(path)}`,
      body: 'hello',
    }),
  ),
  // Bytes behind a whole response.
  wrong(FIVE, `hello${HIDDEN}`),
  wrong(FIVE, `hello\r\n${HIDDEN}`),
  wrong('Content-Length: 0\r\n'),
  wrong(CHUNKED, `0\r\n\r\n${HIDDEN}`),
  wrong(`Connection: close\r\n${FIVE}`, `hello${HIDDEN}`),
  // A body where there is none.
  ...BARE.flatMap((status) =>
    FRAMINGS.flatMap((fields) => [
      ...[wrong(fields, HIDDEN, status), wrong(fields, `hello${HIDDEN}`, status)],
      ...[wrong(fields, `5\r\nhello\r\n0\r\n\r\n${HIDDEN}`, status), ending(wrong(fields, '', status))],
    ]),
  ),
  ...INTERIM.flatMap((status) =>
    FRAMINGS.flatMap((fields) => [
      {
        write: (path: string) => `${response(fields, '', status)('')}${PLAIN.write(path)}${HIDDEN}`,
      },
      {
        write: (path: string) => `${response(fields, 'hello', status)('')}${PLAIN.write(path)}${HIDDEN}`,
        ends: true,
      },
      ending(wrong(fields, '', status)),
    ]),
  ),
  ...LENGTHS.map((length) => ending(wrong(`Content-Length: ${length}\r\n`, `hello${HIDDEN}`))),
  ...CODINGS.map((coding) => ending(wrong(`Transfer-Encoding: ${coding}\r\n`, `5\r\nhello\r\n0\r\n\r\n${HIDDEN}`))),
  ...LINES.map((lines) => ending(wrong(lines, `5\r\nhello\r\n0\r\n\r\n${HIDDEN}`))),
  ...FIRST_LINES.map(([status, version]) => ending(wrong(FIVE, `hello${HIDDEN}`, status, version))),
  ...RIGHT_CHUNKS.map(([bytes, body]) => right(CHUNKED, fillChunks(bytes, HIDDEN), fillChunks(body, HIDDEN))),
  ...[...WRONG_CHUNKS, ...WRONG_ENDS, ...WRONG_TRAILERS].map((bytes) =>
    ending(wrong(CHUNKED, fillChunks(bytes, HIDDEN))),
  ),
]
