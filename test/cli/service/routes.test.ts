import { describe, expect, test } from 'vitest'
import type { Config } from '../../../src/cli/config/config.ts'
import { parseHead } from '../../../src/index.ts'
import { Backend, connect } from '../../helpers/net.ts'
import { expectNoWarnings } from '../../helpers/proxy.ts'
import { DEFAULTS, json, load } from '../config/support.ts'
import { get, startBackend, startService } from './support.ts'

expectNoWarnings()

/** The config of a file with these settings, on a free port. */
async function configOf(settings: object): Promise<Config> {
  return { ...(await load(json(settings))), listen: [{ port: 0, host: '127.0.0.1' }] }
}

const pathOf = (port: number, path: string) => ({ port, host: '127.0.0.1', path })

test('requests go to the pool of their route, and the rest to the backends beside the routes', async () => {
  const [app, api, files] = [await startBackend('app'), await startBackend('api'), await startBackend('files')]
  const { service, port } = await startService(
    await configOf({
      backends: app,
      pools: { api: { backends: api } },
      routes: [
        { host: 'api.example.com', pool: 'api' },
        { path: '/static', backends: files, stripPrefix: true },
        { path: '/old', redirect: '/new' },
      ],
      forwarded: 'x',
    }),
  )
  expect((await get(port)).id).toBe('app')
  expect(await get(port, { host: 'api.example.com' })).toMatchObject({
    id: 'api',
    headers: { 'x-forwarded-host': 'api.example.com' },
  })
  expect(await get(pathOf(port, '/static/a?b'))).toMatchObject({ id: 'files', url: '/a?b' })
  expect((await get(pathOf(port, '/old'))).status).toBe(308)
  expect((await get(pathOf(port, '/static/..%2fadmin'))).status).toBe(400)
  expect(service.pools.backends.map(({ id, pool, total }) => [id, pool, total])).toEqual([
    ['app', 'default', 1],
    ['api/api', 'api', 1],
    ['static/files', 'static', 1],
  ])
})

test('backends of pools drain and are killed by the ids that the admin page shows', async () => {
  const [a, b, c] = [await startBackend('a'), await startBackend('b'), await startBackend('c')]
  const { service, port } = await startService(await configOf({ routes: { path: '/x', backends: [a, b, c] } }))
  service.pools.drain('x/a')
  const ids = [await get(pathOf(port, '/x')), await get(pathOf(port, '/x')), await get(pathOf(port, '/x'))]
  expect(new Set(ids.map(({ id }) => id))).toEqual(new Set(['b', 'c']))
  expect((await get(port)).status).toBe(404)
  service.pools.ready('x/a')
  expect(service.pools.kill('x/b')).toBe(0)
  for (const id of ['a', 'x/', 'y/a', 'x/d']) {
    expect(() => service.pools.drain(id)).toThrow(new RangeError(`id: expected the id of a backend, got '${id}'`))
  }
})

describe('sticky cookies', () => {
  test('each pool has its own, and backends see none of them', async () => {
    const [a, b] = [
      [await startBackend('a1'), await startBackend('a2')],
      [await startBackend('b1'), await startBackend('b2')],
    ]
    const { port } = await startService(
      await configOf({ sticky: true, backends: a, routes: { path: '/b', backends: b, stripPrefix: true } }),
    )
    const first = await get(port)
    const second = await get(pathOf(port, '/b'))
    const cookies = [...first.cookies, ...second.cookies].map((cookie) => cookie.split(';')[0]!)
    expect(cookies.map((cookie) => cookie.split('=')[0])).toEqual(['sticky', 'sticky-b'])
    const Cookie = ['own=1', ...cookies].join('; ')
    for (let i = 0; i < 4; i++) {
      const [again, other] = [await get(port, { Cookie }), await get(pathOf(port, '/b/x'), { Cookie })]
      expect([again.id, other.id]).toEqual([first.id, second.id])
      expect([again.headers.cookie, other.headers.cookie]).toEqual(['own=1', 'own=1'])
      expect([again.cookies, other.cookies]).toEqual([[], []])
    }
  })

  test("a Dest of the user's own hook gets no cookie, and its backend sees none", async () => {
    const [own, a] = [await startBackend('own'), await startBackend('a')]
    const config = await configOf({ sticky: true, backends: a, routes: { path: '/x', redirect: '/' } })
    const hooks: Config['hooks'] = {
      lookup: (head) => (head.target === '/own' ? { port: own.port, host: '127.0.0.1' } : undefined),
      modify: (head) => void head.set('X-Hook', '1'),
    }
    const { port } = await startService({ ...config, hooks })
    expect(await get(pathOf(port, '/own'), { Cookie: 'sticky=x' })).toMatchObject({
      id: 'own',
      cookies: [],
      headers: {},
    })
    expect((await get(port)).cookies).toHaveLength(1)
  })
})

