import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ForwardedForm } from '../../../src/cli/config/config.ts'
import { Forwarded } from '../../../src/cli/service/forwarded.ts'
import { parseElements } from '../../../src/cli/service/forwarded-elements.ts'
import { parseHead } from '../../../src/index.ts'
import { normalize } from '../../../src/ip.ts'
import { clientAt } from '../../balancer/support.ts'
import { Backend, connect } from '../../helpers/net.ts'
import { answer, ask, expectNoWarnings, withoutDate } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { startService } from './support.ts'

expectNoWarnings()

function client(remoteAddress: string | undefined, encrypted = false) {
  return { ...clientAt(remoteAddress), encrypted }
}

type Given = [trust: string[], from: ReturnType<typeof client>, ...fields: string[]]

/** The field lines of the head that is sent. */
function writtenAs(form: ForwardedForm, ...[trust, from, ...fields]: Given): string[] {
  const head = parseHead(Buffer.from(['GET / HTTP/1.1', ...fields, '', ''].join('\r\n'), 'latin1'), 'request')
  new Forwarded(trust, form).write(head, from)
  return head.bytes().toString('latin1').split('\r\n').slice(1, -2)
}

const written = (...given: Given) => writtenAs('x', ...given)

const HOST = 'Host: a.test'
const THEIRS = ['X-Forwarded-For: 9.9.9.9', 'x-forwarded-proto: https', 'X-Forwarded-Host: evil.test']

describe('a peer that is not trusted', () => {
  test('gets fields with its address, protocol and host', () => {
    expect(written([], client('1.2.3.4'), HOST)).toEqual([
      HOST,
      'X-Forwarded-For: 1.2.3.4',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: a.test',
      'X-Forwarded-Port: 80',
    ])
  })

  test('has all its own fields replaced, repeated ones and in any case', () => {
    const fields = [HOST, ...THEIRS, 'X-FORWARDED-FOR: 8.8.8.8']
    expect(written(['10.0.0.0/8'], client('1.2.3.4', true), ...fields)).toEqual([
      HOST,
      'X-Forwarded-For: 1.2.3.4',
      'x-forwarded-proto: https',
      'X-Forwarded-Host: a.test',
      'X-Forwarded-Port: 443',
    ])
  })

  test('of a Unix socket gets no address', () => {
    expect(written(['0.0.0.0/0', '::/0'], client(undefined), HOST, ...THEIRS)).toEqual([
      HOST,
      'x-forwarded-proto: http',
      'X-Forwarded-Host: a.test',
      'X-Forwarded-Port: 80',
    ])
  })

  test('without an address does not count as a Unix socket', () => {
    const gone = { ...client(undefined), transport: 'other' as const }
    expect(written(['unix'], gone, HOST, ...THEIRS)).toEqual([
      HOST,
      'x-forwarded-proto: http',
      'X-Forwarded-Host: a.test',
      'X-Forwarded-Port: 80',
    ])
  })

  test('without a Host (HTTP/1.0) has no X-Forwarded-Host', () => {
    const head = parseHead(Buffer.from('GET / HTTP/1.0\r\nX-Forwarded-Host: evil.test\r\n\r\n'), 'request')
    new Forwarded([]).write(head, client('1.2.3.4'))
    expect([...head]).toEqual([
      ['X-Forwarded-For', '1.2.3.4'],
      ['X-Forwarded-Proto', 'http'],
      ['X-Forwarded-Port', '80'],
    ])
  })
})

