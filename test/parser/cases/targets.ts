import type { HeadErrorCode } from '../../../src/parser/index.ts'
import { accepted, type Case, request, rule, withFields } from './case.ts'

const absolute = (target: string, host: string, code?: HeadErrorCode) =>
  withFields(`${target} with Host: ${host}`, [`Host: ${host}`], code && rule(code), `GET ${target} HTTP/1.1`)
/** RFC 9112 3.2.2: the target replaces Host. */
const replaced = (target: string, host: string, by: string) => {
  const first = `GET ${target} HTTP/1.1`
  return request(`${target} with Host: ${host}`, `${first}\r\nA: b\r\nhost: ${host}\r\nC:d\r\n\r\n▸body`, {
    ...accepted(first, ['A', 'b'], ['host', by], ['C', 'd']),
    repaired: `${first}\r\nA: b\r\nhost: ${by}\r\nC:d\r\n\r\n`,
  })
}
const connect = (target: string, host: string, code?: HeadErrorCode) =>
  withFields(
    `CONNECT ${target} with Host: ${host}`,
    [`Host: ${host}`],
    code && rule(code),
    `CONNECT ${target} HTTP/1.1`,
  )

/** The four forms of a target: RFC 9112 3.2. */
export const TARGETS: Case[] = [
  absolute('http://a', 'a'),
  absolute('http://a/', 'a'),
  absolute('http://a/b?c', 'a'),
  absolute('http://a?b', 'a'),
  absolute('HTTP://EXAMPLE.com/', 'example.COM'),
  absolute('http://a:80/', 'a'),
  absolute('http://a:/', 'a'),
  absolute('http://a/', 'a:80'),
  absolute('http://a/', 'a:'),
  absolute('http://a:8080/', 'a:8080'),
  absolute('http://a:08080/', 'a:8080'),
  absolute('https://a/', 'a:443'),
  absolute('ws://a/', 'a:80'),
  absolute('wss://a/', 'a:443'),
  absolute('coap+tcp://a/', 'a'),
  absolute('http://[::1]:8080/', '[::1]:8080'),
  absolute('http://a/@b:c', 'a'),
  replaced('http://a/', 'b', 'a'),
  replaced('http://a/', 'a:81', 'a'),
  replaced('http://a:81/', 'a', 'a:81'),
  replaced('https://a/', 'a:80', 'a'),
  replaced('coap://a/', 'a:80', 'a'),
  replaced('http://a/', '', 'a'),
  replaced('http://A.example:?b=c', 'b', 'A.example:'),
  replaced('http://[::1]:81/@b', '[::2]:81', '[::1]:81'),
  absolute('http://a/', '▸a/', 'BAD_HOST'),
  absolute('▸http://user@a/', 'a', 'BAD_TARGET'),
  absolute('▸http://a\\@b/', 'a', 'BAD_TARGET'),
  absolute('▸http:///a', '', 'BAD_TARGET'),
  absolute('▸http://', '', 'BAD_TARGET'),
  absolute('▸http://:80/', '', 'BAD_TARGET'),
  absolute('▸http://a:x/', 'a', 'BAD_TARGET'),
  absolute('▸http://a:65536/', 'a', 'BAD_TARGET'),
  absolute('▸http://[::1/', '[::1]', 'BAD_TARGET'),
  absolute('▸http:/a', 'a', 'BAD_TARGET'),
  absolute('▸http:a', 'a', 'BAD_TARGET'),
  absolute('▸://a/', 'a', 'BAD_TARGET'),
  absolute('▸1http://a/', 'a', 'BAD_TARGET'),
  absolute('▸ht_tp://a/', 'a', 'BAD_TARGET'),
  absolute('▸a/b', 'a', 'BAD_TARGET'),
  absolute('▸a', 'a', 'BAD_TARGET'),
  absolute('▸?a', 'a', 'BAD_TARGET'),
  absolute('▸a:80', 'a', 'BAD_TARGET'),
  absolute('▸*', 'a', 'BAD_TARGET'),
  request('absolute-form in HTTP/1.0 without a Host', 'GET http://a:81/ HTTP/1.0\r\nA: b\r\n\r\n', {
    ...accepted('GET http://a:81/ HTTP/1.0', ['A', 'b'], ['Host', 'a:81']),
    repaired: 'GET http://a:81/ HTTP/1.0\r\nA: b\r\nHost: a:81\r\n\r\n',
  }),
  absolute('http://a/', 'b\r\n▸Host: a', 'DUPLICATE_HOST'),
  request('absolute-form without a Host', 'GET http://a/ HTTP/1.1\r\nA: b\r\n▸\r\n', rule('MISSING_HOST')),
  request('a target without a colon, with :// in a field', 'GET ▸a HTTP/1.1\r\nHost://a\r\n\r\n', rule('BAD_TARGET')),

  request('OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', accepted('OPTIONS * HTTP/1.1', ['Host', 'a'])),
  request('OPTIONS **', 'OPTIONS ▸** HTTP/1.1\r\nHost: a\r\n\r\n', rule('BAD_TARGET')),
  request('options * in lower case', 'options ▸* HTTP/1.1\r\nHost: a\r\n\r\n', rule('BAD_TARGET')),

  connect('a:443', 'a:443'),
  connect('a:443', 'a'),
  connect('A:443', 'a:0443'),
  connect('[::1]:443', '[::1]:443'),
  connect('a:443', 'proxy.example:8080'),
  connect('a:443', '▸a b', 'BAD_HOST'),
  connect('▸a', 'a', 'BAD_TARGET'),
  connect('▸a:', 'a', 'BAD_TARGET'),
  connect('▸:443', 'a', 'BAD_TARGET'),
  connect('▸/', 'a', 'BAD_TARGET'),
  connect('▸*', 'a', 'BAD_TARGET'),
  connect('▸http://a:80/', 'a', 'BAD_TARGET'),
  connect('▸user@a:443', 'a', 'BAD_TARGET'),
]
