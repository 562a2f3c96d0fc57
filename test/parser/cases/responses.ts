import { accepted, type Case, refused, response } from './case.ts'

/** The syntax of a response: RFC 9112 2, 4 and 5. Responses have no rules on Host and Connection. */
export const RESPONSES: Case[] = [
  response('a minimal response', 'HTTP/1.1 200 OK\r\n\r\n', accepted('HTTP/1.1 200 OK')),
  response('HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n▸body', accepted('HTTP/1.0 200 OK')),
  response('no reason phrase, with its space', 'HTTP/1.1 200 \r\n\r\n', accepted('HTTP/1.1 200 ')),
  response('no reason phrase, without its space', 'HTTP/1.1 200\r\n\r\n', accepted('HTTP/1.1 200')),
  response(
    'a reason phrase of several words, with tabs and obs-text',
    'HTTP/1.1 404 Not\tto be \xe9 found! \r\n\r\n',
    accepted('HTTP/1.1 404 Not\tto be \xe9 found! '),
  ),
  response(
    'the smallest status',
    'HTTP/1.1 100 Continue\r\n\r\n▸HTTP/1.1 200 OK\r\n\r\n',
    accepted('HTTP/1.1 100 Continue'),
  ),
  response('the largest status', 'HTTP/1.1 999 Hm\r\n\r\n', accepted('HTTP/1.1 999 Hm')),
  response(
    'several Set-Cookie fields',
    'HTTP/1.1 302 Found\r\nSet-Cookie: a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT\r\nset-cookie: b=2\r\nLocation: /\r\n\r\n▸x',
    accepted(
      'HTTP/1.1 302 Found',
      ['Set-Cookie', 'a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT'],
      ['set-cookie', 'b=2'],
      ['Location', '/'],
    ),
  ),
  response(
    'a 101 with the first frame after it',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n▸\x81\x00\r\n',
    accepted('HTTP/1.1 101 Switching Protocols', ['Upgrade', 'websocket'], ['Connection', 'Upgrade']),
  ),
  response(
    'Host and Connection that are invalid in a request',
    'HTTP/1.1 200 OK\r\nHost: a b\r\nHost:\r\nConnection: a b, Cookie\r\n\r\n',
    accepted('HTTP/1.1 200 OK', ['Host', 'a b'], ['Host', ''], ['Connection', 'a b, Cookie']),
  ),
  response('an empty value', 'HTTP/1.1 200 OK\r\nA:\r\n\r\n', accepted('HTTP/1.1 200 OK', ['A', ''])),

  response('an empty line before the status line', '▸\r\nHTTP/1.1 200 OK\r\n\r\n', refused('BAD_VERSION', 'Version')),
  response('a version in lower case', '▸http/1.1 200 OK\r\n\r\n', refused('BAD_VERSION', 'Version')),
  response('a request', '▸GET / HTTP/1.1\r\nHost: a\r\n\r\n', refused('BAD_VERSION', 'Version')),
  response('a body without a head', '▸<html>', refused('BAD_VERSION', 'Version')),
  response('a stray LF first', '▸\nHTTP/1.1 200 OK\r\n\r\n', refused('BARE_LF', 'Version')),
  response('a NUL first', '▸\0HTTP/1.1 200 OK\r\n\r\n', refused('NUL', 'Version')),
  response('a version of another protocol', '▸ICY 200 OK\r\n\r\n', refused('BAD_VERSION', 'Version')),
  response('a tab after the version', 'HTTP/1.1▸\t200 OK\r\n\r\n', refused('BAD_VERSION', 'VersionEnd')),
  response('a minor version of two digits', 'HTTP/1.1▸0 200 OK\r\n\r\n', refused('BAD_VERSION', 'VersionEnd')),
  response('a version alone', 'HTTP/1.1▸\r\n\r\n', refused('BAD_START_LINE', 'VersionEnd')),
  response('HTTP/2.0', '▸HTTP/2.0 200 OK\r\n\r\n', refused('UNSUPPORTED_VERSION', 'Rules')),
  response('HTTP/1.2', '▸HTTP/1.2 200 OK\r\n\r\n', refused('UNSUPPORTED_VERSION', 'Rules')),
  response('two spaces before the status', 'HTTP/1.1 ▸ 200 OK\r\n\r\n', refused('BAD_STATUS', 'Status')),
  response('no status', 'HTTP/1.1 ▸\r\n\r\n', refused('BAD_STATUS', 'Status')),
  response('a status of two digits', 'HTTP/1.1 20▸ OK\r\n\r\n', refused('BAD_STATUS', 'Status')),
  response('a status of four digits', 'HTTP/1.1 200▸0 OK\r\n\r\n', refused('BAD_STATUS', 'StatusEnd')),
  response('a status below 100', 'HTTP/1.1 ▸099 Low\r\n\r\n', refused('BAD_STATUS', 'Status')),
  response('zeros inside a status', 'HTTP/1.1 500 Oh\r\n\r\n', accepted('HTTP/1.1 500 Oh')),
  response('a sign before the status', 'HTTP/1.1 ▸+20 OK\r\n\r\n', refused('BAD_STATUS', 'Status')),
  response('a letter in the status', 'HTTP/1.1 2▸O0 OK\r\n\r\n', refused('BAD_STATUS', 'Status')),
  response('a tab after the status', 'HTTP/1.1 200▸\tOK\r\n\r\n', refused('BAD_STATUS', 'StatusEnd')),
  response('a NUL in the status', 'HTTP/1.1 2▸\x0000 OK\r\n\r\n', refused('NUL', 'Status')),
  response('a NUL after the status', 'HTTP/1.1 200▸\0\r\n\r\n', refused('NUL', 'StatusEnd')),
  response('an LF after the status', 'HTTP/1.1 200▸\n\n', refused('BARE_LF', 'StatusEnd')),
  response('a control byte in the reason phrase', 'HTTP/1.1 200 O▸\x07K\r\n\r\n', refused('BAD_REASON', 'Reason')),
  response('a DEL in the reason phrase', 'HTTP/1.1 200 ▸\x7f\r\n\r\n', refused('BAD_REASON', 'Reason')),
  response('a NUL in the reason phrase', 'HTTP/1.1 200 O▸\0K\r\n\r\n', refused('NUL', 'Reason')),
  response('an LF-only status line', 'HTTP/1.1 200 OK▸\nA: b\r\n\r\n', refused('BARE_LF', 'Reason')),
  response('a CR-only status line', 'HTTP/1.1 200 OK\r▸A: b\r\n\r\n', refused('BARE_CR', 'StartLineEnd')),
  response('obs-fold', 'HTTP/1.1 200 OK\r\nA: b\r\n▸ c\r\n\r\n', refused('OBS_FOLD', 'FieldStart')),
  response('a space before the colon', 'HTTP/1.1 200 OK\r\nA▸ : b\r\n\r\n', refused('SPACE_BEFORE_COLON', 'FieldName')),
  response('a lone CR in a value', 'HTTP/1.1 200 OK\r\nA: b\r▸c\r\n\r\n', refused('BARE_CR', 'FieldEnd')),
  response('a NUL in a value', 'HTTP/1.1 200 OK\r\nA: b▸\0c\r\n\r\n', refused('NUL', 'FieldValue')),
  response('nothing at all', '', refused('INCOMPLETE', 'Start')),
  response('half a status', 'HTTP/1.1 20', refused('INCOMPLETE', 'Status')),
  response('a status', 'HTTP/1.1 200', refused('INCOMPLETE', 'StatusEnd')),
  response('half a reason phrase', 'HTTP/1.1 200 O', refused('INCOMPLETE', 'Reason')),
  response('a head without its last byte', 'HTTP/1.1 200 OK\r\n\r', refused('INCOMPLETE', 'HeadEnd')),
]