describe('a peer that is trusted', () => {
  test('keeps its fields, with its address appended', () => {
    expect(written(['1.2.3.4'], client('1.2.3.4'), HOST, ...THEIRS)).toEqual([
      HOST,
      'X-Forwarded-For: 9.9.9.9, 1.2.3.4',
      'x-forwarded-proto: https',
      'X-Forwarded-Host: evil.test',
      'X-Forwarded-Port: 443',
    ])
  })

  test('has several X-Forwarded-For fields merged', () => {
    const fields = [HOST, 'X-Forwarded-For: 9.9.9.9, 8.8.8.8', 'X-Forwarded-For: 7.7.7.7']
    expect(written(['1.2.3.4'], client('1.2.3.4'), ...fields)[1]).toBe(
      'X-Forwarded-For: 9.9.9.9, 8.8.8.8, 7.7.7.7, 1.2.3.4',
    )
  })

  test('without fields, or with empty ones, gets fields with its address, protocol and host', () => {
    const expected = [
      HOST,
      'X-Forwarded-For: 1.2.3.4',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: a.test',
      'X-Forwarded-Port: 80',
    ]
    expect(written(['1.2.3.4'], client('1.2.3.4'), HOST)).toEqual(expected)
    const empty = ['X-Forwarded-For:', 'X-Forwarded-Proto:', 'X-Forwarded-Host:']
    expect(written(['1.2.3.4'], client('1.2.3.4'), HOST, ...empty)).toEqual(expected)
  })

  test('of a Unix socket keeps its fields, with nothing appended', () => {
    expect(written(['unix'], client(undefined), HOST, ...THEIRS)).toEqual([HOST, ...THEIRS, 'X-Forwarded-Port: 443'])
  })
})

const X = 'X-Forwarded'
const INNER = ['10.0.0.0/8']

test.each([
  ['Host: a.test:8080', [], '8080'],
  ['Host: [::1]', [], '80'],
  ['Host: [::1]:81', [], '81'],
  ['Host: a.test:', [], '80'],
  ['Host: a.test:0', [], '80'],
  // Of a trusted peer: its own value, else what its other fields say.
  [HOST, [`${X}-Port: 8443`], '8443'],
  [HOST, [`${X}-Port: 1, 2`], '2'],
  [HOST, [`${X}-Port: x`], '80'],
  [HOST, [`${X}-Port: 70000`], '80'],
  [HOST, [`${X}-Proto: https`], '443'],
  [HOST, [`${X}-Host: b.test:444`, `${X}-Proto: https`], '444'],
])('%s and %j of a trusted peer: X-Forwarded-Port is %s', (host, fields, port) => {
  expect(written(INNER, client('10.0.0.1'), host, ...fields)).toContain(`${X}-Port: ${port}`)
  const untrusted = written([], client('10.0.0.1'), host, ...fields)
  expect(untrusted).toContain(`${X}-Port: ${fields.length > 0 ? '80' : port}`)
})

test('only a trusted peer may send other X-Forwarded fields', () => {
  const others = [
    `${X}: for=6.6.6.6`,
    'Forwarded-For: 6.6.6.6',
    `${X}-Ssl: on`,
    `${X}-Prefix: /x`,
    `${X}-Scheme: https`,
    `${X}-Client-Cert: a`,
  ]
  expect(written([], client('10.0.0.1'), HOST, ...others)).toEqual(written([], client('10.0.0.1'), HOST))
  expect(written(INNER, client('10.0.0.1'), HOST, ...others)).toEqual(expect.arrayContaining(others))
})

