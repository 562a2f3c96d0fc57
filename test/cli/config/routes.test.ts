import { describe, expect, it } from 'vitest'
import { readArguments } from '../../../src/cli/config/arguments.ts'
import { poolsOf } from '../../../src/cli/config/config.ts'
import { json, load, refusal } from './support.ts'

const routingOf = async (settings: object) => (await load(json(settings))).routing

async function lineOf(...argv: string[]) {
  const request = readArguments(argv)
  if (request.kind === 'print') throw new Error('expected a run')
  return request.load()
}

describe('routes of a config file', () => {
  it('name pools, which inherit the settings beside them', async () => {
    const config = await load(
      json({
        backends: 3000,
        sticky: true,
        algorithm: 'least-connections',
        health: '/healthz',
        pools: {
          api: { backends: [3001, '3002,weight=2'], algorithm: 'hash', key: 'path', sticky: false },
          static: { backends: { port: 3003 }, health: false, sticky: 'home' },
          more: { backends: 3004, sticky: { insert: false } },
        },
        routes: [
          { host: 'api.example.com', pool: 'api' },
          { path: '/static', pool: 'static', stripPrefix: true },
          { method: 'PUT', pool: 'more' },
          { path: '/old', redirect: '/new' },
        ],
      }),
    )
    const health = { path: '/healthz' }
    expect(poolsOf(config)).toMatchObject([
      {
        name: 'default',
        backends: [{ port: 3000 }],
        algorithm: 'least-connections',
        health,
        sticky: { name: 'sticky' },
      },
      {
        name: 'api',
        backends: [{ port: 3001 }, { port: 3002 }],
        algorithm: 'hash',
        key: 'path',
        health,
        sticky: undefined,
      },
      { name: 'static', algorithm: 'least-connections', health: undefined, sticky: { name: 'home' } },
      { name: 'more', health, sticky: { name: 'sticky-more', insert: false } },
    ])
    expect(config.requests).toBe('every')
    expect(config.routing!.routes.at(-1)).toEqual({ pool: 'default' })
  })

  it('may have backends of their own, and become pools named after them', async () => {
    const config = await load(
      json({
        sticky: 'home',
        routes: [
          { host: 'api.example.com', path: '/v1/', backends: [1, 2] },
          { path: '/static', backends: 3 },
          { host: '*.static', backends: 4 },
          { path: '/', backends: 5 },
          { path: '/default', backends: 6 },
        ],
      }),
    )
    expect(poolsOf(config).map(({ name, sticky }) => [name, sticky?.name])).toEqual([
      ['api.example.com-v1', 'home-api.example.com-v1'],
      ['static', 'home-static'],
      ['static-2', 'home-static-2'],
      ['route', 'home-route'],
      ['default-2', 'home-default-2'],
    ])
    expect(config.routing!.routes.map(({ pool }) => pool)).toEqual(poolsOf(config).map(({ name }) => name))
  })

  it('need no backends if they answer', async () => {
    expect(await routingOf({ routes: { redirect: 'https://{host}{path}' } })).toEqual({
      pools: [],
      routes: [{ redirect: 'https://{host}{path}' }],
      unsafePaths: false,
    })
  })

  it('may use any cookie if there is no default pool', async () => {
    const config = await load(
      json({ sticky: 'home', pools: { a: { backends: 1, sticky: 'home' } }, routes: [{ pool: 'a' }] }),
    )
    expect(poolsOf(config)).toMatchObject([{ name: 'a', sticky: { name: 'home' } }])
  })

  it('a route without conditions takes the place of the one to the default pool', async () => {
    const routing = await routingOf({
      backends: 1,
      routes: [{ path: '/x', pool: 'default' }, { respond: { status: 404 } }],
    })
    expect(routing!.routes).toHaveLength(2)
  })

  it.each<[object, string]>([
    [{ pools: { a: { backends: 1 } }, backends: 2 }, 'pools: has no effect without routes'],
    [{ unsafePaths: true, backends: 2 }, 'unsafePaths: has no effect without routes'],
    [{ routes: { pool: 'x' } }, "routes.pool: expected nothing, as there are no pools, got 'x'"],
    [{ routes: [{ pool: 'x' }], backends: 1 }, "routes[0].pool: expected 'default', got 'x'"],
    [
      { routes: [{ host: 'a:1', backends: 1 }] },
      "routes[0].host: expected a host name without a port, such as 'example.com' or '*.example.com', got 'a:1'",
    ],
    [
      { routes: [{ backends: 1 }, { path: '/x', backends: 1, redirect: '/' }] },
      'routes[1].backends: has no effect with redirect',
    ],
    [{ routes: [{ path: '/x', backends: [] }] }, 'routes[0].backends: expected one or more, got none'],
    [
      { routes: [{ path: '/x', backends: '1,weigth=2' }] },
      'routes[0].backends.weigth: unknown option (did you mean weight?)',
    ],
    [
      { routes: [{ redirect: { to: '/x', status: 5 } }] },
      'routes[0].redirect.status: expected 301, 302, 303, 307 or 308, got 5',
    ],
    [
      {
        routes: [
          { path: '/x', redirect: '/' },
          { path: '/x/', redirect: '/y' },
        ],
      },
      'routes[1]: matches the same requests as routes[0]',
    ],
    [{ routes: [{ backends: 1 }], pools: { a: { backends: 2 } } }, 'pools.a: is not used by any route'],
    [
      { routes: [{ path: '/x', redirect: '/' }, { respond: {} }], backends: 1 },
      'backends: is not used by any route, as one without conditions gets all other requests',
    ],
    [{ routes: [{ pool: 'a' }], pools: { a: {} } }, 'pools.a.backends: expected one or more, got none'],
    [
      { routes: [{ pool: 'a' }], pools: { a: { backends: 1, key: 'path' } } },
      'pools.a.key: has no effect without algorithm hash',
    ],
    [
      { routes: [{ pool: 'a' }], pools: { a: { backends: 1, failover: 'persist' } } },
      'pools.a.failover: has no effect without sticky',
    ],
    [
      { routes: [{ pool: 'a' }], pools: { a: { backends: 1, sticky: 'x' } }, backends: 2, sticky: 'x' },
      'pools.a.sticky: expected another cookie than that of the pool default',
    ],
    [
      { routes: [{ pool: 'a b' }], pools: { 'a b': { backends: 1 } } },
      "pools['a b']: expected a name of letters, digits, '.', '_' and '-' other than 'default', got 'a b'",
    ],
    [
      { routes: [{ pool: 'a' }], pools: { a: { backends: 1, helth: 2 } } },
      'pools.a.helth: unknown option (did you mean health?)',
    ],
  ])('%j: %s', async (settings, line) => {
    expect((await refusal(json(settings)))[0]).toBe(line)
  })
})

