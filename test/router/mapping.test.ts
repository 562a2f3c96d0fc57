import http from 'node:http'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import type { Dest, ProxyError } from '../../src/proxy/index.ts'
import { splitTarget } from '../../src/request-target.ts'
import { createRouter, type RouteOptions, type RouterPool } from '../../src/router/index.ts'
import { isBelow } from '../../src/router/matcher.ts'
import { PathMapping } from '../../src/router/path-mapping.ts'
import { comparablePath } from '../../src/router/request-path.ts'
import { connect, deadPort, listen } from '../helpers/net.ts'
import { answer, startProxy, withoutDate } from '../helpers/proxy.ts'
import { CLIENT, requestHead } from './support.ts'

/** A backend that answers with the target of the request, and with these fields. */
async function start(route: RouteOptions, fields: Record<string, string | string[]> = {}) {
  const backend = http.createServer((request, response) => {
    response.writeHead(200, fields).end(request.url)
  })
  const port = await listen(backend)
  const app: RouterPool = { lookup: () => ({ port, host: '127.0.0.1' }) }
  const { lookup, errback, modify } = createRouter({ pools: { app }, routes: [{ pool: 'app', ...route }] })
  const proxy = await startProxy({ lookup, errback, modify, requests: 'every' })
  return async (target: string, ...lines: string[]) => {
    const client = await connect(proxy.port)
    client.write([`GET ${target} HTTP/1.1`, 'Host: a.b:81', 'Connection: close', ...lines, '', ''].join('\r\n'))
    const text = await client.ended()
    const fieldsOf = (name: string) =>
      [...text.matchAll(new RegExp(`^${name}: (.*)\\r$`, 'gim'))].map(([, value]) => value)
    return { fieldsOf, body: text.slice(text.indexOf('\r\n\r\n') + 4).replace(/^\w+\r\n|\r\n0\r\n\r\n$/g, '') }
  }
}

describe('the request target', () => {
  it.each<[route: RouteOptions, target: string, backend: string]>([
    [{ path: '/api', stripPrefix: true }, '/api/users?a=/api', '/users?a=/api'],
    [{ path: '/api', stripPrefix: true }, '/api', '/'],
    [{ path: '/api/', stripPrefix: true }, '/api?x', '/?x'],
    [{ path: '/api/v1', stripPrefix: true }, '//%61pi/;/v1;x=/a', '/a'],
    [{ path: '/api', stripPrefix: true }, 'http://a.b:81/api/x', 'http://a.b:81/x'],
    [{ path: '/api', stripPrefix: true, basePath: '/v1' }, '/api/x', '/v1/x'],
    [{ path: '/api', stripPrefix: true, basePath: '/v1/' }, '/api', '/v1'],
    [{ basePath: '/v1' }, '/x', '/v1/x'],
    [{ path: '/', stripPrefix: true }, '/x', '/x'],
    // A target that starts with '//' could name another host.
    [{ path: '/api', stripPrefix: true }, '/api//evil.com/x', '/evil.com/x'],
    [{ path: '/api', stripPrefix: true, basePath: '/v1' }, '/api//x', '/v1//x'],
  ])('with %j, %s becomes %s', async (route, target, backend) => {
    const get = await start(route)
    expect((await get(target)).body).toBe(backend)
  })
})

const piece = fc.constantFrom('/', '/a', '/b', '/%61', ';', ';x', '//', '/c')

test('the path of the route is removed, however it is written', () => {
  const mapping = new PathMapping('/a/b', '')
  let count = 0
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const path = `/${pieces.join('')}`
      if (!isBelow(comparablePath(path), '/a/b')) return
      count++
      const head = requestHead(`GET ${path} HTTP/1.1`)
      mapping.request(head, splitTarget(head)!)
      expect(comparablePath(head.target)).toBe(comparablePath(path).slice('/a/b'.length) || '/')
    }),
    { numRuns: 5_000 },
  )
  expect(count).toBeGreaterThan(20)
})

const ROUTES: Record<string, RouteOptions> = {
  strip: { path: '/api', stripPrefix: true },
  base: { basePath: '/v1' },
  both: { path: '/api', stripPrefix: true, basePath: '/v1' },
}