test.each([
  // The entries of the client: those left of them may come from the client itself.
  [
    ['9.9.9.9', 'https, http', 'evil.test, b.test'],
    ['http', 'b.test'],
  ],
  [
    ['9.9.9.9, 10.0.0.2', 'https, http', 'b.test, inner'],
    ['https', 'b.test'],
  ],
  [
    ['8.8.8.8, 9.9.9.9, 10.0.0.2', 'https, http, https', 'evil.test, b.test, inner'],
    ['http', 'b.test'],
  ],
  // Proxies that keep what there is.
  [
    ['9.9.9.9, 10.0.0.2', 'https', 'b.test'],
    ['https', 'b.test'],
  ],
  [
    ['9.9.9.9, 10.0.0.2', 'wss', 'b.test'],
    ['https', 'b.test'],
  ],
  // Values that cannot be used.
  [
    ['9.9.9.9', 'https,', 'b.test,'],
    ['http', 'a.test'],
  ],
  [
    ['9.9.9.9', 'ftp', ''],
    ['http', 'a.test'],
  ],
  [
    ['9.9.9.9', 'constructor', ' '],
    ['http', 'a.test'],
  ],
])('lists in step: %j become %j', ([chain, proto, host], [scheme, authority]) => {
  const fields = [`${X}-For: ${chain}`, `${X}-Proto: ${proto}`, `${X}-Host: ${host}`]
  expect(written(INNER, client('10.0.0.1'), HOST, ...fields)).toEqual([
    HOST,
    `${X}-For: ${chain}, 10.0.0.1`,
    `${X}-Proto: ${scheme}`,
    `${X}-Host: ${authority}`,
    `${X}-Port: ${scheme === 'https' ? 443 : 80}`,
  ])
})

