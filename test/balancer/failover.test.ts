import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Route } from '../../src/balancer/index.ts'
import { ProxyError } from '../../src/proxy/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'
import { blackHole } from '../helpers/black-hole.ts'
import { Backend, connect, deadPort, listen } from '../helpers/net.ts'
import { startProxy, Watch } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import {
  ask,
  balancerOf,
  CLIENT,
  chooseMany,
  cookieIn,
  eventsOf,
  idle,
  lookUp,
  Named,
  nameIn,
  request,
  requestHead,
  statusOf,
  stickyOf,
} from './support.ts'

const POST = request('POST /pay HTTP/1.1', 'Content-Length: 4').concat('once')

describe('an unreachable backend', () => {
  it('goes down at once, and the next backend gets the whole request once', async () => {
    const alive = await Named.start('alive')
    const balancer = balancerOf({
      backends: [
        { port: await deadPort(), id: 'dead' },
        { port: alive.port, id: 'alive' },
      ],
    })
    const events = eventsOf(balancer)
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    expect(nameIn(await ask(port, POST))).toBe('alive')
    expect(alive.requests).toEqual([{ line: 'POST /pay', body: 'once' }])
    expect(events).toEqual(['down dead'])
    expect(statusOf(balancer, 'dead')).toMatchObject({ state: 'down', failures: 1, total: 0, connections: 0 })
    expect(new Set(chooseMany(balancer, 4))).toEqual(new Set(['alive']))
    for (let i = 0; i < 3; i++) await ask(port, POST)
    expect(alive.requests).toHaveLength(4)
    expect(statusOf(balancer, 'dead').failures).toBe(1)
    expect(events).toEqual(['down dead'])
  })

  it('goes down after connectTimeout', async () => {
    const alive = await Named.start('alive')
    // The server never answers the TLS handshake.
    const mute = await Backend.start()
    const balancer = balancerOf({
      backends: [
        { port: mute.port, id: 'mute', tls: true },
        { port: alive.port, id: 'alive' },
      ],
    })
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback, connectTimeout: 20 })
    expect(nameIn(await ask(port, POST))).toBe('alive')
    const { state, lastError } = statusOf(balancer, 'mute')
    expect(state).toBe('down')
    expect(lastError?.message).toBe('CONNECT_TIMEOUT: the backend could not be reached within connectTimeout')
  })

  it('reports the reason', async () => {
    const dead = await deadPort()
    const balancer = balancerOf({ backends: [{ port: dead, id: 'dead' }] })
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    const before = Date.now()
    await ask(port)
    const { lastError, since, retryAt } = statusOf(balancer, 'dead')
    expect(lastError?.message).toBe(`connect ECONNREFUSED 127.0.0.1:${dead}; connect ECONNREFUSED ::1:${dead}`)
    expect(lastError!.at).toBeGreaterThanOrEqual(before)
    expect(since).toBeGreaterThanOrEqual(before)
    expect(retryAt).toBeGreaterThan(since)
  })

  it('comes up again after a successful probe', async () => {
    const path = join(temporaryDirectory(), 'app.sock')
    const balancer = balancerOf({ backends: [{ path, id: 'a' }], backoff: { min: 5, max: 20 } })
    const events = eventsOf(balancer)
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    expect(await ask(port)).toMatch(/^HTTP\/1.1 503 /)
    const { since } = statusOf(balancer, 'a')
    const up = once(balancer, 'up')
    await new Named('back').listen({ path })
    const [status] = await up
    expect(status).toMatchObject({ id: 'a', state: 'up', retryAt: undefined, failures: 1 })
    expect(status.since).toBeGreaterThanOrEqual(since)
    expect(nameIn(await ask(port))).toBe('back')
    expect(events).toEqual(['down a', 'up a'])
  })

  it('is skipped: each backend is tried once until one is reachable', async () => {
    const dead = await Promise.all(Array.from({ length: 6 }, () => deadPort()))
    const alive = await Named.start('alive')
    const backends = [
      ...dead.map((port, i) => ({ port, id: `dead${i}`, backup: i > 3 })),
      { port: alive.port, id: 'alive', backup: true },
    ]
    for (const algorithm of ['round-robin', 'least-connections', 'random-two', 'hash'] as const) {
      const balancer = balancerOf({ backends, algorithm })
      const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
      const watch = new Watch()
      expect(nameIn(await ask(port, POST))).toBe('alive')
      await idle(balancer)
      const tried = watch.all('routed').map(({ dest }) => (dest as Route).backend.id)
      expect(new Set(tried).size).toBe(tried.length)
      // The primaries first.
      expect(tried.slice(0, 4).sort()).toEqual(['dead0', 'dead1', 'dead2', 'dead3'])
      expect(tried.at(-1)).toBe('alive')
      expect(balancer.backends.filter(({ failures }) => failures > 0)).toHaveLength(tried.length - 1)
    }
    expect(alive.requests).toHaveLength(4)
  })

  it('is not tried by other clients meanwhile and goes down once', async () => {
    const balancer = balancerOf({ backends: [{ port: await deadPort(), id: 'dead' }] })
    const events = eventsOf(balancer)
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(port)))
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1.1 503 /)
    expect(events).toEqual(['down dead'])
  })
})

