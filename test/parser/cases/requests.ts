import { accepted, type Case, refused, request, rule } from './case.ts'

const EVERY_TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
/** 0x80 to 0xFF. */
const OBS_TEXT = Array.from({ length: 128 }, (_, i) => String.fromCharCode(0x80 + i)).join('')

/** The syntax of a request: RFC 9112 2, 3 and 5. */
export const REQUESTS: Case[] = [
  request('a minimal request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', accepted('GET / HTTP/1.1', ['Host', 'a'])),
  request('HTTP/1.0 needs no Host', 'GET / HTTP/1.0\r\n\r\n', accepted('GET / HTTP/1.0')),
  request('HTTP/1.0 may have a Host', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n', accepted('GET / HTTP/1.0', ['Host', 'a'])),
  request(
    'fields keep their order, case and duplicates',
    'POST /x HTTP/1.1\r\nHOST: a\r\nb: 1\r\nB: 2\r\nA: 3\r\nb: 1\r\n\r\n',
    accepted('POST /x HTTP/1.1', ['HOST', 'a'], ['b', '1'], ['B', '2'], ['A', '3'], ['b', '1']),
  ),
  request(
    'a body after the head is the rest',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n▸hello',
    accepted('POST / HTTP/1.1', ['Host', 'a'], ['Content-Length', '5']),
  ),
  request(
    'a pipelined request is the rest, malformed or not',
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n▸GET /2\n\0\r\n\r\n',
    accepted('GET / HTTP/1.1', ['Host', 'a']),
  ),
  request(
    'an empty line after the head is the rest',
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n▸\r\n',
    accepted('GET / HTTP/1.1', ['Host', 'a']),
  ),

  // RFC 9112 2.2
  request(
    'one empty line before the request line is dropped',
    '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n▸rest',
    accepted('GET / HTTP/1.1', ['Host', 'a']),
  ),
  request('two empty lines', '\r\n▸\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', refused('EMPTY_LINES', 'Method')),
  request('three empty lines', '\r\n▸\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', refused('EMPTY_LINES', 'Method')),
  request('an empty line that is LF only', '▸\nGET / HTTP/1.1\r\n\r\n', refused('BARE_LF', 'Method')),
  request('an empty line that is CR only', '\r▸GET / HTTP/1.1\r\n\r\n', refused('BARE_CR', 'EmptyLine')),
  request('two CRs first', '\r▸\r\nGET / HTTP/1.1\r\n\r\n', refused('BARE_CR', 'EmptyLine')),
  request('a NUL in the empty line', '\r▸\0\nGET / HTTP/1.1\r\n\r\n', refused('NUL', 'EmptyLine')),
  request('an empty line whose LF is doubled', '\r\n▸\nGET / HTTP/1.1\r\n\r\n', refused('BARE_LF', 'Method')),
  request(
    'an error after an empty line',
    '\r\nGET / HTTP/1.1\r\n▸: a\r\n\r\n',
    refused('EMPTY_FIELD_NAME', 'FieldStart'),
  ),

  // The method
  request('every tchar in the method', `${EVERY_TCHAR} / HTTP/1.0\r\n\r\n`, accepted(`${EVERY_TCHAR} / HTTP/1.0`)),
  request('no method', '▸ / HTTP/1.1\r\n\r\n', refused('BAD_METHOD', 'Method')),
  request('a method that is not a token', 'GE▸(T / HTTP/1.1\r\n\r\n', refused('BAD_METHOD', 'Method')),
  request('a tab after the method', 'GET▸\t/ HTTP/1.1\r\n\r\n', refused('BAD_METHOD', 'Method')),
  request('obs-text in the method', 'G▸\xc9T / HTTP/1.1\r\n\r\n', refused('BAD_METHOD', 'Method')),
  request('a NUL in the method', 'GE▸\0T / HTTP/1.1\r\n\r\n', refused('NUL', 'Method')),
  request('a TLS client hello', '▸\x16\x03\x01\x02\x00\x01', refused('BAD_METHOD', 'Method')),
  request('a method alone', 'GET▸\r\n\r\n', refused('BAD_START_LINE', 'Method')),
  request('a method alone, LF only', 'GET▸\n\n', refused('BARE_LF', 'Method')),

  // The target
  request(
    'origin-form with a query and bytes that RFC 3986 forbids',
    'GET /a//b?c=%20&d={e}|"f"\\^`<> HTTP/1.0\r\n\r\n',
    accepted('GET /a//b?c=%20&d={e}|"f"\\^`<> HTTP/1.0'),
  ),
  request('obs-text in the target', `GET /${OBS_TEXT} HTTP/1.0\r\n\r\n`, accepted(`GET /${OBS_TEXT} HTTP/1.0`)),
  request('no target', 'GET ▸ HTTP/1.1\r\n\r\n', refused('BAD_TARGET', 'Target')),
  request('two spaces before the target', 'GET ▸ / HTTP/1.1\r\n\r\n', refused('BAD_TARGET', 'Target')),
  request('a space in the target', 'GET /a ▸b HTTP/1.1\r\n\r\n', refused('BAD_VERSION', 'Version')),
  request('two spaces after the target', 'GET / ▸ HTTP/1.1\r\n\r\n', refused('BAD_VERSION', 'Version')),
  request('a tab in the target', 'GET /▸\ta HTTP/1.1\r\n\r\n', refused('BAD_TARGET', 'Target')),
  request('a fragment in the target', 'GET /▸#a HTTP/1.1\r\n\r\n', refused('BAD_TARGET', 'Target')),
  request('a DEL in the target', 'GET /▸\x7f HTTP/1.1\r\n\r\n', refused('BAD_TARGET', 'Target')),
  request('a control byte in the target', 'GET /▸\x01 HTTP/1.1\r\n\r\n', refused('BAD_TARGET', 'Target')),
  request('a NUL in the target', 'GET /▸\0 HTTP/1.1\r\n\r\n', refused('NUL', 'Target')),
  request('HTTP/0.9', 'GET /▸\r\n', refused('BAD_START_LINE', 'Target')),
  request('HTTP/0.9, LF only', 'GET /▸\n', refused('BARE_LF', 'Target')),
  request('a method and a space', 'GET ▸\r\n\r\n', refused('BAD_START_LINE', 'Target')),

  // The version: RFC 9112 2.3
  request('a version in lower case', 'GET / ▸http/1.1\r\nHost: a\r\n\r\n', refused('BAD_VERSION', 'Version')),
  request('another protocol', 'GET / ▸RTSP/1.0\r\n\r\n', refused('BAD_VERSION', 'Version')),
  request('a version without its dot', 'GET / HTTP/1▸1\r\nHost: a\r\n\r\n', refused('BAD_VERSION', 'Version')),
  request('a version cut short', 'GET / HTTP/1▸\r\nHost: a\r\n\r\n', refused('BAD_VERSION', 'Version')),
  request('a version of two digits', 'GET / HTTP/1▸0.1\r\nHost: a\r\n\r\n', refused('BAD_VERSION', 'Version')),
  request('a minor version of two digits', 'GET / HTTP/1.1▸1\r\nHost: a\r\n\r\n', refused('BAD_VERSION', 'VersionEnd')),
  request('a space after the version', 'GET / HTTP/1.1▸ \r\nHost: a\r\n\r\n', refused('BAD_VERSION', 'VersionEnd')),
  request('a NUL in the version', 'GET / HTT▸\0/1.1\r\nHost: a\r\n\r\n', refused('NUL', 'Version')),
  request('a NUL after the version', 'GET / HTTP/1.1▸\0\r\nHost: a\r\n\r\n', refused('NUL', 'VersionEnd')),
  request('an LF in the version', 'GET / HTTP▸\n', refused('BARE_LF', 'Version')),
  request('HTTP/1.2', 'GET / ▸HTTP/1.2\r\nHost: a\r\n\r\n', refused('UNSUPPORTED_VERSION', 'Rules')),
  request('HTTP/0.9 written out', 'GET / ▸HTTP/0.9\r\nHost: a\r\n\r\n', refused('UNSUPPORTED_VERSION', 'Rules')),
  request(
    'HTTP/2.0 without the preface',
    'GET / ▸HTTP/2.0\r\nHost: a\r\n\r\n',
    refused('UNSUPPORTED_VERSION', 'Rules'),
  ),
  request('HTTP/3.0', 'GET / ▸HTTP/3.0\r\n\r\n', refused('UNSUPPORTED_VERSION', 'Rules')),

  // The preface of HTTP/2: RFC 9113 3.4
  request('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n▸\0\0', accepted('PRI * HTTP/2.0')),
  request('a preface after an empty line', '\r\n▸PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', rule('BAD_PREFACE')),
  request(
    'the first 18 bytes of a preface, then a request',
    'PRI * HTTP/2.0\r\n\r\n▸GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    refused('BAD_PREFACE', 'Preface'),
  ),
  request('a preface with another last byte', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r▸X', refused('BAD_PREFACE', 'Preface')),
  request('a preface that is cut off', 'PRI * HTTP/2.0\r\n\r\nSM\r\n▸', refused('INCOMPLETE', 'Preface')),
  request('the first 18 bytes of a preface', 'PRI * HTTP/2.0\r\n\r\n▸', refused('INCOMPLETE', 'Preface')),
  request(
    'a request as long as the first part of the preface',
    'GET /a HTTP/1.0\r\n\r\n▸SM\r\n\r\n',
    accepted('GET /a HTTP/1.0'),
  ),
  request('PRI with a field', '▸PRI * HTTP/2.0\r\nHost: a\r\n\r\n', refused('BAD_PREFACE', 'Rules')),
  request('PRI with a target', '▸PRI / HTTP/2.0\r\n\r\n', refused('BAD_PREFACE', 'Rules')),
  request('PRI in HTTP/2.1', '▸PRI * HTTP/2.1\r\n\r\n', refused('BAD_PREFACE', 'Rules')),
  request('PRI in HTTP/1.1', '▸PRI * HTTP/1.1\r\nHost: a\r\n\r\n', refused('BAD_PREFACE', 'Rules')),
  request('the method pri in lower case', 'pri / HTTP/1.0\r\n\r\n', accepted('pri / HTTP/1.0')),

  // Line ends: RFC 9112 2.2
  request('an LF-only end of the request line', 'GET / HTTP/1.1▸\nHost: a\r\n\r\n', refused('BARE_LF', 'VersionEnd')),
  request('a CR-only end of the request line', 'GET / HTTP/1.1\r▸Host: a\r\n\r\n', refused('BARE_CR', 'StartLineEnd')),
  request('two CRs after the request line', 'GET / HTTP/1.1\r▸\r\nHost: a\r\n\r\n', refused('BARE_CR', 'StartLineEnd')),
  request('an LF-only end of a field', 'GET / HTTP/1.1\r\nHost: a▸\nB: c\r\n\r\n', refused('BARE_LF', 'FieldValue')),
  request('an LF-only end of an empty field', 'GET / HTTP/1.1\r\nB:▸\n\r\n', refused('BARE_LF', 'FieldGap')),
  request('a CR-only end of a field', 'GET / HTTP/1.1\r\nHost: a\r▸B: c\r\n\r\n', refused('BARE_CR', 'FieldEnd')),
  request('a lone CR in a value', 'GET / HTTP/1.1\r\nHost: a\r▸ b\r\n\r\n', refused('BARE_CR', 'FieldEnd')),
  request('a NUL after a CR', 'GET / HTTP/1.1\r\nHost: a\r▸\0\n\r\n', refused('NUL', 'FieldEnd')),
  request('an LF-only empty line', 'GET / HTTP/1.1\r\nHost: a\r\n▸\n', refused('BARE_LF', 'FieldStart')),
  request('a CR-only empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\r▸GET', refused('BARE_CR', 'HeadEnd')),
  request('two CRs in the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\r▸\r\n', refused('BARE_CR', 'HeadEnd')),
  request('all LF only', 'GET / HTTP/1.1▸\nHost: a\n\n', refused('BARE_LF', 'VersionEnd')),

  // Field names: RFC 9112 5, 5.1, 5.2
  request('a name of one byte', 'GET / HTTP/1.0\r\na:b\r\n\r\n', accepted('GET / HTTP/1.0', ['a', 'b'])),
  request(
    'every tchar in a name',
    `GET / HTTP/1.0\r\n${EVERY_TCHAR}: x\r\n\r\n`,
    accepted('GET / HTTP/1.0', [EVERY_TCHAR, 'x']),
  ),
  request(
    'names of object properties',
    'GET / HTTP/1.0\r\n__proto__: 1\r\nconstructor: 2\r\nget: 3\r\nset: 4\r\ntoString: 5\r\nthen: 6\r\n\r\n',
    accepted(
      'GET / HTTP/1.0',
      ['__proto__', '1'],
      ['constructor', '2'],
      ['get', '3'],
      ['set', '4'],
      ['toString', '5'],
      ['then', '6'],
    ),
  ),
  request(
    'a space before the colon',
    'GET / HTTP/1.1\r\nHost▸ : a\r\n\r\n',
    refused('SPACE_BEFORE_COLON', 'FieldName'),
  ),
  request('a tab before the colon', 'GET / HTTP/1.1\r\nHost▸\t: a\r\n\r\n', refused('SPACE_BEFORE_COLON', 'FieldName')),
  request('a space in a name', 'GET / HTTP/1.1\r\nHo▸ st: a\r\n\r\n', refused('SPACE_BEFORE_COLON', 'FieldName')),
  request('obs-fold with a space', 'GET / HTTP/1.1\r\nHost: a\r\n▸ b\r\n\r\n', refused('OBS_FOLD', 'FieldStart')),
  request('obs-fold with a tab', 'GET / HTTP/1.1\r\nHost: a\r\n▸\tb\r\n\r\n', refused('OBS_FOLD', 'FieldStart')),
  request(
    'white space before the first field',
    'GET / HTTP/1.1\r\n▸ Host: a\r\n\r\n',
    refused('OBS_FOLD', 'FieldStart'),
  ),
  request('a line of white space', 'GET / HTTP/1.1\r\nHost: a\r\n▸ \r\n\r\n', refused('OBS_FOLD', 'FieldStart')),
  request(
    'a line that starts with a colon',
    'GET / HTTP/1.1\r\n▸: a\r\n\r\n',
    refused('EMPTY_FIELD_NAME', 'FieldStart'),
  ),
  request(
    'a line that is a colon',
    'GET / HTTP/1.1\r\nHost: a\r\n▸:\r\n\r\n',
    refused('EMPTY_FIELD_NAME', 'FieldStart'),
  ),
  request('a line without a colon', 'GET / HTTP/1.1\r\nHost▸\r\n\r\n', refused('MISSING_COLON', 'FieldName')),
  request('a line without a colon, LF only', 'GET / HTTP/1.1\r\nHost▸\n\r\n', refused('BARE_LF', 'FieldName')),
  ...[...'"(),/;<=>?@[\\]{}\x01\x1f\x7f\x80\xff'].flatMap((byte) => [
    request(
      `byte 0x${byte.charCodeAt(0).toString(16)} in a name`,
      `GET / HTTP/1.1\r\nHo▸${byte}st: a\r\n\r\n`,
      refused('BAD_FIELD_NAME', 'FieldName'),
    ),
    request(
      `byte 0x${byte.charCodeAt(0).toString(16)} first in a name`,
      `GET / HTTP/1.1\r\n▸${byte}Host: a\r\n\r\n`,
      refused('BAD_FIELD_NAME', 'FieldStart'),
    ),
  ]),
  request('a NUL in a name', 'GET / HTTP/1.1\r\nHo▸\0st: a\r\n\r\n', refused('NUL', 'FieldName')),
  request('a NUL first in a name', 'GET / HTTP/1.1\r\n▸\0Host: a\r\n\r\n', refused('NUL', 'FieldStart')),

  // Field values: RFC 9110 5.5
  request('an empty value', 'GET / HTTP/1.0\r\na:\r\nb: \t \r\n\r\n', accepted('GET / HTTP/1.0', ['a', ''], ['b', ''])),
  request(
    'white space around a value, and inside it',
    'GET / HTTP/1.0\r\na:b\r\nc: \t d \te\t \t\r\nf:\tg\t\r\nh: i  \r\n\r\n',
    accepted('GET / HTTP/1.0', ['a', 'b'], ['c', 'd \te'], ['f', 'g'], ['h', 'i']),
  ),
  request(
    'colons, commas and quotes in a value',
    'GET / HTTP/1.0\r\na: b: "c, d": e:\r\nf:::\r\n\r\n',
    accepted('GET / HTTP/1.0', ['a', 'b: "c, d": e:'], ['f', '::']),
  ),
  request(
    'obs-text in a value',
    `GET / HTTP/1.0\r\na: ${OBS_TEXT}\r\n\r\n`,
    accepted('GET / HTTP/1.0', ['a', OBS_TEXT]),
  ),
  request(
    'a value that is one byte of obs-text',
    'GET / HTTP/1.0\r\na:\xa0\r\n\r\n',
    accepted('GET / HTTP/1.0', ['a', '\xa0']),
  ),
  request('a NUL in a value', 'GET / HTTP/1.1\r\nHost: a▸\0b\r\n\r\n', refused('NUL', 'FieldValue')),
  request('a NUL first in a value', 'GET / HTTP/1.1\r\nHost: ▸\0b\r\n\r\n', refused('NUL', 'FieldGap')),
  request(
    'a control byte in a value',
    'GET / HTTP/1.1\r\nHost: a▸\x0b\r\n\r\n',
    refused('BAD_FIELD_VALUE', 'FieldValue'),
  ),
  request(
    'a control byte first in a value',
    'GET / HTTP/1.1\r\nA:▸\x1b\r\n\r\n',
    refused('BAD_FIELD_VALUE', 'FieldGap'),
  ),
  request('a DEL in a value', 'GET / HTTP/1.1\r\nA: b \t▸\x7f\r\n\r\n', refused('BAD_FIELD_VALUE', 'FieldValue')),

  // The end of the stream
  request('nothing at all', '', refused('INCOMPLETE', 'Start')),
  request('half an empty line', '\r', refused('INCOMPLETE', 'EmptyLine')),
  request('only an empty line', '\r\n', refused('INCOMPLETE', 'Method')),
  request('half a method', 'GE', refused('INCOMPLETE', 'Method')),
  request('half a target', 'GET /a', refused('INCOMPLETE', 'Target')),
  request('half a version', 'GET /a HTTP/1', refused('INCOMPLETE', 'Version')),
  request('a request line without its line end', 'GET /a HTTP/1.1', refused('INCOMPLETE', 'VersionEnd')),
  request('half of the line end of the request line', 'GET /a HTTP/1.1\r', refused('INCOMPLETE', 'StartLineEnd')),
  request('a request line', 'GET /a HTTP/1.1\r\n', refused('INCOMPLETE', 'FieldStart')),
  request('half a name', 'GET /a HTTP/1.1\r\nHo', refused('INCOMPLETE', 'FieldName')),
  request('a name and white space', 'GET /a HTTP/1.1\r\nHost: ', refused('INCOMPLETE', 'FieldGap')),
  request('half a value', 'GET /a HTTP/1.1\r\nHost: a', refused('INCOMPLETE', 'FieldValue')),
  request('half of the line end of a field', 'GET /a HTTP/1.1\r\nHost: a\r', refused('INCOMPLETE', 'FieldEnd')),
  request('a head without its last byte', 'GET /a HTTP/1.1\r\nHost: a\r\n\r', refused('INCOMPLETE', 'HeadEnd')),
  request(
    'a head without its last byte, after an empty line',
    '\r\nGET / HTTP/1.0\r\n\r',
    refused('INCOMPLETE', 'HeadEnd'),
  ),
]
