import { describe, expect, it } from 'vitest'
import type { BalancerOptions } from '../../src/balancer/index.ts'
import { keyReader } from '../../src/balancer/key.ts'
import { connect } from '../helpers/net.ts'
import { startProxy, Watch } from '../helpers/proxy.ts'
import { balancerOf, CLIENT, clientAt, lookUp, requestHead, stickyOf } from './support.ts'

const BACKENDS = Array.from({ length: 16 }, (_, i) => ({ port: i + 1, id: `b${i}` }))
const balancerBy = (key?: BalancerOptions['key']) => balancerOf({ backends: BACKENDS, algorithm: 'hash', key })

describe('the key of hash', () => {
  it.each([
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a/b?c=/d', '/a/b'],
    ['/a?b?c', '/a'],
    ['http://a/a/b?c', '/a/b'],
    ['http://a', '/'],
    ['http://a?c', '/'],
    ['HTTPS://a/a', '/a'],
    ['//a//b', '//a//b'],
    ['*', CLIENT.remoteAddress],
  ])('path: the target %j is %j', (target, key) => {
    const method = target === '*' ? 'OPTIONS' : 'GET'
    expect(keyReader('path')(requestHead(`${method} ${target} HTTP/1.1`), CLIENT)).toBe(key)
  })

  it.each([
    [['X-Tenant: blue'], 'blue'],
    [['x-tenant: a', 'X-TENANT: b'], 'a, b'],
    [['X-Tenant:'], CLIENT.remoteAddress],
    [[], CLIENT.remoteAddress],
  ])('header: %j is %j', (lines, key) => {
    expect(keyReader('header:X-tenant')(requestHead('GET / HTTP/1.1', ...lines), CLIENT)).toBe(key)
  })

  it.each([
    [['Cookie: a=1; session=x=y; b=2'], 'x=y'],
    [['Cookie: a=1', 'Cookie: session=first; session=second'], 'first'],
    [['Cookie: xsession=1;session=;'], CLIENT.remoteAddress],
    [['Cookie: Session=1'], CLIENT.remoteAddress],
    [[], CLIENT.remoteAddress],
  ])('cookie: %j is %j', (lines, key) => {
    expect(keyReader('cookie:session')(requestHead('GET /?session=no HTTP/1.1', ...lines), CLIENT)).toBe(key)
  })

  it.each([
    ['/?a=1&room=x&room=y', 'x'],
    ['/room=no?r%6fom=%78', 'x'],
    ['http://a?room=x', 'x'],
    ['/?room=', CLIENT.remoteAddress],
    ['/?rooms=1', CLIENT.remoteAddress],
    ['/', CLIENT.remoteAddress],
  ])('query: the target %j is %j', (target, key) => {
    expect(keyReader('query:room')(requestHead(`GET ${target} HTTP/1.1`), CLIENT)).toBe(key)
  })

  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8::1', '2001:db8::1'],
    [undefined, ''],
  ])('client: %j is %j', (address, key) => {
    expect(keyReader('client')(requestHead(), clientAt(address))).toBe(key)
  })

  it('a function returns it from the head and the client', () => {
    const key = keyReader((head, client) => `${head.target} ${client.remotePort}`)
    expect(key(requestHead('GET /x HTTP/1.1'), CLIENT)).toBe('/x 50000')
  })

  it.each([[''], [undefined], [null]])('a function that says %j leaves it to the address', (value) => {
    expect(keyReader(() => value as string)(requestHead(), CLIENT)).toBe(CLIENT.remoteAddress)
  })

  it.each([
    [5, 'key: returned 5; expected a string'],
    [{}, 'key: returned {}; expected a string'],
    [Promise.resolve('x'), 'key: returned a Promise; expected a string'],
  ])('a function may not say %o', (value, message) => {
    const balancer = balancerBy((() => value) as unknown as () => string)
    expect(() => lookUp(balancer, requestHead(), CLIENT)).toThrow(new TypeError(message))
  })
})

describe('hash', () => {
  it('sends the same key to the same backend, in every process', () => {
    for (const key of ['client', 'path', 'header:x-tenant'] as const) {
      const heads = Array.from({ length: 20 }, (_, i) => requestHead(`GET /${i} HTTP/1.1`, `X-Tenant: ${i}`))
      const homes = (balancer: ReturnType<typeof balancerOf>) =>
        heads.map((head, i) => lookUp(balancer, head, clientAt(`10.0.0.${i}`))!.backend.id)
      const first = homes(balancerBy(key))
      expect(homes(balancerBy(key))).toEqual(first)
      expect(new Set(first).size).toBeGreaterThan(4)
    }
  })

  it("uses the client's address by default", () => {
    const balancer = balancerBy()
    const at = (address: string, path: string) =>
      lookUp(balancer, requestHead(`GET ${path} HTTP/1.1`), clientAt(address))!.backend.id
    expect(at('10.0.0.1', '/a')).toBe(at('10.0.0.1', '/b'))
  })

  it('lets a client return home, whatever its key', () => {
    const balancer = balancerBy()
    for (const { id } of BACKENDS) expect(lookUp(balancer, requestHead(), stickyOf(id), CLIENT)!.backend.id).toBe(id)
  })

  it('does not call the function with other algorithms', () => {
    const key = () => {
      throw new Error('not asked')
    }
    const balancer = balancerOf({ backends: BACKENDS, algorithm: 'least-connections', key })
    expect(lookUp(balancer, requestHead(), CLIENT)).toBeDefined()
  })

  it('answers 503 if the function throws', async () => {
    const balancer = balancerBy(() => {
      throw new Error('no key')
    })
    const watch = new Watch()
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    const client = await connect(port)
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(await client.ended()).toMatch(/^HTTP\/1.1 503 /)
    expect(watch.codes).toEqual(['LOOKUP_FAILED'])
  })

  it('spreads clients of a Unix socket, which have no address', () => {
    const balancer = balancerBy()
    const ids = Array.from({ length: 200 }, () => lookUp(balancer, requestHead(), clientAt(undefined))!.backend.id)
    expect(new Set(ids).size).toBeGreaterThan(8)
  })

  it('spreads HTTP/2 connections by client, as their path is not known', async () => {
    const balancer = balancerBy('path')
    const seen: string[] = []
    const { port } = await startProxy({
      lookup: (head) => {
        for (let i = 0; i < 50; i++) seen.push(lookUp(balancer, head, clientAt(`10.0.0.${i}`))!.backend.id)
        return undefined
      },
    })
    const client = await connect(port)
    client.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    await client.closed()
    expect(new Set(seen).size).toBeGreaterThan(4)
  })
})
