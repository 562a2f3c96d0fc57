import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBalancer } from '../../../src/balancer/index.ts'
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
import { LONGEST_MS } from '../../../src/validate.ts'

async function read(...argv: string[]): Promise<Config> {
  const request = readArguments(argv)
  if (request.kind === 'print') throw new Error('expected a run')
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
  ['http://localhost', { host: 'localhost', port: 80 }],
  ['http://localhost:3001/,weight=2', { host: 'localhost', port: 3001, weight: 2 }],
  ['HTTPS://[::1]', { host: '::1', port: 443, tls: true }],
  ['https://[::1]:8443/,tls=insecure', { host: '::1', port: 8443, tls: { rejectUnauthorized: false } }],
  ['https://a.test,host=b.test', { host: 'a.test', port: 443, tls: true, hostHeader: 'b.test' }],
  ['srv:app,backup,tls', { srv: 'app', backup: true, tls: true }],
]

test.each(TARGETS)('parses the target %s', async (text, is) => {
  expect((await read(text)).backends).toEqual([is])
})

test.each([
  ['http://localhost:3001/x,weight=2', 'localhost:3001', 'http://localhost:3001/x'],
  ['http://app.internal/api?x=1', 'app.internal:80', 'http://app.internal/api?x=1'],
  ['HTTPS://[::1]:8443/?', '[::1]:8443,tls'],
  ['wss://app', 'app:443,tls'],
  ['tcp://10.0.0.1:5000', '10.0.0.1:5000'],
  ['localhost:3001/', 'localhost:3001'],
])('suggests the target in the URL %s: %s', async (text, meant, got = text) => {
  await expect(read(text)).rejects.toThrow(
    new ConfigError(`TARGET: expected an address, got '${got}' (did you mean ${meant}?)`),
  )
  await expect(read(meant)).resolves.toBeDefined()
})

test.each([
  'localhost',
  'tcp://app',
  'http://',
  'http://::1',
  'http://a:b:1',
  'http://user@app:1',
  '/run/app.sock',
  '::1:3001',
])('suggests no target for %s', async (text) => {
  await expect(read(text)).rejects.toThrow('TARGET: expected PORT, HOST:PORT')
})

test.each(['--listen', '--admin'])('suggests the address in a URL for %s', async (option) => {
  await expect(read(option, 'https://localhost:8080/', '3001')).rejects.toThrow(
    new ConfigError(`${option}: expected an address, got 'https://localhost:8080/' (did you mean localhost:8080?)`),
  )
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

test.each(DURATIONS)('parses the time %j as %j ms', (value, ms) => {
  expect(parseDuration(value)).toBe(ms)
})

test('parses a time in any unit', () => {
  const units = fc.constantFrom<[string, number]>(['', 1], ['ms', 1], ['s', 1e3], ['m', 6e4], ['h', 36e5])
  fc.assert(
    fc.property(fc.nat(LONGEST_MS), units, (amount, [unit, factor]) => {
      const ms = amount * factor
      expect(parseDuration(`${amount}${unit}`)).toBe(ms <= LONGEST_MS ? ms : undefined)
      // A decimal from toFixed is read back, even if a double cannot hold it exactly.
      if (amount % 1 === 0) expect(parseDuration(`${(amount / 1000).toFixed(3)}s`)).toBe(amount)
    }),
  )
})

test('parses an integer from digits or a safe integer', () => {
  expect(['0', '007', 5].map(parseInteger)).toEqual([0, 7, 5])
  for (const value of ['', ' 1', '1.0', '+1', '0x1', '9007199254740993', 1.5, Number.NaN, 2 ** 53, null, [1], 1n]) {
    expect(parseInteger(value), String(value)).toBeUndefined()
  }
})

test('accepts only a whole name or address as a host', () => {
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

test('accepts an address as a DNS server, with or without a port', () => {
  for (const text of ['10.0.0.2', '10.0.0.2:53', '::1', '[::1]:53']) expect(isDnsServer(text), text).toBe(true)
  for (const text of ['', 'a', 'a:53', '10.0.0.2:0', '10.0.0.2:65536', '[::1]', '[10.0.0.2]:53', '10.0.0.2:', 53]) {
    expect(isDnsServer(text), String(text)).toBe(false)
  }
})

test('converts a name from the line to the file and back', () => {
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

test('refuses a target with one line, or the balancer accepts it', async () => {
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

test('reads back a target that it has formatted', async () => {
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
