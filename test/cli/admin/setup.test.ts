import { expect, test } from 'vitest'
import type { CertificateStatus } from '../../../src/cli/certificate-status.ts'
import { json, load } from '../config/support.ts'
import { jsonOf, startAdmin } from './support.ts'

const CERTIFICATE: CertificateStatus = {
  use: 'listener',
  file: '/a.pem',
  names: ['a.test'],
  issuer: 'CN=ca',
  notBefore: 1_000,
  notAfter: 2_000_500,
}

async function setupFor(settings: object) {
  const config = await load(json(settings))
  const listeners = [{ url: 'https://*:443/', isTls: true }]
  const { ask } = await startAdmin({ inForce: () => ({ config, listeners }), certificates: () => [CERTIFICATE] })
  return jsonOf(await ask({ path: '/api/setup' })) as Record<string, unknown>
}

test('/api/setup tells pools, routes in order, listeners and certificates', async () => {
  const setup = await setupFor({
    backends: ['3001', '3002'],
    algorithm: 'hash',
    key: 'path',
    proxyProtocol: '10.0.0.0/8',
    admin: 0,
    adminRequests: true,
    retries: 2,
    pools: {
      api: {
        backends: '3003',
        algorithm: 'least-connections',
        sticky: 'home',
        failover: 'persist',
        health: '/healthz?token=secret,interval=5s,timeout=1500ms',
        queue: '10s,size=7',
        eject: '5,min=10s,max=5m',
        slowStart: '1m',
        retries: 0,
      },
    },
    routes: [
      { path: '/api', pool: 'api', stripPrefix: true, basePath: '/v1' },
      { path: '/api/x', method: ['GET', 'POST'], header: { 'X-Key': 'secret', 'X-Any': true }, pool: 'api' },
      { host: 'old.test', redirect: 'https://new.test{path}' },
      { path: '/secret', respond: { status: 404, headers: { 'X-Secret': 'secret' }, body: 'secret' } },
    ],
  })
  expect(setup).toEqual({
    requests: 'every',
    recentRequests: true,
    pools: [
      { name: 'default', algorithm: 'hash', key: 'path', backends: 2, options: { retries: '2' } },
      {
        name: 'api',
        algorithm: 'least-connections',
        sticky: 'home',
        health: '/healthz, every 5s, timeout 1500ms',
        backends: 1,
        options: {
          queue: '10s, size 7',
          eject: '5 failures, min 10s, max 5m',
          slowStart: '1m',
          failover: 'persist',
        },
      },
    ],
    routes: [
      { host: 'old.test', redirect: 'https://new.test{path}' },
      { path: '/secret', respond: 404 },
      { path: '/api/x', methods: ['GET', 'POST'], header: ['X-Key', 'X-Any'], pool: 'api' },
      { path: '/api', pool: 'api', stripPrefix: true, basePath: '/v1' },
      { pool: 'default' },
    ],
    listeners: [{ url: 'https://*:443/', tls: true, alpn: ['http/1.1'], proxyProtocol: true }],
    certificates: [CERTIFICATE],
  })
})

test('/api/setup of the smallest config', async () => {
  expect(await setupFor({ backends: '3001', health: 'tcp' })).toEqual({
    requests: 'first',
    recentRequests: false,
    pools: [{ name: 'default', algorithm: 'round-robin', health: 'tcp, every 2s', backends: 1, options: {} }],
    routes: [],
    listeners: [{ url: 'https://*:443/', tls: true, alpn: ['http/1.1'], proxyProtocol: false }],
    certificates: [CERTIFICATE],
  })
})

test('a certificate that cannot be read has no dates, and no sample in the metrics', async () => {
  const broken = {
    ...CERTIFICATE,
    use: 'backend',
    file: '/b "1".pem',
    notBefore: undefined,
    notAfter: undefined,
  } as const
  const ca = { ...CERTIFICATE, use: 'backend-ca', file: '/b "1".pem' } as const
  const { ask } = await startAdmin({ certificates: async () => [CERTIFICATE, broken, ca] })
  const setup = jsonOf(await ask({ path: '/api/setup' })) as { certificates: object[] }
  expect(setup.certificates[1]).toMatchObject({ notBefore: null, notAfter: null })
  const lines = (await ask({ path: '/metrics' })).body.toString().split('\n')
  expect(lines.filter((line) => line.startsWith('badass_tls_certificate'))).toEqual([
    'badass_tls_certificate_not_after_timestamp_seconds{use="listener",file="/a.pem"} 2000.5',
    'badass_tls_certificate_not_after_timestamp_seconds{use="backend-ca",file="/b \\"1\\".pem"} 2000.5',
  ])
})

test('/api/setup tells what listeners with TLS offer by ALPN', async () => {
  const tls = { cert: 'a.pem', key: 'a.key' }
  const offered = { backends: '3001,protocol=both', tls, alpn: ['h2', 'http/1.1'] }
  expect((await setupFor({ ...offered, requests: 'first' })).listeners).toMatchObject([{ alpn: ['h2', 'http/1.1'] }])
})
