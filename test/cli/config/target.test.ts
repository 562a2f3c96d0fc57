import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readArguments } from '../../../src/cli/config/arguments.ts'
import { type Config, ConfigError } from '../../../src/cli/config/config.ts'
import {
  isDnsServer,
  isHost,
  isName,
  parseDuration,
  parseInteger,
  toCamelCase,
  toKebabCase,
} from '../../../src/cli/config/target.ts'
import { LONGEST_MS } from '../../../src/proxy/index.ts'
import { createBalancer } from '../../../src/sticky/index.ts'

async function read(...argv: string[]): Promise<Config> {
  const request = readArguments(argv)
  if (request.kind === 'print') throw new Error('takes no --help')
  return await request.load()
}

const TARGETS: [text: string, is: object][] = [
  ['3001', { port: 3001 }],
  ['host:3001', { host: 'host', port: 3001 }],
  ['my_app.internal.:80', { host: 'my_app.internal.', port: 80 }],
  ['10.0.0.1:80', { host: '10.0.0.1', port: 80 }],
  ['[::1]:3001', { host: '::1', port: 3001 }],
  ['[fe80::1%eth0]:1', { host: 'fe80::1%eth0', port: 1 }],
  ['unix:/run/app.sock', { path: '/run/app.sock' }],
  ['unix:a:b=c', { path: 'a:b=c' }],
  ['dns:app.internal:3000', { dns: 'app.internal', port: 3000 }],
  ['srv:_http._tcp.app.internal', { srv: '_http._tcp.app.internal' }],
  ['3001,weight=2,backup,id=a', { port: 3001, weight: 2, backup: true, id: 'a' }],
  ['3001,weight=0', { port: 3001, weight: 0 }],
  ['3001,max-connections=100', { port: 3001, maxConnections: 100 }],
  ['3001,id=a=b', { port: 3001, id: 'a=b' }],
  ['3001,tls', { port: 3001, tls: true }],
  ['3001,tls=insecure', { port: 3001, tls: { rejectUnauthorized: false } }],
  ['3001,send-proxy', { port: 3001, sendProxy: 1 }],
  ['unix:/a,send-proxy=2,tls', { path: '/a', sendProxy: 2, tls: true }],
  ['dns:app.internal:3000,send-proxy=1', { dns: 'app.internal', port: 3000, sendProxy: 1 }],
  ['srv:app,send-proxy=2', { srv: 'app', sendProxy: 2 }],
  ['srv:app,backup,tls', { srv: 'app', backup: true, tls: true }],
]

test.each(TARGETS)('the target %s is what it says', async (text, is) => {
  expect((await read(text)).backends).toEqual([is])
})

const DURATIONS: [value: unknown, ms: number | undefined][] = [
  [0, 0],
  [250, 250],
  ['250', 250],
  ['250ms', 250],
  ['2s', 2_000],
  ['1.5s', 1_500],
  ['0.07s', 70],
  ['5m', 300_000],
  ['1h', 3_600_000],
  ['2147483647', LONGEST_MS],
  ['2147483648', undefined],
  ['25d', undefined],
  ['0.0001s', undefined],
  ['-1', undefined],
  ['1e3', undefined],
  ['', undefined],
  ['s', undefined],
  [' 1s', undefined],
  ['1 s', undefined],
  ['1S', undefined],
  [1.5, undefined],
  [-1, undefined],
  [Number.NaN, undefined],
  [Number.POSITIVE_INFINITY, undefined],
  [null, undefined],
  [true, undefined],
  [[1], undefined],
]

test.each(DURATIONS)('the time %j is %j ms', (value, ms) => {
  expect(parseDuration(value)).toBe(ms)
})

test('a time in any unit is the time that it says', () => {
  const units = fc.constantFrom<[string, number]>(['', 1], ['ms', 1], ['s', 1e3], ['m', 6e4], ['h', 36e5])
  fc.assert(
    fc.property(fc.nat(LONGEST_MS), units, (amount, [unit, factor]) => {
      const ms = amount * factor
      expect(parseDuration(`${amount}${unit}`)).toBe(ms <= LONGEST_MS ? ms : undefined)
      // With decimals: what toFixed writes is read back, for all that a double cannot hold it.
      if (amount % 1 === 0) expect(parseDuration(`${(amount / 1000).toFixed(3)}s`)).toBe(amount)
    }),
  )
})

