import http from 'node:http'
import { expect, test } from 'vitest'
import type { Config } from '../../../src/cli/config/config.ts'
import type { RequestEntry, RequestLists } from '../../../src/cli/recent-requests.ts'
import type { Service } from '../../../src/cli/service/service.ts'
import { Backend, connect, deadPort, listen } from '../../helpers/net.ts'
import { expectNoWarnings, GET, OK } from '../../helpers/proxy.ts'
import { json, load } from '../config/support.ts'
import { ADMIN, endWith, startBackend, startService, configOf as wholeConfig } from './support.ts'

expectNoWarnings()

const RECORDED = { ...ADMIN, token: 'token', requests: true }

async function configOf(settings: object, more: Partial<Config> = {}): Promise<Partial<Config>> {
  const { listen: _, ...config } = await load(json({ requests: 'every', ...settings }))
  return { ...config, admin: RECORDED, ...more }
}

async function listsOf({ adminUrl }: Service): Promise<RequestLists> {
  const response = await fetch(new URL('api/requests', adminUrl), { headers: { Authorization: 'Bearer token' } })
  return (await response.json()) as RequestLists
}

/** Reads until a list has so many entries. */
async function until(service: Service, list: keyof RequestLists, count: number): Promise<RequestEntry[]> {
  for (;;) {
    const entries = (await listsOf(service))[list]
    if (entries.length >= count) return [...entries]
  }
}

/** A backend that answers with the status in the path. */
async function startStatuses(id: string) {
  const server = http.createServer(({ url }, response) => response.writeHead(Number(url!.slice(1, 4)) || 200).end('hi'))
  return { id, port: await listen(server), host: '127.0.0.1' }
}

const path = (target: string, method = 'GET', ...lines: string[]) =>
  `${[`${method} ${target} HTTP/1.1`, 'Host: a', ...lines].join('\r\n')}\r\n\r\n`

test('records each request among the slowest, and those with a 5xx or an error among the failed', async () => {
  const a = await startStatuses('a')
  const config = await configOf({
    backends: a,
    pools: { gone: { backends: { port: await deadPort(), host: '127.0.0.1', id: 'g' } } },
    routes: [{ path: '/gone', pool: 'gone' }],
  })
  const { service, port } = await startService(config)
  for (const target of ['/200?secret', '/404', '/503', '/gone']) await endWith(port, path(target))
  const slowest = await until(service, 'slowest', 4)
  const totals = slowest.map(({ total }) => total)
  expect(totals).toEqual([...totals].sort((x, y) => y - x))
  const shared = { at: expect.any(Number), client: expect.stringMatching(/^127\.0\.0\.1:\d+$/), method: 'GET' }
  const reached = { connect: expect.any(Number), firstByte: expect.any(Number), total: expect.any(Number) }
  expect(slowest.find((one) => one.path === '/200')).toEqual({
    ...shared,
    ...{ path: '/200', status: 200, pool: 'default', backend: 'a' },
    ...reached,
  })
  const { failed } = await listsOf(service)
  expect(failed).toEqual([
    {
      ...shared,
      path: '/gone',
      status: 503,
      code: 'CONNECT_FAILED',
      pool: 'gone',
      backend: 'g',
      total: expect.any(Number),
    },
    { ...shared, path: '/503', status: 503, pool: 'default', backend: 'a', ...reached },
  ])
})

test('a request that another backend answered has not failed', async () => {
  const backends = [{ port: await deadPort(), host: '127.0.0.1', id: 'g' }, await startStatuses('a')]
  const { service, port } = await startService(await configOf({ backends }))
  for (let i = 0; i < 2; i++) await endWith(port)
  const [one] = await until(service, 'slowest', 2)
  expect(one).toMatchObject({ status: 200, backend: 'a' })
  expect((await listsOf(service)).failed).toEqual([])
})