describe('Forwarded (RFC 7239)', () => {
  const FORGED = [
    'Forwarded: for=6.6.6.6;proto=https',
    'forwarded: for="[::6]"',
    `${X}-For: 6.6.6.6`,
    'X_Forwarded_For: 6',
  ]

  test.each([
    ['1.2.3.4', false, 'Host: a.test', 'for=1.2.3.4;host=a.test;proto=http'],
    ['1.2.3.4', true, 'Host: a.test:8080', 'for=1.2.3.4;host="a.test:8080";proto=https'],
    ['2001:db8::1', false, 'Host: [::1]:80', 'for="[2001:db8::1]";host="[::1]:80";proto=http'],
    ['::ffff:1.2.3.4', false, 'Host: a', 'for=1.2.3.4;host=a;proto=http'],
    ['fe80::1%eth0', false, 'Host: a', 'for="[fe80::1]";host=a;proto=http'],
    [undefined, false, 'Host: a', 'host=a;proto=http'],
    ['1.2.3.4', false, 'Host:', 'for=1.2.3.4;proto=http'],
    ['1.2.3.4', false, "Host: a!$&'*+~", "for=1.2.3.4;host=a!$&'*+~;proto=http"],
    ['1.2.3.4', false, 'Host: a(,;=)', 'for=1.2.3.4;host="a(,;=)";proto=http'],
  ])('names the peer %s, TLS %s, %s', (address, encrypted, host, expected) => {
    const peer = client(address, encrypted)
    expect(writtenAs('rfc7239', INNER, peer, host, ...FORGED)).toEqual([host, `Forwarded: ${expected}`])
    expect(parseElements(expected)).toHaveLength(1)
  })

  test('replaces or removes the values of a peer that is not trusted, in each form', () => {
    const peer = client('1.2.3.4')
    for (const form of ['x', 'rfc7239', 'both'] as const) {
      const lines = writtenAs(form, INNER, peer, HOST, ...FORGED)
      expect(lines).toHaveLength(form === 'x' ? 5 : form === 'both' ? 6 : 2)
      expect(lines.join()).not.toMatch(/6\.6|::6|for=.*for=|ssl/)
    }
  })

  test('extends the elements of a trusted peer', () => {
    const before = 'for=9.9.9.9;proto=https, for="[::1]:80", for=_hidden; by="a\\"b"'
    const peer = client('10.0.0.1')
    const expected = `Forwarded: ${before}, for=10.0.0.1;host=a.test;proto=http`
    expect(writtenAs('rfc7239', INNER, peer, HOST, `Forwarded: ${before}`)).toEqual([HOST, expected])
    expect(writtenAs('rfc7239', INNER, peer, HOST, ...before.split(', ').map((one) => `Forwarded: ${one}`))).toEqual([
      HOST,
      expected,
    ])
    // The other form of a trusted peer may be what its client sent.
    expect(writtenAs('x', INNER, peer, HOST, `Forwarded: ${before}`)).toEqual(writtenAs('x', INNER, peer, HOST))
    expect(writtenAs('rfc7239', INNER, peer, HOST, `${X}-For: 6.6.6.6`)).toEqual(
      writtenAs('rfc7239', INNER, peer, HOST),
    )
  })

  // With an open quote, the element that is appended would be read as a part of the value.
  test.each([
    ...[
      'for="9.9.9.9',
      'for=9.9.9.9, for="',
      'for="9.9.9.9\\"',
      'for=9.9.9.9;for=8.8.8.8',
      'for',
      'for=',
      '=x',
      'for=a b',
    ],
    ...['for=9.9.9.9 proto=https', 'for="a"b', 'f(r=1', ',', ' ', ''],
  ])('drops malformed elements of a trusted peer: %j', (value) => {
    expect(writtenAs('rfc7239', INNER, client('10.0.0.1'), HOST, `Forwarded: ${value}`)).toEqual([
      HOST,
      'Forwarded: for=10.0.0.1;host=a.test;proto=http',
    ])
  })

  test.each([
    [['for="', 'for=9.9.9.9'], true],
    [['=', 'for=9.9.9.9'], true],
    [['for=1;for=2', 'for=9.9.9.9'], true],
    [['for=", for=9.9.9.9'], true],
    [['for=9.9.9.9', 'for="'], true],
    // Together they would be one quoted value.
    [['for="', '", for=9.9.9.9'], true],
    [['for=8.8.8.8', 'for="[::1]:80"'], false],
    [['', ' , ', 'for=9.9.9.9'], false],
    [[], false],
  ])('lines %j of a trusted peer are refused: %s', async (lines, isRefused) => {
    const fields = lines.map((line) => `Forwarded: ${line}\r\n`).join('')
    const head = parseHead(Buffer.from(`GET / HTTP/1.1\r\n${HOST}\r\n${fields}\r\n`), 'request')
    for (const form of ['rfc7239', 'both'] as const) {
      const answered = new Forwarded(INNER, form).refuse(head, client('10.0.0.1'))
      expect(answered?.status).toBe(isRefused ? 400 : undefined)
      expect(await answered?.text()).toBe(isRefused ? '400 Bad Request: malformed Forwarded\n' : undefined)
      // Those of others are replaced.
      expect(new Forwarded(INNER, form).refuse(head, client('1.2.3.4'))).toBeUndefined()
    }
    // The field is removed.
    expect(new Forwarded(INNER, 'x').refuse(head, client('10.0.0.1'))).toBeUndefined()
  })

  test.each([
    ['', '10.0.0.1', 'http', 'a.test'],
    ['for=9.9.9.9;proto=https;host=b.test', '9.9.9.9', 'https', 'b.test'],
    ['FOR="9.9.9.9:50";Proto=HTTPS', '9.9.9.9', 'https', 'a.test'],
    ['for=8.8.8.8;proto=https, for=9.9.9.9;proto=http', '9.9.9.9', 'http', 'a.test'],
    ['for=9.9.9.9;proto=https;host=b.test, for=10.0.0.2;proto=http;host=inner', '9.9.9.9', 'https', 'b.test'],
    ['for="[2001:db8::1]:80", for=10.0.0.2;proto=https', '2001:db8::1', 'http', 'a.test'],
    ['for=9.9.9.9;proto=https, for=unknown;proto=http', '10.0.0.1', 'http', 'a.test'],
    ['for=9.9.9.9;proto=https, proto=http', '9.9.9.9', 'https', 'a.test'],
    ['proto=https;host=b.test', '10.0.0.1', 'https', 'b.test'],
  ])('of a trusted peer, %j names the client %s, %s, %s', (value, address, scheme, authority) => {
    const forwarded = new Forwarded(INNER, 'rfc7239')
    const head = parseHead(Buffer.from(`GET / HTTP/1.1\r\n${HOST}\r\nForwarded: ${value}\r\n\r\n`), 'request')
    expect(forwarded.clientAddress(head, client('10.0.0.1'))).toBe(address)
    expect(forwarded.origin(head, client('10.0.0.1'))).toEqual({ scheme, authority })
    expect(forwarded.origin(head, client('3.3.3.3'))).toEqual({ scheme: 'http', authority: 'a.test' })
    forwarded.write(head, client('10.0.0.1'))
    expect(forwarded.clientAddress(head, client('10.0.0.1'))).toBe(address)
  })

  test('anything in a quoted value is read back', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ab"\\,;= \t:[]%') })
    fc.assert(
      fc.property(text, text, (one, other) => {
        const quoted = (value: string) => `"${value.replaceAll(/["\\]/g, '\\$&')}"`
        const value = `a=${quoted(one)}; b=1 ,a=${quoted(other)}`
        expect(parseElements(value)?.map((element) => element.get('a'))).toEqual([one, other])
        // What is cut off may not be taken for the whole.
        expect(parseElements(value.slice(0, -1))).toBeUndefined()
      }),
    )
  })

  test('takes time in proportion to the length', () => {
    for (const value of [
      ' '.repeat(1e6),
      'a=1;'.repeat(1e5),
      '"'.repeat(1e6),
      `a="${'\\'.repeat(1e6)}`,
      'a'.repeat(1e6),
    ]) {
      expect(parseElements(value)?.length ?? 0).toBeLessThan(2)
    }
  })
})