describe('--route', () => {
  it('sends a host or a path to backends of its own', async () => {
    const config = await lineOf('--route', 'api.example.com=3001,weight=2,3002', '--route', '/static/=3003,tls', '3000')
    expect(poolsOf(config)).toMatchObject([
      { name: 'default', backends: [{ port: 3000 }] },
      { name: 'api.example.com', backends: [{ port: 3001, weight: 2 }, { port: 3002 }] },
      { name: 'static', backends: [{ port: 3003, tls: true }] },
    ])
    expect(config.routing!.routes).toEqual([
      { host: 'api.example.com', pool: 'api.example.com' },
      { path: '/static/', pool: 'static' },
      { pool: 'default' },
    ])
    expect(config.requests).toBe('every')
  })

  it.each([
    ['3001', "--route: expected [HOST][/PATH]=TARGET,TARGET, got '3001'"],
    ['=3001', "--route: expected [HOST][/PATH]=TARGET,TARGET, got '=3001'"],
    [
      '/x=',
      "--route '/x=': backends: expected PORT, HOST:PORT, [IPV6]:PORT, http(s)://HOST, unix:PATH, dns:NAME:PORT or srv:NAME, got ''",
    ],
    ['/x=3001,weight=y', "--route '/x=3001,weight=y': backends.weight: expected an integer from 0 to 65535, got 'y'"],
    [
      'a b=3001',
      "--route 'a b=3001': host: expected a host name without a port, such as 'example.com' or '*.example.com', got 'a b'",
    ],
    [
      '/a/../b=3001',
      "--route '/a/../b=3001': path: expected a path such as '/static', without a query or encoded bytes, got '/a/../b'",
    ],
  ])('%s: %s', async (route, line) => {
    await expect(lineOf('--route', route)).rejects.toThrow(line)
  })
})