test('modify gets the response as the route changed it, and what it sets stays; the cookie comes last', async () => {
  const backend = await Backend.start()
  const target = { port: backend.port, host: '127.0.0.1', hostHeader: 'app.test' }
  const config = await configOf({ routes: { path: '/api', backends: target, stripPrefix: true }, sticky: true })
  const seen: unknown[] = []
  const hooks: Config['hooks'] = {
    lookup: (head) => (head.target === '/own' ? { port: backend.port, host: '127.0.0.1' } : undefined),
    modify: (head) => {
      seen.push([head.get('location'), head.getAll('set-cookie')])
      head.set('Location', '/mine')
    },
  }
  const { port } = await startService({ ...config, hooks })
  for (const [target, location, cookies] of [
    ['/api/x', '/api/login', ['id=1; Path=/api', expect.stringMatching(/^sticky-api=/)]],
    ['/own', 'http://app.test/login', ['id=1; Path=/']],
  ] as const) {
    const client = await connect(port)
    client.end(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    const fields = 'Location: http://app.test/login\r\nSet-Cookie: id=1; Path=/\r\nContent-Length: 0\r\n'
    peer.write(`HTTP/1.1 302 Found\r\n${fields}\r\n`)
    const head = parseHead(Buffer.from(await client.ended()), 'response')
    expect(head.get('location')).toBe('/mine')
    expect(head.getAll('set-cookie')).toEqual(cookies)
    expect(seen.pop()).toEqual([location, cookies.slice(0, 1)])
  }
})

test('a reload adds, changes and removes pools and routes', async () => {
  const [a, b, c] = [await startBackend('a'), await startBackend('b'), await startBackend('c')]
  const { service, port } = await startService(await configOf({ backends: a }))
  const reload = async (settings: object) => service.reload(await configOf(settings))
  await reload({ backends: a, routes: { path: '/x', backends: b } })
  expect((await get(pathOf(port, '/x'))).id).toBe('b')
  await reload({ backends: a, routes: { path: '/x', backends: c } })
  expect((await get(pathOf(port, '/x'))).id).toBe('c')
  await reload({ routes: { path: '/y', backends: c } })
  expect([(await get(port)).status, (await get(pathOf(port, '/y'))).id]).toEqual([404, 'c'])
  expect(service.pools.backends.map(({ id }) => id)).toEqual(['y/c'])
  await reload({ backends: a })
  expect([(await get(port)).id, (await get(pathOf(port, '/y'))).id]).toEqual(['a', 'a'])
  await expect(service.reload({ ...DEFAULTS, backends: [{ port: 1, weight: -1 }] })).rejects.toThrow('weight')
  expect((await get(port)).id).toBe('a')
})

test('a connection of an earlier config still reaches a pool that a reload removed', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  let enter = () => {}
  const entered = new Promise<void>((resolve) => {
    enter = resolve
  })
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const hooks: Config['hooks'] = {
    lookup: async () => {
      enter()
      await released
    },
  }
  const { service, port } = await startService({
    ...(await configOf({ backends: a, routes: { path: '/x', backends: b } })),
    hooks,
  })
  const waiting = get(pathOf(port, '/x'))
  await entered
  await service.reload(await configOf({ backends: a }))
  expect(service.pools.backends.map(({ id }) => id)).toEqual(['a'])
  release()
  expect((await waiting).id).toBe('b')
})
