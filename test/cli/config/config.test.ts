import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createCommand, readArguments } from '../../../src/cli/config/arguments.ts'
import { HOOK_NAMES, SETTINGS } from '../../../src/cli/config/settings.ts'
import { toCamelCase } from '../../../src/cli/config/target.ts'
import { json, load, refusal } from './support.ts'

const same: [given: object, line: string][] = [
  [{ backends: ['3001'] }, '3001'],
  [{ backends: 3001 }, '3001'],
  [{ backends: '3001' }, '3001'],
  [{ backends: [3001, 'a:1,weight=2,backup'] }, '3001 a:1,weight=2,backup'],
  [{ backends: [{ port: 3001, weight: 2, id: 'a' }] }, '3001,weight=2,id=a'],
  [{ backends: { port: '3001', host: '::1', maxConnections: 5 } }, '[::1]:3001,max-connections=5'],
  [{ backends: [{ path: '/x', tls: true }] }, 'unix:/x,tls'],
  [{ backends: [{ dns: 'app', port: 80, tls: 'insecure' }] }, 'dns:app:80,tls=insecure'],
  [{ backends: [{ srv: '_http._tcp.app', tls: false }] }, 'srv:_http._tcp.app'],
  [{ backends: 1, listen: 80 }, '1 --listen 80'],
  [
    { backends: 1, listen: [80, 'a:1', { port: 2, host: '::' }, { path: '/x' }] },
    '1 --listen 80 --listen a:1 --listen [::]:2 --listen unix:/x',
  ],
  [{ backends: 1, sticky: true }, '1 --sticky'],
  [{ backends: 1, sticky: false }, '1'],
  [{ backends: 1, sticky: 'home' }, '1 --sticky=home'],
  [{ backends: 1, sticky: { name: 'home' }, failover: 'persist' }, '1 --sticky=home --failover persist'],
  [{ backends: 1, algorithm: 'hash', key: 'header:X' }, '1 --algorithm hash --key header:X'],
  [{ backends: 1, slowStart: '30s' }, '1 --slow-start 30s'],
  [{ backends: 1, retries: 2 }, '1 --retries 2'],
  [{ backends: 1, eject: 5 }, '1 --eject 5'],
  [{ backends: 1, eject: { failures: 5, min: '1s' } }, '1 --eject 5,min=1s'],
  [{ backends: 1, queue: '5s' }, '1 --queue 5s'],
  [{ backends: 1, queue: 5000 }, '1 --queue 5000'],
  [{ backends: 1, queue: { timeout: '5s', size: 9 } }, '1 --queue 5s,size=9'],
  [{ backends: 1, health: { type: 'tcp', port: '81', fastInterval: '1s' } }, '1 --health tcp,port=81,fast=1s'],
  [{ backends: 1, health: { path: '/a', drainStatus: '404' } }, '1 --health /a,drain-status=404'],
  [{ backends: 1, health: 'tcp,interval=5s' }, '1 --health tcp,interval=5s'],
  [{ backends: 1, health: { path: '/h', rise: '3', interval: '1m' } }, '1 --health /h,rise=3,interval=60000'],
  [
    { backends: 1, requests: 'first', forwarded: true, trust: 'unix,::1' },
    '1 --requests first --forwarded --trust unix,::1',
  ],
  [{ backends: 1, forwarded: true, trust: ['unix', '::1'] }, '1 --forwarded --trust unix --trust ::1'],
  [{ backends: { port: 1, sendProxy: 2 }, proxyProtocol: ['unix'] }, '1,send-proxy=2 --proxy-protocol unix'],
  [{ backends: 1, tls: { cert: '/a', key: '/b' } }, '1 --tls-cert /a --tls-key /b'],
  [{ backends: 1, admin: 9000 }, '1 --admin 9000'],
  [{ backends: 1, admin: { port: 9000, host: '::1' } }, '1 --admin [::1]:9000'],
  [{ backends: 1, workers: 2 }, '1 --workers 2'],
  [{ backends: 1, workers: 'auto' }, '1 --workers auto'],
  [{ backends: 1, log: 'json', grace: '5s' }, '1 --log json --grace 5000'],
  [{ backends: 1, grace: 5000, headTimeout: '1s', maxFields: 5 }, '1 --grace 5s --head-timeout 1000 --max-fields 5'],
  [{ backends: 1, http2: 'pass' }, '1 --http2 pass'],
  [
    { backends: ['1', { port: 2, protocol: 'both' }], tls: { cert: '/a', key: '/b' }, alpn: ['h2', 'http/1.1'] },
    '1 2,protocol=both --tls-cert /a --tls-key /b --alpn h2,http/1.1',
  ],
  [
    { backends: 1, maxConnectionsPerClient: 5, trust: '10.0.0.0/8' },
    '1 --max-connections-per-client 5 --trust 10.0.0.0/8',
  ],
  [{ backends: 1, rate: '100/s,burst=5' }, '1 --rate 100/s,burst=5'],
  [{ backends: 1, rate: { limit: '600/m' } }, '1 --rate 600/m'],
  [{ backends: 1, maxConnections: 5, idleTimeout: '2h' }, '1 --max-connections 5 --idle-timeout 2h'],
  [
    { backends: 1, tls: { cert: '/a', key: '/b' }, tlsMinVersion: '1.2' },
    '1 --tls-cert /a --tls-key /b --tls-min-version 1.2',
  ],
  [
    { backends: 1, tls: { cert: '/a', key: '/b' }, tlsClientCa: '/c', tlsClientVerify: 'optional' },
    '1 --tls-cert /a --tls-key /b --tls-client-ca /c --tls-client-verify optional',
  ],
  [{ backends: 1, lenientResponses: true }, '1 --lenient-responses'],
  [{ backends: 'dns:a:1', dns: { servers: '::1', interval: '5s' } }, 'dns:a:1 --dns-server ::1 --dns-interval 5s'],
  [{ backends: 'dns:a:1', dns: { hold: '1m' } }, 'dns:a:1 --dns-hold 60s'],
]

