import http from 'node:http'
import { expect, test } from 'vitest'
import type { Config } from '../../../src/cli/config/config.ts'
import { deadPort, listen } from '../../helpers/net.ts'
import { expectNoWarnings, GET } from '../../helpers/proxy.ts'
import { json, load } from '../config/support.ts'
import { scrape, scrapeUntil } from '../scrape.ts'
import { ADMIN, endWith, get, startBackend, startService, configOf as wholeConfig } from './support.ts'

expectNoWarnings()

const REQUESTS = 'badass_http_requests_total'
const CONNECTS = 'badass_connect_duration_seconds_count'
const FIRST_BYTES = 'badass_first_byte_duration_seconds_count'
const DURATIONS = 'badass_request_duration_seconds_count'

/** A backend that answers with the status in the path, and keeps its connections. */
async function startStatuses(id: string) {
  const server = http.createServer(({ url }, response) => response.writeHead(Number(url!.slice(1)) || 200).end('hi'))
  return { id, port: await listen(server), host: '127.0.0.1' }
}

async function configOf(settings: object, more: Partial<Config> = {}): Promise<Partial<Config>> {
  const { listen: _, ...config } = await load(json({ requests: 'every', ...settings }))
  return { ...config, admin: ADMIN, ...more }
}

const statusOf = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status

test('requests are counted by pool, backend and class of status', async () => {
  const [app, api] = [await startStatuses('app'), await startStatuses('a')]
  const config = await configOf({
    backends: app,
    pools: { api: { backends: api }, gone: { backends: { port: await deadPort(), host: '127.0.0.1' } } },
    routes: [
      { path: '/404', pool: 'api' },
      { path: '/gone', pool: 'gone' },
      { path: '/old', redirect: '/new' },
    ],
  })
  const { service, port } = await startService(config)
  for (const path of ['/200', '/204', '/500', '/599', '/404', '/gone']) await statusOf(port, path)
  await endWith(port, 'GET /old HTTP/1.1\r\nHost: a\r\n\r\n')
  const admin = service.adminUrl!
  expect(await scrapeUntil(admin, REQUESTS, 7)).toEqual({
    'pool="default",backend="app",code="2xx"': 2,
    'pool="default",backend="app",code="5xx"': 2,
    'pool="api",backend="a",code="4xx"': 1,
    // No connect succeeded, so no backend was reached.
    'pool="",backend="",code="5xx"': 1,
    'pool="",backend="",code="3xx"': 1,
  })
  expect(await scrape(admin, FIRST_BYTES)).toEqual({ 'pool="default",backend="app"': 4, 'pool="api",backend="a"': 1 })
  // The client keeps its connection, so the first four requests reuse that of the backend.
  expect(await scrape(admin, CONNECTS)).toEqual({ 'pool="default",backend="app"': 1, 'pool="api",backend="a"': 1 })
  expect(await scrape(admin, DURATIONS)).toEqual({
    'pool="default",backend="app"': 4,
    'pool="api",backend="a"': 1,
    'pool="",backend=""': 2,
  })
})

test('a client cannot add series, even if a hook makes Dests from its requests', async () => {
  const { port: backend } = await startBackend('a')
  const hooks: Config['hooks'] = {
    lookup: ({ target }) => ({ port: backend, host: '127.0.0.1', backend: { id: target }, id: target }),
  }
  const { service, port } = await startService(await configOf({ backends: { port: 1 } }, { hooks }))
  for (let i = 0; i < 5; i++) await statusOf(port, `/${i}`)
  expect(await scrapeUntil(service.adminUrl!, REQUESTS, 5)).toEqual({ 'pool="",backend="own",code="2xx"': 5 })
})

test('a copy of a Dest from the balancer counts for its backend, and a Dest that throws for none', async () => {
  const a = await startBackend('a')
  const hooks: Config['hooks'] = {
    lookup: ({ target }) => {
      if (target === '/') return undefined
      return Object.defineProperty({ port: a.port, host: '127.0.0.1' }, 'backend', {
        get: () => {
          throw new Error('not yours')
        },
      })
    },
  }
  const { service, port } = await startService(await configOf({ backends: a }, { hooks }))
  await get(port)
  await get({ port, host: '127.0.0.1', path: '/x' })
  expect(await scrapeUntil(service.adminUrl!, REQUESTS, 2)).toEqual({
    'pool="default",backend="a",code="2xx"': 1,
    'pool="",backend="own",code="2xx"': 1,
  })
})

test('with --requests first, a request counts when its connection closes, without status and first byte', async () => {
  const config = await configOf({ backends: await startBackend('a'), requests: 'first' })
  const { service, port } = await startService(config)
  for (let i = 0; i < 3; i++) await endWith(port, GET)
  const admin = service.adminUrl!
  expect(await scrapeUntil(admin, REQUESTS, 3)).toEqual({ 'pool="default",backend="a",code="none"': 3 })
  expect(await scrape(admin, CONNECTS)).toEqual({ 'pool="default",backend="a"': 3 })
  expect(await scrape(admin, DURATIONS)).toEqual({ 'pool="default",backend="a"': 3 })
  expect(await scrape(admin, FIRST_BYTES)).toEqual({})
})

test('an upgraded connection is a 1xx without a duration', async () => {
  const server = http.createServer()
  server.on('upgrade', (_, socket) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbye')
  })
  const backends = { id: 'a', port: await listen(server), host: '127.0.0.1' }
  const { service, port } = await startService(await configOf({ backends }))
  await endWith(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  const admin = service.adminUrl!
  expect(await scrapeUntil(admin, REQUESTS, 1)).toEqual({ 'pool="default",backend="a",code="1xx"': 1 })
  expect(await scrape(admin, DURATIONS)).toEqual({})
})

test('a tunnel of CONNECT is a 2xx without a duration', async () => {
  const server = http.createServer()
  server.on('connect', (_, socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nbye'))
  const backends = { id: 'a', port: await listen(server), host: '127.0.0.1' }
  const { service, port } = await startService(await configOf({ backends }))
  expect(await endWith(port, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n')).toContain('bye')
  const admin = service.adminUrl!
  expect(await scrapeUntil(admin, REQUESTS, 1)).toEqual({ 'pool="default",backend="a",code="2xx"': 1 })
  expect(await scrape(admin, DURATIONS)).toEqual({})
})

test('counts survive a reload, and those of the time without an admin page are missing', async () => {
  const [a, b] = [await startStatuses('a'), await startStatuses('b')]
  const config = await configOf({ backends: a })
  const { service, port } = await startService(config)
  expect(await endWith(port, GET)).toContain('200 OK')
  await scrapeUntil(service.adminUrl!, REQUESTS, 1)
  await service.reload(wholeConfig({ ...config, admin: undefined }))
  await endWith(port, GET)
  await service.reload(wholeConfig({ ...config, backends: [b] }))
  await endWith(port, GET)
  expect(await scrapeUntil(service.adminUrl!, REQUESTS, 2)).toEqual({
    'pool="default",backend="a",code="2xx"': 1,
    'pool="default",backend="b",code="2xx"': 1,
  })
})

test('requests of other servers in the process do not count', async () => {
  const config = await configOf({ backends: await startStatuses('a') })
  const [one, two] = [await startService(config), await startService(config)]
  await endWith(one.port, GET)
  await scrapeUntil(one.service.adminUrl!, REQUESTS, 1)
  expect(await scrape(two.service.adminUrl!, REQUESTS)).toEqual({})
})