describe('Location leads the client back through the route', () => {
  it.each([
    ['strip', '/login?next=/x', '/api/login?next=/x'],
    ['strip', '/', '/api/'],
    ['strip', 'http://a.b:81/login#x', 'http://a.b:81/api/login#x'],
    ['strip', 'http://a.b:81', 'http://a.b:81/api/'],
    ['strip', 'https://A.B:81?x', 'https://A.B:81/api/?x'],
    ['strip', 'http://other/login', 'http://other/login'],
    ['strip', '//other/login', '//other/login'],
    ['strip', 'login', 'login'],
    ['base', '/v1/login', '/login'],
    ['base', '/v1', '/'],
    ['base', '/v10/login', '/v10/login'],
    // Without its base, this would lead to another host.
    ['base', '/v1//evil.com/', '/evil.com/'],
    ['base', '/v1/\\evil.com/', '/evil.com/'],
    ['base', '/v1/\t/evil.com/', '/evil.com/'],
    ['base', 'http://a.b:81/v1//x', 'http://a.b:81/x'],
    ['both', '/v1//x', '/api//x'],
    ['both', '/v1/login', '/api/login'],
    ['both', '/v2/login', '/v2/login'],
  ])('%s: %s becomes %s', async (name, location, expected) => {
    const get = await start(ROUTES[name]!, { Location: location, 'Content-Location': location })
    const { fieldsOf } = await get('/api/x')
    expect([fieldsOf('Location'), fieldsOf('Content-Location')]).toEqual([[expected], [expected]])
  })
})

describe('Path of cookies', () => {
  it.each([
    ['strip', 'a=1; Path=/', 'a=1; Path=/api'],
    ['strip', 'a=1; HttpOnly; path = /x ; Secure', 'a=1; HttpOnly; path = /api/x; Secure'],
    ['strip', 'a=1; Path=x', 'a=1; Path=x'],
    ['strip', 'a=1', 'a=1'],
    ['strip', 'a=/; Path=""', 'a=/; Path=""'],
    ['base', 'a=1; Path=/v1', 'a=1; Path=/'],
    ['base', 'a=1; Path=/', 'a=1; Path=/'],
    ['base', 'a=1; Path=/v1/x', 'a=1; Path=/x'],
    ['both', 'a=1; Path=/v1/', 'a=1; Path=/api'],
    ['both', 'a=1; Path=/', 'a=1; Path=/api'],
    ['both', 'a=1; Path=/other', 'a=1; Path=/other'],
  ])('%s: %s becomes %s', async (name, cookie, expected) => {
    const get = await start(ROUTES[name]!, { 'Set-Cookie': [cookie, 'b=2; Path=/other'] })
    expect((await get('/api/x')).fieldsOf('Set-Cookie')[0]).toBe(expected)
  })
})