test('removes fields with the same CGI name from any peer', () => {
  const theirs = [
    'X_Forwarded_For: 6.6.6.6',
    'x_forwarded-proto: https',
    'X.Forwarded.Host: evil.test',
    'X-Forwarded_Port: 1',
    'x_forwarded_ssl: on',
    'X_Forwarded: 1',
    'forwarded_for: 6.6.6.6',
  ]
  const expected = [
    'X-Forwarded-For: 1.2.3.4',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: a.test',
    'X-Forwarded-Port: 80',
  ]
  for (const trust of [[], ['1.2.3.4']]) {
    expect(written(trust, client('1.2.3.4'), HOST, ...theirs)).toEqual([HOST, ...expected])
  }
})

test('Connection cannot remove a field that a hook set', () => {
  const head = parseHead(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nConnection: X-User, X-A\r\n\r\n'), 'request')
  head.set('X-User', 'bob')
  new Forwarded([]).write(head, client('1.2.3.4'))
  expect(head.bytes().toString('latin1').split('\r\n').slice(2, 4)).toEqual(['Connection: X-A', 'X-User: bob'])
})

const TRUSTED: [trust: string, address: string, isTrusted: boolean][] = [
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['10.0.0.0/8', '::ffff:10.1.2.3', true],
  ['10.0.0.0/8', '::ffff:a01:203', true],
  ['0.0.0.0/0', '1.2.3.4', true],
  ['0.0.0.0/0', '2001:db8::1', false],
  ['::1', '::1', true],
  ['::1', '0:0:0:0:0:0:0:1', true],
  ['2001:db8::/32', '2001:db8:1::1', true],
  ['2001:db8::/32', '2001:db9::1', false],
  ['::/0', '2001:db9::1', true],
  ['::ffff:10.0.0.0/104', '10.1.2.3', true],
  ['::ffff:10.0.0.0/104', '11.1.2.3', false],
  ['::ffff:10.1.2.3', '10.1.2.3', true],
  ['fe80::/10', 'fe80::1%eth0', true],
]

test.each(TRUSTED)('trust %s: %s is trusted: %s', (trust, address, isTrusted) => {
  const head = parseHead(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n'), 'request')
  expect(new Forwarded([trust]).clientAddress(head, client(address))).toBe(isTrusted ? '9.9.9.9' : normalize(address))
})

test.each([
  '',
  'localhost',
  '10.0.0.0/33',
  '::/129',
  '10.0.0.0/',
  '10.0.0/8',
  '/8',
  '1.2.3.4/8/8',
  '::ffff:0.0.0.0/90',
])('throws on trust %j', (trust) => {
  expect(() => new Forwarded(['unix', trust])).toThrow(
    new TypeError(`trust: expected an address, a network as in '10.0.0.0/8', or 'unix', got ${JSON.stringify(trust)}`),
  )
})

const CHAINS: [chain: string[], expected: string][] = [
  [[], '10.0.0.1'],
  [['1.1.1.1'], '1.1.1.1'],
  [['2.2.2.2, 1.1.1.1'], '1.1.1.1'],
  [['2.2.2.2, 1.1.1.1, 10.0.0.7'], '1.1.1.1'],
  [['2.2.2.2, 1.1.1.1', '10.0.0.7,10.0.0.8'], '1.1.1.1'],
  // All are trusted: the farthest one.
  [['10.0.0.5, 10.0.0.6'], '10.0.0.5'],
  [['1.1.1.1:5000'], '1.1.1.1'],
  [['[2001:DB8::0:1]:5000, 10.0.0.7'], '2001:db8::1'],
  [['2001:db8:0::1'], '2001:db8::1'],
  [['::ffff:1.1.1.1'], '1.1.1.1'],
  // An entry that is not an address ends the walk.
  [['1.1.1.1, unknown'], '10.0.0.1'],
  [['1.1.1.1, unknown, 10.0.0.7'], '10.0.0.7'],
  [['1.1.1.1,'], '10.0.0.1'],
  [['999.1.1.1'], '10.0.0.1'],
]

test.each(CHAINS)('with trusted proxies and X-Forwarded-For %j the client is %s', (chain, expected) => {
  const forwarded = new Forwarded(['10.0.0.0/8'])
  const fields = chain.map((value) => `X-Forwarded-For: ${value}\r\n`).join('')
  const head = parseHead(Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`), 'request')
  expect(forwarded.clientAddress(head, client('10.0.0.1'))).toBe(expected)
  expect(forwarded.clientAddress(head, client('3.3.3.3'))).toBe('3.3.3.3')
  forwarded.write(head, client('10.0.0.1'))
  expect(forwarded.clientAddress(head, client('10.0.0.1'))).toBe(expected)
})

test('the client behind a trusted Unix socket is the one it names', () => {
  const head = parseHead(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n'), 'request')
  expect(new Forwarded(['unix']).clientAddress(head, client(undefined))).toBe('1.1.1.1')
  expect(new Forwarded(['10.0.0.0/8']).clientAddress(head, client(undefined))).toBe('')
})

test('an untrusted peer cannot change its address', () => {
  const value = fc.string({ unit: fc.constantFrom(...'0123456789.:,[] abf%/xu'), maxLength: 60 })
  fc.assert(
    fc.property(fc.array(value, { maxLength: 3 }), fc.ipV4(), (values, address) => {
      const forwarded = new Forwarded(['::1', 'unix'])
      const fields = values.map((one) => `X-Forwarded-For: ${one}\r\n`).join('')
      const head = parseHead(Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`), 'request')
      expect(forwarded.clientAddress(head, client(address))).toBe(address)
      // A trusted peer causes no exception either.
      expect(typeof forwarded.clientAddress(head, client('::1'))).toBe('string')
      forwarded.write(head, client(address))
      expect(head.getAll('x-forwarded-for')).toEqual([address])
    }),
  )
})

