import { expect, test } from 'vitest'
import { type BodyFraming, bodyOf, parseHead } from '../../src/parser/index.ts'
import { latin1 } from './feed.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const HEAD = 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n'
const CONNECT = 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'

const none: BodyFraming = { kind: 'none' }
const chunked: BodyFraming = { kind: 'chunked' }
const close: BodyFraming = { kind: 'close' }
const bytes = (length: number): BodyFraming => ({ kind: 'length', length })

test.each<[framing: BodyFraming, start: string, fields: string]>([
  [none, 'GET / HTTP/1.1', ''],
  [none, 'POST / HTTP/1.1', ''],
  [bytes(0), 'POST / HTTP/1.1', 'Content-Length: 0\r\n'],
  [bytes(9007199254740991), 'GET / HTTP/1.1', 'content-length:\t09007199254740991 \r\n'],
  [chunked, 'POST / HTTP/1.1', 'Transfer-Encoding: chunked\r\n'],
  [chunked, 'GET / HTTP/1.1', 'Transfer-Encoding: gzip\r\nTRANSFER-encoding: CHUNKED\r\n'],
])('bodyOf a request: %j for %s %j', (framing, start, fields) => {
  expect(bodyOf(parseHead(latin1(`${start}\r\nHost: a\r\n${fields}\r\n`), 'request'))).toEqual(framing)
})

test('a CONNECT has no body', () => {
  expect(bodyOf(parseHead(latin1(CONNECT), 'request'))).toEqual(none)
})

test.each<[framing: BodyFraming, request: string, status: number, fields: string]>([
  [close, GET, 200, ''],
  [bytes(5), GET, 200, 'Content-Length: 5\r\n'],
  [chunked, GET, 200, 'Transfer-Encoding: gzip, chunked\r\n'],
  [close, GET, 200, 'Transfer-Encoding: gzip\r\n'],
  [none, HEAD, 200, 'Content-Length: 5\r\n'],
  [none, HEAD, 200, 'Transfer-Encoding: chunked\r\n'],
  [none, GET, 100, ''],
  [none, GET, 101, ''],
  [none, GET, 103, ''],
  [none, GET, 204, ''],
  [none, GET, 304, 'Content-Length: 5\r\n'],
  [none, CONNECT, 200, 'Content-Length: 5\r\n'],
  [none, CONNECT, 299, ''],
  [bytes(5), CONNECT, 407, 'Content-Length: 5\r\n'],
  [close, CONNECT, 502, ''],
])('bodyOf a response: %j for %j %i %j', (framing, request, status, fields) => {
  const response = parseHead(latin1(`HTTP/1.1 ${status} X\r\n${fields}\r\n`), 'response')
  expect(bodyOf(response, parseHead(latin1(request), 'request'))).toEqual(framing)
})

test('treats a response without its request as the answer to a GET', () => {
  const response = parseHead(latin1('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'), 'response')
  expect(bodyOf(response)).toEqual(bytes(5))
})

test('throws on an invalid Content-Length that a hook set', () => {
  const head = parseHead(latin1(GET), 'request').set('Content-Length', '+5')
  const message = "Content-Length: expected one decimal number below 2^53, got '+5'"
  expect(() => bodyOf(head)).toThrow(new RangeError(message))
})