test('a client that leaves is among the slowest only, a backend that closes among the failed too', async () => {
  const backend = await Backend.start()
  const { service, port } = await startService(
    await configOf({ backends: { id: 'a', port: backend.port, host: '127.0.0.1' } }),
  )
  const client = await connect(port)
  client.write(path('/left'))
  await (await backend.next()).until('\r\n\r\n')
  client.reset()
  expect(await until(service, 'slowest', 1)).toMatchObject([{ path: '/left', code: 'CLIENT_RESET' }])
  const other = await connect(port)
  other.write(path('/closed', 'POST', 'Content-Length: 0'))
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  peer.end()
  expect(await until(service, 'failed', 1)).toMatchObject([{ path: '/closed', method: 'POST', code: 'NO_RESPONSE' }])
})

test('a tunnel is not slow', async () => {
  const server = http.createServer((_, response) => response.end())
  server.on('upgrade', (_, socket) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbye')
  })
  const { service, port } = await startService(
    await configOf({ backends: { port: await listen(server), host: '127.0.0.1' } }),
  )
  expect(await endWith(port, path('/ws', 'GET', 'Connection: Upgrade', 'Upgrade: x'))).toContain('bye')
  await endWith(port, path('/after'))
  expect((await until(service, 'slowest', 1)).map((one) => one.path)).toEqual(['/after'])
})

test('what a client sends is cut and escaped, and its query is left out', async () => {
  const { service, port } = await startService(await configOf({ backends: await startStatuses('a') }))
  const long = `/"\\\x7f\xff${'x'.repeat(5_000)}`
  await endWith(port, Buffer.from(path(`http://user:secret@a.test${long}?secret`), 'latin1').toString('latin1'))
  await endWith(port, path('/', 'X'.repeat(500)))
  const entries = await until(service, 'slowest', 1)
  expect(JSON.stringify(entries)).not.toContain('secret')
  for (const one of entries) {
    expect(one.path).toMatch(/^[ -~]{1,1024}$/)
    expect(one.method.length).toBeLessThanOrEqual(32)
  }
})

test("the client's own address behind a trusted proxy, the path before a route changes it", async () => {
  const config = await configOf({
    pools: { app: { backends: await startStatuses('a') } },
    routes: [{ path: '/app', pool: 'app', stripPrefix: true, basePath: '/v1' }],
    forwarded: 'x',
    trust: '127.0.0.1',
  })
  const { service, port } = await startService(config)
  await endWith(port, path('/app/x', 'GET', 'X-Forwarded-For: 203.0.113.9'))
  expect(await until(service, 'slowest', 1)).toMatchObject([{ client: '203.0.113.9', path: '/app/x', pool: 'app' }])
})

test('with --requests first, an entry is a connection, and its time is that to the backend', async () => {
  const backend = await Backend.start()
  const config = await configOf({
    backends: { id: 'a', port: backend.port, host: '127.0.0.1' },
    requests: 'first',
  })
  const { service, port } = await startService(config)
  const client = await connect(port)
  const start = performance.now()
  client.write(GET)
  const peer = await backend.next()
  let reached = 0
  for (let i = 0; i < 3; i++) {
    await peer.until('\r\n\r\n')
    reached ||= performance.now() - start
    peer.write(OK)
    await client.until('ok')
    if (i < 2) client.write(GET)
  }
  client.end()
  peer.end()
  const [one, ...more] = await until(service, 'slowest', 1)
  expect([one, more]).toMatchObject([{ path: '/', backend: 'a' }, []])
  expect(one).not.toHaveProperty('status')
  expect(one!.total).toBeLessThanOrEqual(reached + 0.1)
})

test('nothing is recorded unless the config says so, and a reload turns it on and off', async () => {
  const a = await startBackend('a')
  const admin = { ...ADMIN, token: 'token' }
  const { service, port } = await startService({ backends: [a], admin })
  expect(service.recent).toBe(undefined)
  expect(await listsOf(service)).toEqual({ error: expect.stringContaining('not recorded') })
  await service.reload(wholeConfig({ backends: [a], admin: RECORDED }))
  await endWith(port)
  await until(service, 'slowest', 1)
  await service.reload(wholeConfig({ backends: [a], admin }))
  expect(service.recent).toBe(undefined)
})
