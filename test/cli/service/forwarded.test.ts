import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Forwarded } from '../../../src/cli/service/forwarded.ts'
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

/** The field lines of the head that is sent. */
function written(trust: string[], from: ReturnType<typeof client>, ...fields: string[]): string[] {
  const head = parseHead(Buffer.from(['GET / HTTP/1.1', ...fields, '', ''].join('\r\n'), 'latin1'), 'request')
  new Forwarded(trust).write(head, from)
  return head.bytes().toString('latin1').split('\r\n').slice(1, -2)
}

const HOST = 'Host: a.test'
const THEIRS = ['X-Forwarded-For: 9.9.9.9', 'x-forwarded-proto: https', 'X-Forwarded-Host: evil.test']

describe('a peer that is not trusted', () => {
  test('gets fields with its address, protocol and host', () => {
    expect(written([], client('1.2.3.4'), HOST)).toEqual([
      HOST,
      'X-Forwarded-For: 1.2.3.4',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: a.test',
    ])
  })

  test('has all its own fields replaced, repeated ones and in any case', () => {
    const fields = [HOST, ...THEIRS, 'X-FORWARDED-FOR: 8.8.8.8']
    expect(written(['10.0.0.0/8'], client('1.2.3.4', true), ...fields)).toEqual([
      HOST,
      'X-Forwarded-For: 1.2.3.4',
      'x-forwarded-proto: https',
      'X-Forwarded-Host: a.test',
    ])
  })

  test('of a Unix socket gets no address', () => {
    expect(written(['0.0.0.0/0', '::/0'], client(undefined), HOST, ...THEIRS)).toEqual([
      HOST,
      'x-forwarded-proto: http',
      'X-Forwarded-Host: a.test',
    ])
  })

  test('without an address does not count as a Unix socket', () => {
    const gone = { ...client(undefined), transport: 'other' as const }
    expect(written(['unix'], gone, HOST, ...THEIRS)).toEqual([
      HOST,
      'x-forwarded-proto: http',
      'X-Forwarded-Host: a.test',
    ])
  })

  test('without a Host (HTTP/1.0) has no X-Forwarded-Host', () => {
    const head = parseHead(Buffer.from('GET / HTTP/1.0\r\nX-Forwarded-Host: evil.test\r\n\r\n'), 'request')
    new Forwarded([]).write(head, client('1.2.3.4'))
    expect([...head]).toEqual([
      ['X-Forwarded-For', '1.2.3.4'],
      ['X-Forwarded-Proto', 'http'],
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
    ])
  })

  test('has several X-Forwarded-For fields merged', () => {
    const fields = [HOST, 'X-Forwarded-For: 9.9.9.9, 8.8.8.8', 'X-Forwarded-For: 7.7.7.7']
    expect(written(['1.2.3.4'], client('1.2.3.4'), ...fields)[1]).toBe(
      'X-Forwarded-For: 9.9.9.9, 8.8.8.8, 7.7.7.7, 1.2.3.4',
    )
  })

  test('without fields, or with empty ones, gets fields with its address, protocol and host', () => {
    const expected = [HOST, 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-Proto: http', 'X-Forwarded-Host: a.test']
    expect(written(['1.2.3.4'], client('1.2.3.4'), HOST)).toEqual(expected)
    const empty = ['X-Forwarded-For:', 'X-Forwarded-Proto:', 'X-Forwarded-Host:']
    expect(written(['1.2.3.4'], client('1.2.3.4'), HOST, ...empty)).toEqual(expected)
  })

  test('of a Unix socket keeps its fields, with nothing appended', () => {
    expect(written(['unix'], client(undefined), HOST, ...THEIRS)).toEqual([HOST, ...THEIRS])
  })
})

test('removes fields with the same CGI name from any peer', () => {
  const theirs = [
    'X_Forwarded_For: 6.6.6.6',
    'x_forwarded-proto: https',
    'X.Forwarded.Host: evil.test',
    'X_Forwarded: 1',
  ]
  const expected = ['X_Forwarded: 1', 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-Proto: http', 'X-Forwarded-Host: a.test']
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

describe('on real sockets', () => {
  test('an upgrade request has the fields too', async () => {
    const backend = await Backend.start()
    const { port } = await startService({ backends: [{ port: backend.port }], forwarded: true, requests: 'every' })
    const peer = await connect(port)
    peer.write('GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    expect(await (await backend.next()).until('\r\n\r\n')).toBe(
      'GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\n\r\n',
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
    const { port } = await startService({ backends: [{ port: backend.port }], forwarded: true })
    const request = `GET / HTTP/1.1\r\nHost: a.test\r\nConnection: ${value}\r\n\r\n`
    expect(withoutDate(await ask(port, request))).toBe(answer('400 Bad Request', 'BAD_CONNECTION'))
    expect(backend.accepted).toBe(0)
  })

  test('an IPv4 client of a dual-stack listener has an IPv4 address', async () => {
    const backend = await Backend.start()
    const { port } = await startService({
      backends: [{ port: backend.port }],
      forwarded: true,
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
    const given = { backends: [{ port: backend.port }], forwarded: true, trust: ['unix'] }
    await startService({ ...given, listen: [{ path }] })
    const peer = await connect({ path })
    const request = `GET / HTTP/1.1\r\n${[HOST, ...THEIRS].join('\r\n')}\r\n\r\n`
    peer.write(request)
    expect(await (await backend.next()).until('\r\n\r\n')).toBe(request)
  })
})
