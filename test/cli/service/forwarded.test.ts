import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Forwarded } from '../../../src/cli/service/forwarded.ts'
import { parseHead } from '../../../src/index.ts'
import { normalize } from '../../../src/proxy/index.ts'
import { Backend, connect } from '../../helpers/net.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { startService } from './support.ts'

expectNoWarnings()

function client(remoteAddress: string | undefined, encrypted = false) {
  return { remoteAddress, remotePort: 5000, localPort: remoteAddress === undefined ? undefined : 80, encrypted }
}

/** What a head becomes, without its first line. */
function written(trust: string[], from: ReturnType<typeof client>, ...fields: string[]): string[] {
  const head = parseHead(Buffer.from(['GET / HTTP/1.1', ...fields, '', ''].join('\r\n'), 'latin1'), 'request')
  new Forwarded(trust).write(head, from)
  return head.bytes().toString('latin1').split('\r\n').slice(1, -2)
}

const HOST = 'Host: a.test'
const THEIRS = ['X-Forwarded-For: 9.9.9.9', 'x-forwarded-proto: https', 'X-Forwarded-Host: evil.test']

describe('a peer that is not trusted', () => {
  test('is told of by what we know', () => {
    expect(written([], client('1.2.3.4'), HOST)).toEqual([
      HOST,
      'X-Forwarded-For: 1.2.3.4',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: a.test',
    ])
  })

  test('has all of its own replaced, several of a name and in any case of it', () => {
    const fields = [HOST, ...THEIRS, 'X-FORWARDED-FOR: 8.8.8.8']
    expect(written(['10.0.0.0/8'], client('1.2.3.4', true), ...fields)).toEqual([
      HOST,
      'X-Forwarded-For: 1.2.3.4',
      'x-forwarded-proto: https',
      'X-Forwarded-Host: a.test',
    ])
  })

  test('of a Unix socket has no address to tell of', () => {
    expect(written(['0.0.0.0/0', '::/0'], client(undefined), HOST, ...THEIRS)).toEqual([
      HOST,
      'x-forwarded-proto: http',
      'X-Forwarded-Host: a.test',
    ])
  })

  test('of TCP that has left meanwhile is none of a Unix socket', () => {
    const gone = { ...client(undefined), localPort: 80 }
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
  test('has its address appended, and its word kept', () => {
    expect(written(['1.2.3.4'], client('1.2.3.4'), HOST, ...THEIRS)).toEqual([
      HOST,
      'X-Forwarded-For: 9.9.9.9, 1.2.3.4',
      'x-forwarded-proto: https',
      'X-Forwarded-Host: evil.test',
    ])
  })

  test('of several X-Forwarded-For makes one', () => {
    const fields = [HOST, 'X-Forwarded-For: 9.9.9.9, 8.8.8.8', 'X-Forwarded-For: 7.7.7.7']
    expect(written(['1.2.3.4'], client('1.2.3.4'), ...fields)[1]).toBe(
      'X-Forwarded-For: 9.9.9.9, 8.8.8.8, 7.7.7.7, 1.2.3.4',
    )
  })

  test('that said nothing, or nothing in so many fields, is told of by what we know', () => {
    const expected = [HOST, 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-Proto: http', 'X-Forwarded-Host: a.test']
    expect(written(['1.2.3.4'], client('1.2.3.4'), HOST)).toEqual(expected)
    const empty = ['X-Forwarded-For:', 'X-Forwarded-Proto:', 'X-Forwarded-Host:']
    expect(written(['1.2.3.4'], client('1.2.3.4'), HOST, ...empty)).toEqual(expected)
  })

  test('of a Unix socket has its word kept, and nothing appended', () => {
    expect(written(['unix'], client(undefined), HOST, ...THEIRS)).toEqual([HOST, ...THEIRS])
  })
})

test('Connection cannot have them taken out again on the way', () => {
  const fields = [HOST, 'Connection: X-Forwarded-For, Upgrade, x-forwarded-proto', 'Upgrade: websocket']
  expect(written([], client('1.2.3.4'), ...fields)).toEqual([
    HOST,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'X-Forwarded-For: 1.2.3.4',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: a.test',
  ])
  expect(written([], client('1.2.3.4'), HOST, 'Connection: X-Forwarded-Host')).toEqual([
    HOST,
    'X-Forwarded-For: 1.2.3.4',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: a.test',
  ])
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
])('trust %j is refused', (trust) => {
  expect(() => new Forwarded(['unix', trust])).toThrow(
    new TypeError(`trust: got ${JSON.stringify(trust)}; takes an address, a network as in '10.0.0.0/8', or 'unix'`),
  )
})

const CHAINS: [chain: string[], expected: string][] = [
  [[], '10.0.0.1'],
  [['1.1.1.1'], '1.1.1.1'],
  [['2.2.2.2, 1.1.1.1'], '1.1.1.1'],
  [['2.2.2.2, 1.1.1.1, 10.0.0.7'], '1.1.1.1'],
  [['2.2.2.2, 1.1.1.1', '10.0.0.7,10.0.0.8'], '1.1.1.1'],
  // All are trusted: the one that is farthest.
  [['10.0.0.5, 10.0.0.6'], '10.0.0.5'],
  [['1.1.1.1:5000'], '1.1.1.1'],
  [['[2001:DB8::0:1]:5000, 10.0.0.7'], '2001:db8::1'],
  [['2001:db8:0::1'], '2001:db8::1'],
  [['::ffff:1.1.1.1'], '1.1.1.1'],
  // What is no address ends the walk.
  [['1.1.1.1, unknown'], '10.0.0.1'],
  [['1.1.1.1, unknown, 10.0.0.7'], '10.0.0.7'],
  [['1.1.1.1,'], '10.0.0.1'],
  [['999.1.1.1'], '10.0.0.1'],
]

test.each(CHAINS)('the client behind trusted proxies that say %j is %s', (chain, expected) => {
  const forwarded = new Forwarded(['10.0.0.0/8'])
  const fields = chain.map((value) => `X-Forwarded-For: ${value}\r\n`).join('')
  const head = parseHead(Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`), 'request')
  expect(forwarded.clientAddress(head, client('10.0.0.1'))).toBe(expected)
  expect(forwarded.clientAddress(head, client('3.3.3.3'))).toBe('3.3.3.3')
  forwarded.write(head, client('10.0.0.1'))
  expect(forwarded.clientAddress(head, client('10.0.0.1'))).toBe(expected)
})

test('the client behind a trusted Unix socket is who that says', () => {
  const head = parseHead(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n'), 'request')
  expect(new Forwarded(['unix']).clientAddress(head, client(undefined))).toBe('1.1.1.1')
  expect(new Forwarded(['10.0.0.0/8']).clientAddress(head, client(undefined))).toBe('')
})

test('an untrusted peer cannot have another address than its own, whatever it sends', () => {
  const value = fc.string({ unit: fc.constantFrom(...'0123456789.:,[] abf%/xu'), maxLength: 60 })
  fc.assert(
    fc.property(fc.array(value, { maxLength: 3 }), fc.ipV4(), (values, address) => {
      const forwarded = new Forwarded(['::1', 'unix'])
      const fields = values.map((one) => `X-Forwarded-For: ${one}\r\n`).join('')
      const head = parseHead(Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`), 'request')
      expect(forwarded.clientAddress(head, client(address))).toBe(address)
      // Nor does it throw where the peer is trusted.
      expect(typeof forwarded.clientAddress(head, client('::1'))).toBe('string')
      forwarded.write(head, client(address))
      expect(head.getAll('x-forwarded-for')).toEqual([address])
    }),
  )
})

test('each form of an address is one', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(normalize(`::ffff:${address}`)).toBe(address)
      expect(normalize(`::FFFF:${address}`)).toBe(address)
      expect(normalize(address)).toBe(address)
    }),
  )
})

describe('on real sockets', () => {
  test('an upgrade request tells of its client, too', async () => {
    const backend = await Backend.start()
    const { port } = await startService({ backends: [{ port: backend.port }], forwarded: true, everyRequest: true })
    const peer = await connect(port)
    peer.write('GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    expect(await (await backend.next()).until('\r\n\r\n')).toBe(
      'GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\n\r\n',
    )
  })

  test('a client of IPv4 has its IPv4 address where the listener knows both', async () => {
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

  test('a client of a Unix socket is trusted where unix is', async () => {
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