describe('the hooks of pools', () => {
  it('a pool without errback gets the usual answer if its backend fails after a request was sent', async () => {
    const server = http.createServer((request) => request.socket.destroy())
    const port = await listen(server)
    const pools = { plain: { lookup: () => ({ port, host: '127.0.0.1' }) } }
    const { lookup, errback } = createRouter({ pools, routes: [{ pool: 'plain' }] })
    const proxy = await startProxy({ lookup, errback, requests: 'every' })
    const client = await connect(proxy.port)
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(withoutDate(await client.ended())).toBe(answer('502 Bad Gateway', 'NO_RESPONSE'))
  })

  it("a pool's errback chooses the next Dest, also without a Dest, and after edits of the head", async () => {
    const dead = await deadPort()
    const port = await listen(http.createServer((request, response) => void response.end(request.url)))
    const asked: string[] = []
    const noted = (what: string) => {
      asked.push(what)
      return { port, host: '127.0.0.1' }
    }
    const pools: Record<string, RouterPool> = {
      dead: {
        lookup: async () => ({ port: dead, host: '127.0.0.1' }),
        errback: async ({ code }) => noted(`dead ${code}`),
      },
      empty: { lookup: () => undefined, errback: ({ code }) => noted(`empty ${code}`) },
      plain: { lookup: () => ({ port: dead, host: '127.0.0.1' }) },
      none: { lookup: () => undefined },
    }
    const names = Object.keys(pools)
    const routes = names.map((pool): RouteOptions => ({ path: `/${pool}`, pool, stripPrefix: true }))
    const { lookup, errback, modify } = createRouter({ pools, routes })
    for (const requests of ['first', 'every'] as const) {
      const proxy = await startProxy({ lookup, errback, modify, requests })
      const bodyOf = async (name: string) => {
        const client = await connect(proxy.port)
        client.write(`GET /${name}/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
        const text = await client.ended()
        return `${text.slice(9, 12)} ${text.slice(text.indexOf('\r\n\r\n') + 4)}`
      }
      expect(await bodyOf('dead')).toBe('200 /x')
      expect(await bodyOf('empty')).toBe('200 /x')
      expect(await bodyOf('plain')).toBe('502 502 Bad Gateway: CONNECT_FAILED\n')
      expect(await bodyOf('none')).toBe('503 503 Service Unavailable: NO_DESTINATION\n')
    }
    expect(asked).toEqual([
      'dead CONNECT_FAILED',
      'empty NO_DESTINATION',
      'dead CONNECT_FAILED',
      'empty NO_DESTINATION',
    ])
  })

  it("a pool's modify is called for its own responses", async () => {
    const port = await listen(http.createServer((_, response) => void response.end('x')))
    const dest = () => ({ port, host: '127.0.0.1' })
    const pools: Record<string, RouterPool> = {
      marked: { lookup: dest, modify: (head) => void head.set('X-Pool', 'marked') },
      plain: { lookup: dest },
    }
    const { lookup, modify } = createRouter({
      pools,
      routes: [{ path: '/marked', pool: 'marked' }, { pool: 'plain' }],
    })
    const proxy = await startProxy({ lookup, modify, requests: 'every' })
    const client = await connect(proxy.port)
    client.write('GET /plain HTTP/1.1\r\nHost: a\r\n\r\nGET /marked HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const [plain, marked] = (await client.ended()).split(/(?=HTTP\/1\.1)/)
    expect([plain!.includes('X-Pool: marked'), marked!.includes('X-Pool: marked')]).toEqual([false, true])
  })

  it('are those of the route, also if pools return the same Dest', async () => {
    const shared = { port: await deadPort(), host: '127.0.0.1' }
    const pool = (name: string): RouterPool => ({ lookup: () => shared, errback: () => new Response(name) })
    const router = createRouter({
      pools: { a: pool('a'), b: pool('b') },
      routes: [{ path: '/b', pool: 'b' }, { pool: 'a' }],
    })
    const heads = [requestHead('GET /a HTTP/1.1'), requestHead('GET /b HTTP/1.1')]
    const dests = await Promise.all(heads.map((head) => router.lookup(head, CLIENT)))
    expect(dests).toEqual([shared, shared])
    const error = { status: 502, code: 'CONNECT_FAILED' } as ProxyError
    const answers = heads.map((head, i) => router.errback(error, dests[i] as Dest, head) as Response)
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(['a', 'b'])
  })
})

describe('responses are changed as their requests were', () => {
  const answering = () =>
    listen(http.createServer((_, response) => void response.writeHead(302, { Location: '/x' }).end()))
  const ask = async (port: number, target: string) => {
    const client = await connect(port)
    client.write(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    return /^location: (.*)\r$/im.exec(await client.ended())?.[1]
  }

  it('if a hook edits the head before the router reads it', async () => {
    const port = await answering()
    const app: RouterPool = { lookup: () => ({ port, host: '127.0.0.1' }) }
    const { lookup, modify } = createRouter({
      pools: { app },
      routes: [{ path: '/api', pool: 'app', stripPrefix: true }],
    })
    const proxy = await startProxy({
      requests: 'every',
      lookup: (head, client) => {
        head.first = head.first.replace(' /v0/', ' /api/')
        return lookup(head, client)
      },
      modify,
    })
    expect(await ask(proxy.port, '/v0/y')).toBe('/api/x')
  })

  it('if the pools of several routes return the same Dest', async () => {
    const dest = { port: await answering(), host: '127.0.0.1' }
    const pools: Record<string, RouterPool> = { a: { lookup: () => dest }, b: { lookup: () => dest } }
    const routes = Object.keys(pools).map((pool): RouteOptions => ({ path: `/${pool}`, pool, stripPrefix: true }))
    const { lookup, modify } = createRouter({ pools, routes })
    const proxy = await startProxy({ requests: 'every', lookup, modify })
    for (const name of ['a', 'b', 'a']) expect(await ask(proxy.port, `/${name}/y`)).toBe(`/${name}/x`)
  })

  it("not if the Dest is a hook's own", async () => {
    const port = await answering()
    const app: RouterPool = { lookup: () => undefined }
    const { modify } = createRouter({ pools: { app }, routes: [{ path: '/api', pool: 'app', stripPrefix: true }] })
    const proxy = await startProxy({ requests: 'every', lookup: () => ({ port, host: '127.0.0.1' }), modify })
    expect(await ask(proxy.port, '/api/y')).toBe('/x')
  })
})
