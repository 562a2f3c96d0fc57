import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { BackendOptions, Balancer, BalancerOptions } from '../../src/balancer/index.ts'
import { createServer, ProxyError } from '../../src/proxy/index.ts'
import { Backend, connect, deadPort, listen } from '../helpers/net.ts'
import {
  balancerOf,
  CLIENT,
  chooseMany,
  clientAt,
  comeBack,
  eventsOf,
  lookUp,
  requestHead,
  statusOf,
  stickyOf,
} from './support.ts'

const A = { port: 1, id: 'a' }
const B = { port: 2, id: 'b' }
const C = { port: 3, id: 'c' }
const QUIET = { backoff: { min: 600_000, max: 600_000 } }

function fail(balancer: Balancer, id: string): void {
  const route = lookUp(balancer, requestHead(), stickyOf(id), CLIENT)!
  void balancer.errback(new ProxyError('CONNECT_FAILED', 'connect', new Error('refused')), route, requestHead())
}

describe('update', () => {
  it('adds, removes and keeps backends, with one event each', () => {
    const balancer = balancerOf({ backends: [A, B] })
    const events = eventsOf(balancer)
    balancer.update({ backends: [C, B] })
    expect(events).toEqual(['remove a', 'add c'])
    expect(balancer.backends.map(({ id }) => id)).toEqual(['c', 'b'])
    balancer.update({ backends: [C, B] })
    expect(events).toHaveLength(2)
    balancer.update({})
    expect(events).toEqual(['remove a', 'add c', 'remove c', 'remove b'])
  })

  it('keeps state, counters, connections and drain of a backend that stays', async () => {
    const backend = await Backend.start()
    const a = { port: backend.port, id: 'a', tls: { servername: 'x', ca: [Buffer.from('x')] } }
    const plain = { port: backend.port, id: 'plain' }
    const balancer = balancerOf({ backends: [a, plain, B], ...QUIET })
    const server = createServer({
      lookup: (head, client) => lookUp(balancer, head, stickyOf('plain'), client),
      errback: balancer.errback,
    })
    const client = await connect(await listen(server))
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const upstream = await backend.next()
    await upstream.until('\r\n\r\n')
    fail(balancer, 'a')
    balancer.drain('plain')
    // Rounded to whole ms of the system clock, it may differ by one.
    const now = () => [{ ...statusOf(balancer, 'a'), retryAt: undefined }, statusOf(balancer, 'plain')]
    const before = now()
    expect(before).toMatchObject([
      { state: 'down', failures: 1 },
      { draining: true, connections: 1, total: 1 },
    ])
    const events = eventsOf(balancer)
    const again = { ...a, tls: { servername: 'x', ca: [Buffer.from('x')] } }
    balancer.update({ backends: [plain, again], ...QUIET })
    expect(events).toEqual(['remove b'])
    expect(now()).toEqual(before)
    upstream.write('still here')
    await client.until('still here')
    expect(balancer.kill('plain')).toBe(1)
    expect(statusOf(balancer, 'plain')).toMatchObject({ connections: 0, total: 1 })
  })

  it('changes weight, maxConnections and backup of a backend that stays', () => {
    const balancer = balancerOf({ backends: [A, B] })
    const events = eventsOf(balancer)
    balancer.update({ backends: [{ ...A, weight: 3, maxConnections: 7 }, B, { ...C, backup: true }] })
    expect(chooseMany(balancer, 8).filter((id) => id === 'a')).toHaveLength(6)
    expect(balancer.backends).toMatchObject([{ weight: 3, maxConnections: 7 }, { weight: 1 }, { backup: true }])
    balancer.update({ backends: [{ ...A, backup: true }, B] })
    expect(new Set(chooseMany(balancer, 4))).toEqual(new Set(['b']))
    expect(events).toEqual(['add c', 'remove c'])
  })

  it.each<[what: string, other: BackendOptions]>([
    ['port', { port: 9, id: 'a' }],
    ['host', { port: 1, host: '::1', id: 'a' }],
    ['tls', { port: 1, tls: true, id: 'a' }],
    ['form', { path: '/x', id: 'a' }],
  ])('takes one with the same id and another %s for another', (_, other) => {
    const balancer = balancerOf({ backends: [A, B] })
    balancer.drain('a')
    fail(balancer, 'a')
    const events = eventsOf(balancer)
    balancer.update({ backends: [other, B] })
    expect(events).toEqual(['remove a', 'add a'])
    expect(statusOf(balancer, 'a')).toMatchObject({ state: 'up', draining: false, failures: 0 })
    expect(comeBack(balancer, stickyOf('a'))).toBe('a')
  })

  it('restores removed backends and removes added ones', () => {
    const balancer = balancerOf({ backends: [A, B] })
    balancer.remove('a')
    balancer.add(C)
    balancer.update({ backends: [A, B] })
    expect(balancer.backends.map(({ id }) => id)).toEqual(['a', 'b'])
  })

  it('changes the algorithm, the key and the failover', () => {
    const backends = [A, B, C]
    const balancer = balancerOf({ backends })
    balancer.update({ backends, algorithm: 'hash', failover: 'persist', ...QUIET })
    expect(new Set(chooseMany(balancer, 5)).size).toBe(1)
    fail(balancer, 'a')
    expect(comeBack(balancer, stickyOf('a'))).toBeUndefined()
    balancer.update({ backends, algorithm: 'hash', key: 'path', ...QUIET })
    expect(comeBack(balancer, stickyOf('a'))).not.toBe('a')
    const at = (address: string) => lookUp(balancer, requestHead(), clientAt(address))!.backend.id
    expect(new Set(['1', '2', '3', '4', '5', '6', '7', '8'].map((n) => at(`10.0.0.${n}`))).size).toBe(1)
  })

  it('keeps the round robin position if the algorithm stays', () => {
    const balancer = balancerOf({ backends: [A, B, C] })
    expect(chooseMany(balancer, 2)).toEqual(['a', 'b'])
    balancer.update({ backends: [A, B, C] })
    expect(chooseMany(balancer, 2)).toEqual(['c', 'a'])
  })

  it('keeps a backend down when its checks change, until one passes', async () => {
    const [dead, alive] = [await deadPort(), await Backend.start()]
    const backends = [
      { port: dead, id: 'dead' },
      { port: alive.port, id: 'alive' },
    ]
    const balancer = balancerOf({ backends })
    fail(balancer, 'dead')
    fail(balancer, 'alive')
    const before = statusOf(balancer, 'alive')
    const events = eventsOf(balancer)
    balancer.update({ backends, health: { interval: 10, rise: 1 } })
    expect(events).toEqual([])
    expect(statusOf(balancer, 'alive')).toMatchObject({
      state: 'down',
      since: before.since,
      lastError: before.lastError,
      failures: 1,
    })
    expect(statusOf(balancer, 'alive').retryAt).toBeLessThan(before.retryAt!)
    const [status] = await once(balancer, 'up')
    expect(status).toMatchObject({ id: 'alive', state: 'up' })
    expect(events).toEqual(['up alive'])
  })

  it.each<[what: string, options: object, message: string]>([
    [
      'an option',
      { backends: [C], algorithm: 'fast' },
      "algorithm: expected 'round-robin', 'least-connections', 'random-two' or 'hash', got 'fast'",
    ],
    ['a backend', { backends: [C, { port: 0 }] }, 'backends[1].port: expected an integer from 1 to 65535, got 0'],
    [
      'an id',
      { backends: [C, { port: 9, id: 'c' }] },
      "backends[1].id: expected an id that no other backend has, got 'c'",
    ],
    ['health', { backends: [C], health: { rise: 0 } }, 'health.rise: expected an integer from 1 to '],
  ])('changes nothing where it throws: %s', (_, options, message) => {
    const balancer = balancerOf({ backends: [A, B] })
    balancer.drain('b')
    const before = balancer.backends
    const events = eventsOf(balancer)
    expect(() => balancer.update(options as BalancerOptions)).toThrow(message)
    expect(balancer.backends).toEqual(before)
    expect(chooseMany(balancer, 2)).toEqual(['a', 'a'])
    expect(events).toEqual([])
  })

  it('ignores later changes to the options object', () => {
    const tls = { servername: 'x' }
    const a = { ...A, tls }
    const backends = [a]
    const balancer = balancerOf({ backends })
    tls.servername = 'y'
    a.port = 9
    backends.push({ ...B, tls })
    expect(lookUp(balancer, requestHead(), CLIENT)).toMatchObject({ port: 1, tls: { servername: 'x' } })
    expect(balancer.backends).toHaveLength(1)
  })
})
