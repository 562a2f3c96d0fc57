import { accepted, type Case, refused, request, response } from './case.ts'

/** A request of `length` bytes. */
function requestOf(length: number, mark = length): string {
  const start = 'GET / HTTP/1.1\r\nHost: a\r\nX: '
  const head = `${start}${'x'.repeat(length - start.length - 4)}\r\n\r\n`
  return `${head.slice(0, mark)}▸${head.slice(mark)}`
}

const longField = (length: number): [string, string] => [
  'X',
  'x'.repeat(length - 'GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n'.length),
]
const ofDefaultLength = accepted('GET / HTTP/1.1', ['Host', 'a'], longField(32_768))

const HEAD = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const ACCEPTED = accepted('GET / HTTP/1.1', ['Host', 'a'])

function fields(count: number): [string, string][] {
  return Array.from({ length: count }, (_, i): [string, string] => ['a', String(i)])
}
const lines = (count: number) =>
  fields(count)
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join('')

export const LIMITS: Case[] = [
  request('a head at the default limit', requestOf(32_768), ofDefaultLength),
  request('a head at the default limit, with a rest', `${requestOf(32_768)}rest`, ofDefaultLength),
  request('a head at the default limit, after an empty line', `\r\n${requestOf(32_768)}`, ofDefaultLength),
  request('a head one byte over the default limit', requestOf(32_769, 32_768), refused('HEAD_TOO_LARGE', 'HeadEnd')),
  request('a head at a limit of one', '▸\0', refused('NUL', 'Method'), { maxHeadBytes: 1 }),
  request('a head over a limit of one', 'G▸E', refused('HEAD_TOO_LARGE', 'Method'), { maxHeadBytes: 1 }),
  request('a head at its limit', `${HEAD}▸rest`, ACCEPTED, { maxHeadBytes: HEAD.length }),
  request('a head at its limit, after an empty line', `\r\n${HEAD}▸rest`, ACCEPTED, { maxHeadBytes: HEAD.length }),
  request('a head one byte over its limit', `${HEAD.slice(0, -1)}▸\n`, refused('HEAD_TOO_LARGE', 'HeadEnd'), {
    maxHeadBytes: HEAD.length - 1,
  }),
  request(
    'a head one byte over its limit, after an empty line',
    `\r\n${HEAD.slice(0, -1)}▸\n`,
    refused('HEAD_TOO_LARGE', 'HeadEnd'),
    { maxHeadBytes: HEAD.length - 1 },
  ),
  request('a head over its limit in a value', 'GET / HTTP/1.1\r\nHost: ▸a', refused('HEAD_TOO_LARGE', 'FieldGap'), {
    maxHeadBytes: 22,
  }),
  request('a byte beyond the limit is not scanned', 'GET /▸\0', refused('HEAD_TOO_LARGE', 'Target'), {
    maxHeadBytes: 5,
  }),
  request('an error at the limit comes before HEAD_TOO_LARGE', 'GET /▸\0', refused('NUL', 'Target'), {
    maxHeadBytes: 6,
  }),
  request('a head that ends within its limit', 'GET /', refused('INCOMPLETE', 'Target'), { maxHeadBytes: 5 }),
  request('a method without end', `${'A'.repeat(100)}▸A`, refused('HEAD_TOO_LARGE', 'Method'), { maxHeadBytes: 100 }),
  response('a response over its limit', 'HTTP/1.1 200 ▸OK\r\n\r\n', refused('HEAD_TOO_LARGE', 'Reason'), {
    maxHeadBytes: 13,
  }),

  request('1000 fields', `GET / HTTP/1.0\r\n${lines(1000)}\r\n`, accepted('GET / HTTP/1.0', ...fields(1000))),
  request(
    '1001 fields of 1000',
    `GET / HTTP/1.0\r\n${lines(1000)}▸a:1000\r\n\r\n`,
    refused('TOO_MANY_FIELDS', 'FieldStart'),
  ),
  request('as many fields as the limit', 'GET / HTTP/1.0\r\na:0\r\n\r\n', accepted('GET / HTTP/1.0', ['a', '0']), {
    maxFields: 1,
  }),
  request('one field too many', 'GET / HTTP/1.0\r\na:0\r\n▸b:1\r\n', refused('TOO_MANY_FIELDS', 'FieldStart'), {
    maxFields: 1,
  }),
  request(
    'a malformed line at the limit of fields',
    'GET / HTTP/1.0\r\na:0\r\n▸\nb:1\r\n',
    refused('BARE_LF', 'FieldStart'),
    {
      maxFields: 1,
    },
  ),
  response(
    'a response with a field too many',
    'HTTP/1.1 200\r\nA:\r\nA:\r\n▸A:',
    refused('TOO_MANY_FIELDS', 'FieldStart'),
    {
      maxFields: 2,
    },
  ),
]