describe('an unreachable home', () => {
  const setUp = async (failover: 'redispatch' | 'persist') => {
    const alive = await Named.start('alive')
    const balancer = balancerOf({
      backends: [
        { port: await deadPort(), id: 'dead', weight: 0 },
        { port: alive.port, id: 'alive' },
      ],
      failover,
      secret: 's',
    })
    const server = createStickyServer(balancer.lookup, balancer.errback, { cookie: { indirect: true } })
    return { balancer, alive, port: await listen(server) }
  }
  const back = (id: string) => request('GET / HTTP/1.1', `Cookie: sticky=${stickyOf(id, 's')}`)

  it('is replaced by another backend with redispatch', async () => {
    const { port } = await setUp('redispatch')
    // The first client finds out; the second benefits.
    for (let i = 0; i < 2; i++) {
      const answer = await ask(port, back('dead'))
      expect(nameIn(answer)).toBe('alive')
      expect(cookieIn(answer)).toBe(`sticky=${stickyOf('alive', 's')}`)
    }
  })

  it('makes a 503 with persist', async () => {
    const { port, alive, balancer } = await setUp('persist')
    for (let i = 0; i < 2; i++) expect(await ask(port, back('dead'))).toMatch(/^HTTP\/1.1 503 /)
    expect(alive.requests).toEqual([])
    expect(statusOf(balancer, 'dead').failures).toBe(1)
    expect(nameIn(await ask(port, back('alive')))).toBe('alive')
  })
})

describe('persist', () => {
  it('lets a client without a home go to the next backend', async () => {
    const alive = await Named.start('alive')
    const balancer = balancerOf({ backends: [{ port: await deadPort() }, { port: alive.port }], failover: 'persist' })
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    expect(nameIn(await ask(port, POST))).toBe('alive')
  })
})

describe('a client of a backend that goes down', () => {
  it('keeps its connection', async () => {
    const backend = await Backend.start()
    const balancer = balancerOf({ backends: [{ port: backend.port, id: 'a' }] })
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    const client = await connect(port)
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const upstream = await backend.next()
    await upstream.until('\r\n\r\n')
    const down = once(balancer, 'down')
    const route = lookUp(balancer, requestHead(), CLIENT)!
    void balancer.errback(new ProxyError('CONNECT_FAILED', 'connect', new Error('refused')), route, requestHead())
    await down
    upstream.write('still here')
    await client.until('still here')
    expect(statusOf(balancer, 'a')).toMatchObject({ state: 'down', connections: 1 })
  })
})

describe('a connect in progress to a backend that goes down', () => {
  const REQUEST = 'POST /once HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody'

  it('moves to another backend when a health check times out', async () => {
    const hole = await blackHole()
    const named = await Named.start('next')
    const balancer = balancerOf({
      backends: [
        { port: hole, host: '127.0.0.1', id: 'hole' },
        { port: named.port, id: 'next', backup: true },
      ],
      health: { interval: 500, timeout: 300 },
    })
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback, connectTimeout: 0 })
    const answers = await Promise.all([ask(port, REQUEST), ask(port, REQUEST), ask(port, REQUEST)])
    expect(answers.map(nameIn)).toEqual(['next', 'next', 'next'])
    expect(named.requests).toEqual(Array(3).fill({ line: 'POST /once', body: 'body' }))
    expect(statusOf(balancer, 'hole')).toMatchObject({ state: 'down', failures: 3, connections: 0 })
  })
})