describe('whatever a client sends', () => {
  const value = fc.string({ unit: fc.constantFrom(...'0123456789.:,;="\\\\[] abfhoprst_%/'), maxLength: 60 })
  const separator = fc.constantFrom('-', '_', '.', '!', '--', '')
  const lookalike = fc
    .tuple(
      fc.constantFrom('X', 'x'),
      separator,
      separator,
      fc.constantFrom('For', 'PROTO', 'host', 'port', 'Ssl', 'Prefix', ''),
    )
    .map(([x, one, other, last]) => `${x}${one}Forwarded${other}${last}`)
  const name = fc.oneof(lookalike, fc.constantFrom('Forwarded', 'forwarded', 'FORWARDED'))
  const fields = fc.array(fc.tuple(name, value), { maxLength: 6 })
  const forms = fc.constantFrom<ForwardedForm[]>('x', 'rfc7239', 'both')
  /** Names that a server could take for a field of ours. */
  const isRelevant = (line: string) => /^(?:forwarded|x[^a-z\d]forwarded[^a-z\d:][^:]+):/i.test(line)

  test('a backend gets the fields of this proxy and no others', () => {
    fc.assert(
      fc.property(fields, forms, (given, form) => {
        const lines = given.map(([one, text]) => `${one}: ${text.trim()}`)
        const sent = writtenAs(form, INNER, client('1.2.3.4'), HOST, ...lines).filter(isRelevant)
        const clean = writtenAs(form, INNER, client('1.2.3.4'), HOST).filter(isRelevant)
        const lower = (all: string[]) => all.map((line) => line.replace(/^[^:]*/, (text) => text.toLowerCase())).sort()
        expect(lower(sent)).toEqual(lower(clean))
      }),
    )
  })

  test('a trusted proxy that appends to it names the client, or the request is refused', () => {
    const front = { for: '9.9.9.9', scheme: 'http', authority: 'b.test' } as const
    const ask = (form: ForwardedForm, lines: string[]) => {
      const head = parseHead(Buffer.from(['GET / HTTP/1.1', HOST, ...lines, '', ''].join('\r\n'), 'latin1'), 'request')
      const forwarded = new Forwarded(INNER, form)
      if (forwarded.refuse(head, client('10.0.0.1'))) return undefined
      return { for: forwarded.clientAddress(head, client('10.0.0.1')), ...forwarded.origin(head, client('10.0.0.1')) }
    }
    fc.assert(
      fc.property(value, value, value, (one, two, three) => {
        const lists = [`${X}-For: ${one}, 9.9.9.9`, `${X}-Proto: ${two}, http`, `${X}-Host: ${three}, b.test`]
        expect(ask('x', lists)).toEqual(front)
        for (const element of ['for=9.9.9.9;proto=http;host=b.test', 'for="9.9.9.9";proto="http";host="b.test"']) {
          for (const lines of [
            [`${one}, ${element}`],
            [one, element],
            [one, two, element],
            [one, `${two}, ${element}`],
          ]) {
            const named = ask(
              'rfc7239',
              lines.map((line) => `Forwarded: ${line}`),
            )
            expect([front, undefined]).toContainEqual(named)
          }
        }
      }),
    )
  })
})

