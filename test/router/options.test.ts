import { describe, expect, it } from 'vitest'
import { createRouter, type RouterOptions } from '../../src/router/index.ts'
import { poolTo } from './support.ts'

const pools = { app: poolTo('app') }
const make = (options: unknown) => () => createRouter(options as RouterOptions)

describe('bad options throw at construction', () => {
  it.each<[unknown, string]>([
    [{}, 'routes: expected a list of routes, got undefined'],
    [{ routes: [], rotes: 1 }, 'rotes: unknown option (did you mean routes?)'],
    [{ routes: [], unsafePaths: 1 }, 'unsafePaths: expected true or false, got 1'],
    [{ routes: [], pools: { a: 1 } }, 'pools.a: expected an object, got 1'],
    [{ routes: [], pools: { a: {} } }, 'pools.a.lookup: expected a function, got undefined'],
  ])('%j: %s', (options, message) => {
    expect(make(options)).toThrow(new TypeError(message))
  })

  it.each<[unknown, string]>([
    [{ pol: 'app' }, 'routes[0].pol: unknown option (did you mean pool?)'],
    [{}, 'routes[0]: expected one of pool, redirect and respond, got none'],
    [{ pool: 'app', respond: {} }, 'routes[0]: expected one of pool, redirect and respond, got pool and respond'],
    [{ pool: 'ap' }, "routes[0].pool: expected 'app', got 'ap'"],
    [{ pool: 'app', stripPrefix: true }, 'routes[0].stripPrefix: has no effect without path'],
    [{ respond: {}, basePath: '/x' }, 'routes[0].basePath: has no effect without pool'],
    [{ redirect: { to: '/x', status: 200 } }, 'routes[0].redirect.status: expected 301, 302, 303, 307 or 308, got 200'],
    [{ respond: { status: 101 } }, 'routes[0].respond.status: expected an integer from 200 to 599, got 101'],
  ])('%j: %s', (route, message) => {
    expect(make({ pools, routes: [route] })).toThrow(new TypeError(message))
  })

  it.each([
    [{ host: 'a:80' }, 'host'],
    [{ host: 'a.*' }, 'host'],
    [{ host: '' }, 'host'],
    [{ path: 'a' }, 'path'],
    [{ path: '/a?b' }, 'path'],
    [{ path: '/a/../b' }, 'path'],
    [{ path: '/a//b' }, 'path'],
    [{ path: '/%61' }, 'path'],
    [{ path: '/a;b' }, 'path'],
    [{ method: 'G T' }, 'method'],
    [{ method: [] }, 'method'],
    [{ method: ['GET', 'put'] }, 'method'],
    [{ header: {} }, 'header'],
    [{ header: { 'x y': true } }, 'header'],
    [{ header: { x: false } }, 'header'],
    [{ basePath: '//evil' }, 'basePath'],
  ])('%j is refused', (conditions, name) => {
    const route = { pool: 'app', ...conditions }
    expect(make({ pools, routes: [route] })).toThrow(new RegExp(`^routes\\[0\\]\\.${name}: expected `))
  })

  it.each([
    '',
    'x',
    '//evil',
    '/\\evil',
    '{path}',
    '/{path}',
    'https:{path}',
    'https://{path}',
    'javascript:x',
    '/a b',
    '/a\r\n',
    '/x{uri}',
    'https://{host}{',
    '/{host}}',
  ])('a redirect to %j is refused', (to) => {
    expect(make({ routes: [{ redirect: to }] })).toThrow(/^routes\[0\]\.redirect\.to: expected /)
  })

  it('a response that cannot be made is refused', () => {
    expect(make({ routes: [{ respond: { status: 204, body: 'x' } }] })).toThrow(
      /^routes\[0\]\.respond: expected what a Response/,
    )
    expect(make({ routes: [{ respond: { headers: { 'x y': 'z' } } }] })).toThrow(/^routes\[0\]\.respond: expected what/)
  })

  it('two routes with the same conditions are refused', () => {
    const one = { host: 'A.b', path: '/x', method: ['PUT', 'GET'], header: { X: true, Y: '1' }, pool: 'app' }
    const other = { host: 'a.B', path: '/x/', method: ['GET', 'PUT'], header: { y: '1', x: true }, redirect: '/' }
    expect(make({ pools, routes: [one, { ...one, path: '/y' }, other] })).toThrow(
      new TypeError('routes[2]: matches the same requests as routes[0]'),
    )
  })
})