test('an integer is digits or a safe integer', () => {
  expect(['0', '007', 5].map(parseInteger)).toEqual([0, 7, 5])
  for (const value of ['', ' 1', '1.0', '+1', '0x1', '9007199254740993', 1.5, Number.NaN, 2 ** 53, null, [1], 1n]) {
    expect(parseInteger(value), String(value)).toBeUndefined()
  }
})

test('a host is a name or an address, and no half of one', () => {
  for (const text of ['a', 'a-b.c', 'xn--bcher-kva.example', '1a.2b', '127.0.0.1', '::', 'a'.repeat(63)]) {
    expect(isHost(text), text).toBe(true)
  }
  for (const text of [
    '',
    '.',
    'a..b',
    '-a',
    'a-',
    'a b',
    'a/b',
    '1.2.3',
    '256.1.1.1',
    '0x7f.1',
    '[::1]',
    'a'.repeat(64),
    'ü',
    'a\n',
  ]) {
    expect(isHost(text), text).toBe(false)
  }
  expect(isName('127.0.0.1')).toBe(false)
  expect(isName('_http._tcp.app')).toBe(true)
  expect(isName('a.'.repeat(127))).toBe(false)
})

test('a DNS server is an address, with a port where it has one', () => {
  for (const text of ['10.0.0.2', '10.0.0.2:53', '::1', '[::1]:53']) expect(isDnsServer(text), text).toBe(true)
  for (const text of ['', 'a', 'a:53', '10.0.0.2:0', '10.0.0.2:65536', '[::1]', '[10.0.0.2]:53', '10.0.0.2:', 53]) {
    expect(isDnsServer(text), String(text)).toBe(false)
  }
})

test('a name goes from the line to the file and back', () => {
  expect(toCamelCase('response-head-timeout')).toBe('responseHeadTimeout')
  expect(toKebabCase('responseHeadTimeout')).toBe('response-head-timeout')
})

const part = fc.oneof(
  fc.constantFrom('3001', 'a', '::1', '[::1]', ':', ',', '=', 'unix:', '/x', 'dns:', 'srv:', '0', '65536', '\n', '\0'),
  fc.constantFrom(
    ',weight=2',
    ',weight',
    ',backup',
    ',id=a',
    ',id=',
    ',max-connections=1',
    ',tls',
    ',tls=insecure',
    ',__proto__=1',
  ),
  fc.string({ maxLength: 4, unit: 'binary' }),
)

test('any target is refused with one line, or is what the balancer takes', async () => {
  const text = fc.array(part, { maxLength: 5 }).map((parts) => parts.join(''))
  let taken = 0
  await fc.assert(
    fc.asyncProperty(text, async (target) => {
      const config = await read('--', target).catch((error: unknown) => error)
      if (config instanceof ConfigError) {
        expect(config.lines).toHaveLength(1)
        expect(config.message).toMatch(/^TARGET[ :][ -~\u00a1-\uffff]+$/)
        return
      }
      taken++
      const balancer = createBalancer({ backends: (config as Config).backends })
      balancer.close()
    }),
    { numRuns: 500, examples: TARGETS.map(([one]) => [one]) },
  )
  expect(taken).toBeGreaterThanOrEqual(TARGETS.length)
})

test('a target that is written down is read back', async () => {
  const host = fc.oneof(
    fc.ipV4(),
    fc.ipV6().map((ip) => `[${ip}]`),
    fc.domain({ size: 'small' }),
  )
  const option = fc.record(
    {
      weight: fc.nat(65_535),
      maxConnections: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      id: fc.stringMatching(/^[a-z0-9:._=-]{1,20}$/),
      backup: fc.constant(true),
      tls: fc.constant(true),
    },
    { requiredKeys: [] },
  )
  await fc.assert(
    fc.asyncProperty(host, fc.integer({ min: 1, max: 65_535 }), option, async (name, port, options) => {
      const texts = Object.entries(options).map(
        ([key, value]) => toKebabCase(key) + (value === true ? '' : `=${value}`),
      )
      const { backends } = await read([`${name}:${port}`, ...texts].join(','))
      expect(backends).toEqual([{ host: name.replace(/[[\]]/g, ''), port, ...options }])
    }),
  )
})
