import { describe, expect, it } from 'vitest'
import { inPrecedence, type RouteOptions } from '../../src/router/index.ts'
import { choose } from './support.ts'

const get = (routes: readonly RouteOptions[], target: string, ...lines: string[]) =>
  choose(routes, `GET ${target} HTTP/1.1`, ...lines)

describe('path', () => {
  const routes: RouteOptions[] = [
    { path: '/', pool: 'site' },
    { path: '/static/', pool: 'static' },
    { path: '/static/img', pool: 'img' },
  ]

  it.each([
    ['/', 'site'],
    ['/static', 'static'],
    ['/static/', 'static'],
    ['/static?x=/static/img', 'static'],
    ['/statics', 'site'],
    ['/static/img', 'img'],
    ['/static/img/a.png', 'img'],
    ['/static/imgs', 'static'],
    ['/STATIC', 'site'],
    ['/%73tatic/x', 'static'],
    ['//static//x', 'static'],
    ['/static;v=1/x', 'static'],
    ['http://a/static/x', 'static'],
    ['http://a', 'site'],
    ['http://a?x', 'site'],
  ])('%j goes to %s', async (target, pool) => {
    expect(await get(routes, target)).toBe(pool)
  })

  it.each(['/static/..%2fadmin', '/static/../admin', '/a\\b', '/static/..;/x', 'http://a/static/%2e%2e/x'])(
    '%j gets a 400',
    async (target) => {
      expect(await get(routes, target)).toBe(400)
    },
  )

  it('a query may have what a path may not', async () => {
    expect(await get(routes, '/static?x=..%2f..\\')).toBe('static')
  })

  it('a target without a path matches only routes without one', async () => {
    const all: RouteOptions[] = [...routes, { pool: 'any' }]
    expect(await choose(all, 'OPTIONS * HTTP/1.1')).toBe('any')
    expect(await choose(routes, 'OPTIONS * HTTP/1.1')).toBe(404)
    expect(await choose(all, 'CONNECT a:443 HTTP/1.1', 'Host: a:443')).toBe('any')
  })
})

describe('host', () => {
  const routes: RouteOptions[] = [
    { host: '*.example.com', pool: 'below' },
    { host: '*.eu.example.com', pool: 'europe' },
    { host: 'API.example.com', pool: 'api' },
    { host: '[::1]', pool: 'loopback' },
  ]

  it.each([
    ['api.example.com', 'api'],
    ['API.EXAMPLE.COM:8080', 'api'],
    ['api.example.com.', 'api'],
    ['www.example.com', 'below'],
    ['a.b.example.com', 'below'],
    ['a.eu.example.com', 'europe'],
    ['eu.example.com', 'below'],
    ['example.com', 404],
    ['evilexample.com', 404],
    ['[::1]:8080', 'loopback'],
  ])('%s goes to %s', async (host, pool) => {
    expect(await get(routes, '/', `Host: ${host}`)).toBe(pool)
  })

  it('a CONNECT is routed by its target', async () => {
    expect(await choose(routes, 'CONNECT api.example.com:443 HTTP/1.1', 'Host: api.example.com:443')).toBe('api')
  })

  it('a request of HTTP/1.0 without Host matches routes for any host', async () => {
    expect(await choose([...routes, { pool: 'any' }], 'GET / HTTP/1.0', 'X: y')).toBe('any')
    expect(await choose(routes, 'GET / HTTP/1.0', 'X: y')).toBe(404)
  })
})

describe('the most specific route matches', () => {
  const routes: RouteOptions[] = [
    { pool: 'any' },
    { header: { 'X-Beta': true }, pool: 'beta' },
    { header: { 'X-Beta': '2' }, pool: 'beta 2' },
    { header: { 'x-beta': '2', 'x-user': true }, pool: 'beta 2 user' },
    { method: 'POST', pool: 'post' },
    { method: ['PUT', 'DELETE'], pool: 'write' },
    { path: '/a', pool: 'path' },
    { host: '*.b', pool: 'wildcard' },
    { host: 'a.b', pool: 'host' },
    { host: 'a.b', path: '/only', method: 'POST', pool: 'host, path and method' },
  ]

  it.each([
    ['GET /', ['Host: x'], 'any'],
    ['GET /', ['Host: x', 'X-Beta: 1'], 'beta'],
    ['GET /', ['Host: x', 'X-Beta:'], 'beta'],
    // Equally specific as the route before it in the list.
    ['GET /', ['Host: x', 'X-Beta: 2'], 'beta'],
    ['GET /', ['Host: x', 'X-Beta: 2', 'X-User: u'], 'beta 2 user'],
    ['POST /', ['Host: x', 'X-Beta: 1'], 'post'],
    ['DELETE /', ['Host: x'], 'write'],
    ['POST /a', ['Host: x'], 'path'],
    ['POST /a', ['Host: c.b'], 'wildcard'],
    ['POST /a', ['Host: a.b'], 'host'],
    ['POST /only/x', ['Host: a.b'], 'host, path and method'],
    ['GET /only/x', ['Host: a.b'], 'host'],
  ])('%s with %j goes to %s', async (first, lines, pool) => {
    expect(await choose(routes, `${first} HTTP/1.1`, ...lines)).toBe(pool)
  })

  it('a host without a matching path leaves the request to less specific hosts', async () => {
    const two: RouteOptions[] = [
      { host: 'a.b', path: '/x', pool: 'exact' },
      { host: '*.b', path: '/y', pool: 'wildcard' },
      { path: '/z', pool: 'any' },
    ]
    expect(await get(two, '/y', 'Host: a.b')).toBe('wildcard')
    expect(await get(two, '/z', 'Host: a.b')).toBe('any')
    expect(await get(two, '/', 'Host: a.b')).toBe(404)
  })
})

describe('inPrecedence', () => {
  const routes: RouteOptions[] = [
    { pool: 'rest' },
    { path: '/x', pool: 'x' },
    { host: '*.a.test', pool: 'any-a' },
    { host: 'b.test', pool: 'b' },
    { host: '*.c.a.test', pool: 'any-c' },
    { host: 'B.test', path: '/x', header: { 'X-One': true }, pool: 'b-one' },
    { host: 'b.test', path: '/x', pool: 'b-x' },
    { host: 'b.test', path: '/x', method: 'GET', pool: 'b-get' },
    { host: 'b.test', path: '/xyz', pool: 'b-xyz' },
  ]

  it('sorts routes as they are asked', async () => {
    const sorted = inPrecedence(routes)
    expect(sorted.map(({ pool }) => pool)).toEqual([
      ...['b-xyz', 'b-get', 'b-one', 'b-x', 'b', 'any-c', 'any-a', 'x', 'rest'],
    ])
    // The same objects, and requests go the same ways in this order.
    expect(new Set(sorted)).toEqual(new Set(routes))
    for (const host of ['b.test', 'z.c.a.test', 'z.a.test', 'z.test']) {
      const lines = [`Host: ${host}`, 'X-One: 1']
      expect(await get(sorted, '/x', ...lines)).toBe(await get(routes, '/x', ...lines))
    }
  })
})