test.each(same)('the file %j sets the same as the line %s', async (given, line) => {
  const request = readArguments(line.split(' '))
  if (request.kind === 'print') throw new Error('expected a run')
  expect(await load(json(given))).toEqual(await request.load())
})

test('each option of the line is a key of the file, which has few additional keys', () => {
  const options = createCommand().options.map(({ long }) => toCamelCase(long!.slice(2)))
  const renamed: Record<string, string> = {
    tlsCert: 'tls',
    tlsKey: 'tls',
    dnsServer: 'dns',
    dnsInterval: 'dns',
    dnsHold: 'dns',
    route: 'routes',
  }
  const keys = options
    .map((name) => renamed[name] ?? name)
    .filter((name) => !['check', 'config', 'version'].includes(name))
  const schema = Object.keys(SETTINGS)
  const onlyInFile = ['backends', 'backoff', 'pools', 'unsafePaths', ...HOOK_NAMES]
  expect(new Set(schema)).toEqual(new Set([...keys, ...onlyInFile]))
})

test('some settings exist only in a file', async () => {
  const ca = '-----BEGIN CERTIFICATE-----'
  const { backends, sticky, backoff, health, dns, tls } = await load(
    json({
      backends: [{ path: '/a,b', tls: { servername: 'app.test', ca } }, 'dns:a:1'],
      sticky: { insert: false, attributes: 'Path=/; Secure' },
      backoff: { min: '50ms', max: 1000 },
      health: { path: '/a,b', status: [200, 404], headers: { Authorization: 'Basic eDp5' } },
      dns: { timeout: '1s' },
      tls: { cert: ca, key: '/key.pem' },
    }),
  )
  expect(backends).toEqual([
    { path: '/a,b', tls: { servername: 'app.test', ca } },
    { dns: 'a', port: 1 },
  ])
  expect(sticky).toEqual({ name: 'sticky', insert: false, indirect: true, attributes: 'Path=/; Secure' })
  expect(backoff).toEqual({ min: 50, max: 1000 })
  expect(health).toEqual({ path: '/a,b', status: [200, 404], headers: { Authorization: 'Basic eDp5' } })
  expect(dns).toEqual({ timeout: 1000 })
  expect(tls).toEqual([{ cert: ca, key: '/key.pem' }])
})

test('`beside` turns `insert` off', async () => {
  const { sticky } = await load(json({ backends: 1, sticky: { beside: 'sid' } }))
  expect(sticky).toEqual({ name: 'sticky', insert: false, beside: 'sid', indirect: true })
})