const framed = (lines: string[], version = 'HTTP/1.1') => `${version} 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`

/** RFC 9112 6.1, 6.3: the last coding may be other than chunked. The body then ends when the connection closes. */
export const RESPONSE_FRAMING: Case[] = [
  response('a length', framed(['Content-Length: 5']), accepted('HTTP/1.1 200 OK', ['Content-Length', '5'])),
  response(
    'chunked',
    framed(['Transfer-Encoding: chunked']),
    accepted('HTTP/1.1 200 OK', ['Transfer-Encoding', 'chunked']),
  ),
  response(
    'gzip, alone',
    framed(['Transfer-Encoding: gzip']),
    accepted('HTTP/1.1 200 OK', ['Transfer-Encoding', 'gzip']),
  ),
  response(
    'a length of 0 in a 204',
    'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
    accepted('HTTP/1.1 204 No Content', ['Content-Length', '0']),
  ),
  response(
    'the length of a representation in a 304',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
    accepted('HTTP/1.1 304 Not Modified', ['Content-Length', '5']),
  ),
  ...['abc', '+5', '-5', '5, 5', '5,6', '', '0x5', '9007199254740992'].map((value) =>
    response(`Content-Length: ${value}`, framed([`Content-Length: ▸${value}`]), refused('BAD_CONTENT_LENGTH', 'Rules')),
  ),
  ...['5', '6'].map((value) =>
    response(
      `a length of 5, and one of ${value}`,
      framed(['Content-Length: 5', `▸Content-Length: ${value}`]),
      refused('DUPLICATE_CONTENT_LENGTH', 'Rules'),
    ),
  ),
  response(
    'a length and a coding',
    framed(['Content-Length: 5', 'Transfer-Encoding: ▸gzip']),
    refused('LENGTH_AND_ENCODING', 'Rules'),
  ),
  ...['@,;', 'chunked, chunked', 'chunked, gzip', '', 'chunked;a=b', 'gzip, ,chunked'].map((value) =>
    response(
      `Transfer-Encoding: ${value}`,
      framed([`Transfer-Encoding: ▸${value}`]),
      refused('BAD_TRANSFER_ENCODING', 'Rules'),
    ),
  ),
  response(
    'chunked in HTTP/1.0',
    framed(['Transfer-Encoding: ▸chunked'], 'HTTP/1.0'),
    refused('ENCODING_IN_HTTP_1_0', 'Rules'),
  ),
]