describe('on real sockets', () => {
  test('an upgrade request has the fields too', async () => {
    const backend = await Backend.start()
    const { port } = await startService({ backends: [{ port: backend.port }], forwarded: 'x', requests: 'every' })
    const peer = await connect(port)
    peer.write('GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    expect(await (await backend.next()).until('\r\n\r\n')).toBe(
      'GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: 80\r\n\r\n',
    )
  })

  test.each([
    ...[
      'X-Forwarded-For',
      'X-Forwarded-For;',
      'X-Forwarded-For x',
      'close;X-Forwarded-For',
      'close, x-forwarded-proto',
    ],
    ...['Forwarded', 'X-Real-IP', 'X-Forwarded-Whatever', 'Cookie', 'Host'],
  ])('answers 400 to Connection: %s', async (value) => {
    const backend = await Backend.start()
    const { port } = await startService({ backends: [{ port: backend.port }], forwarded: 'x' })
    const request = `GET / HTTP/1.1\r\nHost: a.test\r\nConnection: ${value}\r\n\r\n`
    expect(withoutDate(await ask(port, request))).toBe(answer('400 Bad Request', 'BAD_CONNECTION'))
    expect(backend.accepted).toBe(0)
  })

  test.each(['x', 'rfc7239', 'both'] as const)(
    'no request of a connection brings fields of its own: %s',
    async (form) => {
      const backend = await Backend.start()
      const { port } = await startService({ backends: [{ port: backend.port }], forwarded: form, requests: 'every' })
      const forged = [
        'Forwarded: for=6.6.6.6',
        'forwarded: for=6.6.6.6',
        ...THEIRS,
        'X-Forwarded-Port: 6',
        'X_Forwarded_For: 6',
      ]
      const request = (path: string) =>
        `POST ${path} HTTP/1.1\r\n${[HOST, ...forged].join('\r\n')}\r\nContent-Length: 2\r\n\r\n${path}`
      const client = await connect(port)
      client.write(request('/1') + request('/2'))
      const peer = await backend.next()
      const expected = writtenAs(form, [], { ...clientAt('127.0.0.1'), encrypted: false }, HOST, ...forged)
      for (const path of ['/1', '/2']) {
        const text = await peer.until(`\r\n\r\n${path}`)
        const sent = text.slice(text.indexOf(path)).split('\r\n').slice(1, -2)
        expect(sent.filter((line) => !line.startsWith('Content-Length'))).toEqual(expected)
        expect(sent.join()).not.toMatch(/6\.6|9\.9|evil|: 6/)
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      }
    },
  )

  test.each(['rfc7239', 'both'] as const)(
    'a client cannot hide behind a trusted proxy with a malformed Forwarded: %s',
    async (form) => {
      const backend = await Backend.start()
      const backends = [{ port: backend.port }]
      const rate = { requests: 1, per: 3_600_000, burst: 1 }
      const { port } = await startService({ backends, forwarded: form, requests: 'every', trust: ['127.0.0.1'], rate })
      const peer = await connect(port)
      const element = 'Forwarded: for=9.9.9.9\r\nX-Forwarded-For: 9.9.9.9\r\n'
      const request = (fields: string) => `GET / HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n`
      for (const given of ['for="', '=', 'for=1;for=2', 'for="', '=']) {
        peer.received = Buffer.alloc(0)
        peer.write(request(`Forwarded: ${given}\r\n${element}`))
        expect(await peer.until('malformed Forwarded\n')).toMatch(/^HTTP\/1\.1 400 /)
      }
      expect(backend.accepted).toBe(0)
      peer.received = Buffer.alloc(0)
      peer.write(request(element))
      const served = await backend.next()
      expect(await served.until('\r\n\r\n')).toContain('Forwarded: for=9.9.9.9, for=127.0.0.1;')
      served.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      expect(await peer.until('ok')).toMatch(/^HTTP\/1\.1 200 /)
      peer.received = Buffer.alloc(0)
      peer.write(request(element))
      expect(await peer.until('too many requests from this address\n')).toMatch(/^HTTP\/1\.1 429 /)
    },
  )

  test('an IPv4 client of a dual-stack listener has an IPv4 address', async () => {
    const backend = await Backend.start()
    const { port } = await startService({
      backends: [{ port: backend.port }],
      forwarded: 'x',
      listen: [{ port: 0 }],
      trust: ['127.0.0.0/8'],
    })
    const peer = await connect(port)
    peer.write('GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n')
    expect(await (await backend.next()).until('\r\n\r\n')).toContain('X-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n')
  })

  test('a client of a Unix socket is trusted if unix is listed', async () => {
    const backend = await Backend.start()
    const path = join(temporaryDirectory(), 'x.sock')
    const given = { backends: [{ port: backend.port }], forwarded: 'x' as const, trust: ['unix'] }
    await startService({ ...given, listen: [{ path }] })
    const peer = await connect({ path })
    const request = `GET / HTTP/1.1\r\n${[HOST, ...THEIRS].join('\r\n')}\r\n\r\n`
    peer.write(request)
    expect(await (await backend.next()).until('\r\n\r\n')).toBe(
      request.replace(/\r\n$/, 'X-Forwarded-Port: 443\r\n\r\n'),
    )
  })
})