test('resolves paths in the file relative to it, and paths on the line relative to the working directory', async () => {
  const file = json({
    backends: ['unix:app.sock', { path: 'run/b.sock' }],
    listen: ['unix:in.sock', { path: '/abs' }],
    tls: [{ cert: 'a.pem', key: '../a.key' }],
    sticky: true,
    secretFile: 'secret',
    admin: 9000,
    adminTokenFile: 'token',
  })
  const directory = dirname(file)
  writeFileSync(join(directory, 'secret'), 's')
  writeFileSync(join(directory, 'token'), 't')
  const config = await load(file)
  expect(config.backends).toEqual([{ path: join(directory, 'app.sock') }, { path: join(directory, 'run/b.sock') }])
  expect(config.listen).toEqual([
    { path: join(directory, 'in.sock'), tls: true },
    { path: '/abs', tls: true },
  ])
  expect(config.tls).toEqual([{ cert: join(directory, 'a.pem'), key: join(directory, '../a.key') }])
  expect([config.secret, config.admin?.token]).toEqual([['s'], 't'])
  expect(await load(file, 'unix:x', '--listen', 'unix:y')).toMatchObject({
    backends: [{ path: 'x' }],
    listen: [{ path: 'y' }],
  })
})

test('adminRequests is off unless it is true', async () => {
  const adminOf = async (settings: object) => (await load(json({ backends: 1, admin: 9000, ...settings }))).admin
  expect(await adminOf({})).not.toHaveProperty('requests')
  expect(await adminOf({ adminRequests: false })).not.toHaveProperty('requests')
  expect(await adminOf({ adminRequests: true })).toMatchObject({ requests: true })
  expect((await load(json({ backends: 1, admin: 9000 }), '--admin-requests')).admin).toMatchObject({ requests: true })
  expect(await load(json({ backends: 1, adminRequests: false }))).toMatchObject({ admin: undefined })
  expect(await refusal(json({ backends: 1, adminRequests: true }))).toEqual([
    'adminRequests: has no effect without admin',
  ])
  expect(await refusal(json({ backends: 1, admin: 9000, adminRequests: 'yes' }))).toEqual([
    "adminRequests: expected true or false, got 'yes'",
  ])
})

describe('line and file', () => {
  test('give priority to the line, setting by setting', async () => {
    const file = json({
      backends: [1, 2],
      listen: [3, 4],
      log: 'text',
      grace: 5,
      sticky: 'a',
      headTimeout: 6,
      idleTimeout: 7,
    })
    expect(await load(file, '8', '--listen', '9', '--log', 'json', '--sticky=b', '--idle-timeout', '10')).toMatchObject(
      {
        backends: [{ port: 8 }],
        listen: [{ port: 9 }],
        log: 'json',
        grace: 5,
        sticky: { name: 'b' },
        limits: { headTimeout: 6, idleTimeout: 10 },
      },
    )
  })

  test('merge DNS settings', async () => {
    const file = json({ backends: 'srv:a', dns: { servers: '::1', timeout: 5, interval: 6 } })
    expect((await load(file, '--dns-interval', '7')).dns).toEqual({ servers: ['::1'], timeout: 5, interval: 7 })
  })

  test('allow a setting of the file that has no effect because of the line', async () => {
    const file = json({ backends: 'srv:a', algorithm: 'hash', key: 'path', dns: { servers: '::1' } })
    expect((await load(file, '3001', '--algorithm', 'random-two')).algorithm).toBe('random-two')
  })

  test('report each setting without effect with its place', async () => {
    const file = json({ backends: 1, key: 'path', trust: 'unix', secretFile: 'x', failover: 'persist', dns: {} })
    const alone = (place: string, others: string) => `${place}: has no effect without ${others}`
    expect(await refusal(file, '--admin-token-file', 'x')).toEqual([
      alone('key', 'algorithm hash'),
      alone(
        'trust',
        'forwarded, requestId, redirectHttps, maxConnectionsPerClient, rate, or algorithm hash and key client',
      ),
      alone('secretFile', 'sticky'),
      alone('failover', 'sticky'),
      alone('--admin-token-file', '--admin'),
      alone('dns', 'a dns: or srv: target'),
    ])
  })

  test('require a target in one of them', async () => {
    for (const given of [{}, { backends: [] }]) {
      const file = json(given)
      expect(await refusal(file)).toEqual([
        `TARGET: expected one or more, such as 3001 or host:3001, got none, and ${file} has no backends (see badass --help)`,
      ])
      expect((await load(file, '3001')).backends).toEqual([{ port: 3001 }])
    }
  })

  test('name the setting of a file that cannot be read', async () => {
    expect(await refusal(json({ backends: 1, sticky: true, secretFile: '/nowhere/s' }))).toEqual([
      "secretFile: cannot read '/nowhere/s': no such file or directory",
    ])
  })
})

test('accepts a byte order mark', async () => {
  expect((await load(json('\ufeff{"backends": 3001}'))).backends).toEqual([{ port: 3001 }])
})
