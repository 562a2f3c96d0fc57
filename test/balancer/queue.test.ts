import { channel } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Balancer, BalancerOptions, Route } from '../../src/balancer/index.ts'
import { createServer, ProxyError } from '../../src/proxy/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'
import { Backend, connect, deadPort, listen, type Peer } from '../helpers/net.ts'
import { OK, Watch } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import {
  ask,
  balancerOf,
  CLIENT,
  eventsOf,
  idle,
  Named,
  nameIn,
  request,
  requestHead,
  stickyOf,
  until,
} from './support.ts'

const MINUTE = 60_000
type Requests = 'first' | 'every'
const MODES: readonly Requests[] = ['first', 'every']

/** The requests in the order in which backends got them. */
async function next(backend: Backend): Promise<{ peer: Peer; target: string }> {
  const peer = await backend.next()
  const text = await peer.until('\r\n\r\n')
  return { peer, target: /^\w+ (\S+)/.exec(text)![1]! }
}

/** A proxy before a backend with one place. */
async function onePlace(requests: Requests, options: BalancerOptions = {}) {
  const backend = await Backend.start()
  const balancer = balancerOf({
    backends: [{ port: backend.port, id: 'a', maxConnections: 1 }],
    queue: MINUTE,
    ...options,
  })
  const watch = new Watch()
  const { lookup, errback } = balancer
  const port = await listen(createServer({ lookup, errback, requests }))
  /** Sends a request, and resolves when the balancer has seen it. */
  const send = async (target: string, text = request(`GET ${target} HTTP/1.1`)) => {
    const client = await connect(port)
    const before = load(balancer)
    client.write(text)
    await until(() => load(balancer) > before)
    return client
  }
  return { backend, balancer, watch, port, send }
}

/** The requests that wait or have a backend. */
function load(balancer: Balancer): number {
  return balancer.queued + balancer.backends.reduce((sum, { connections }) => sum + connections, 0)
}

async function answer(client: Peer, peer: Peer): Promise<void> {
  peer.end(OK)
  expect(await client.ended()).toContain('\r\n\r\nok')
  client.end()
}

function fakeClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
}

describe.each(MODES)('with requests: %s', (requests) => {
  it('requests wait for a place, and are served in order of arrival', async () => {
    const { backend, balancer, send } = await onePlace(requests)
    const clients = []
    for (const target of ['/1', '/2', '/3', '/4']) clients.push(await send(target))
    expect(balancer.queued).toBe(3)
    for (const [i, client] of clients.entries()) {
      const { peer, target } = await next(backend)
      expect(target).toBe(`/${i + 1}`)
      expect(balancer.backends[0]).toMatchObject({ connections: 1 })
      expect(balancer.queued).toBe(3 - i)
      await answer(client, peer)
    }
    await idle(balancer)
    expect(backend.accepted).toBe(4)
  })

  it('a restart of the only backend costs a wait, and a body arrives once and whole', async () => {
    const path = join(temporaryDirectory(), 'app.sock')
    const balancer = balancerOf({ backends: [{ path, id: 'a' }], backoff: { min: 5, max: 20 }, queue: MINUTE })
    const { lookup, errback } = balancer
    const port = await listen(createServer({ lookup, errback, requests }))
    const client = await connect(port)
    client.write(request('POST /pay HTTP/1.1', 'Content-Length: 8').concat('once'))
    await until(() => balancer.queued === 1)
    expect(balancer.backends[0]).toMatchObject({ state: 'down' })
    client.write('more')
    const named = new Named('back')
    await named.listen({ path })
    expect(nameIn(await client.ended())).toBe('back')
    expect(named.requests).toEqual([{ line: 'POST /pay', body: 'oncemore' }])
    expect(balancer.queued).toBe(0)
  })

  it('a client gets a 503 with Retry-After after the time', async () => {
    const { balancer, watch, send } = await onePlace(requests, {
      queue: 5000,
      backends: [{ port: 1, maxConnections: 1 }],
    })
    balancer.drain('localhost:1')
    fakeClock()
    const client = await send('/')
    vi.advanceTimersByTime(4999)
    expect(balancer.queued).toBe(1)
    vi.advanceTimersByTime(1)
    expect(balancer.queued).toBe(0)
    expect(await client.ended()).toMatch(/^HTTP\/1.1 503 .*\r\nRetry-After: 1\r\n/is)
    expect(watch.codes).toEqual(['NO_DESTINATION'])
  })

  it('a client beyond the size gets a 503 at once', async () => {
    const { balancer, port, send } = await onePlace(requests, { queue: { timeout: MINUTE, size: 2 } })
    for (const target of ['/1', '/2', '/3']) await send(target)
    expect(await ask(port)).toMatch(/^HTTP\/1.1 503 /)
    expect(balancer.queued).toBe(2)
  })

  it.each<[how: string, leave: (client: Peer) => void, code: string]>([
    ['resets', (client) => client.reset(), 'CLIENT_RESET'],
    ['ends its side', (client) => client.end(), 'CLIENT_GONE'],
  ])('a client that %s leaves its place at once, and nothing is sent for it', async (_, leave, code) => {
    const { backend, balancer, watch, send } = await onePlace(requests)
    const [first, second, third] = [await send('/1'), await send('/2'), await send('/3')]
    leave(second)
    await until(() => balancer.queued === 1)
    expect(watch.codes).toEqual([code])
    await answer(first, (await next(backend)).peer)
    const { peer, target } = await next(backend)
    expect(target).toBe('/3')
    await answer(third, peer)
    await idle(balancer)
    expect(backend.accepted).toBe(2)
  })

  it.each<[how: string, end: (balancer: Balancer) => void]>([
    ['close()', (balancer) => balancer.close()],
    ['an update without a queue', (balancer) => balancer.update({ backends: [{ port: 1, maxConnections: 1 }] })],
  ])('%s ends the wait with a 503', async (_, end) => {
    const { balancer, send } = await onePlace(requests)
    await send('/1')
    const client = await send('/2')
    end(balancer)
    expect(await client.ended()).toMatch(/^HTTP\/1.1 503 /)
  })

  it('a drain of the proxy serves those that wait, and resets those left at its end', async () => {
    const backend = await Backend.start()
    const { lookup, errback } = balancerOf({ backends: [{ port: backend.port, maxConnections: 1 }], queue: MINUTE })
    const server = createServer({ lookup, errback, requests })
    const port = await listen(server)
    const clients = []
    for (let i = 0; i < 3; i++) {
      const client = await connect(port)
      client.write(request(`GET /${i} HTTP/1.1`))
      await until(() => server.counters.requests > i)
      clients.push(client)
    }
    fakeClock()
    const drained = server.drain(5000)
    await answer(clients[0]!, (await next(backend)).peer)
    expect((await next(backend)).target).toBe('/1')
    vi.advanceTimersByTime(5000)
    await drained
    await clients[2]!.closed()
    expect(clients[2]!.error?.code).toBe('ECONNRESET')
  })
})

describe('a client that returns to its home', () => {
  const setUp = async (failover: 'redispatch' | 'persist', queue = [MINUTE]) => {
    const [a, b] = [await Backend.start(), await Backend.start()]
    const balancer = balancerOf({
      backends: [
        { port: a.port, id: 'a', maxConnections: 1 },
        { port: b.port, id: 'b' },
      ],
      failover,
      queue: queue[0],
    })
    const watch = new Watch()
    const port = await listen(createStickyServer(balancer.lookup, balancer.errback))
    const clients: Peer[] = []
    for (const target of ['/1', '/2']) {
      const client = await connect(port)
      const before = load(balancer)
      client.write(request(`GET ${target} HTTP/1.1`, `Cookie: sticky=${stickyOf('a')}`))
      await until(() => load(balancer) > before)
      clients.push(client)
    }
    return { a, b, balancer, clients, watch }
  }
  /** Takes the home down by a failed connect of somebody else. */
  const takeDown = (balancer: Balancer, watch: Watch) => {
    const { backend } = watch.all('routed')[0]!.dest as Route
    const refused = new ProxyError('CONNECT_FAILED', 'connect', new Error('refused'))
    void balancer.errback(refused, { port: 1, backend } as object as Route, requestHead())
    expect(balancer.backends[0]).toMatchObject({ state: 'down' })
  }

  it.each(['redispatch', 'persist'] as const)('waits for it while it is full, with %s', async (failover) => {
    const { a, b, balancer, clients } = await setUp(failover)
    expect(balancer.queued).toBe(1)
    await answer(clients[0]!, (await next(a)).peer)
    const { peer, target } = await next(a)
    expect(target).toBe('/2')
    await answer(clients[1]!, peer)
    expect(b.accepted).toBe(0)
  })

  it.each([
    ['redispatch', { backend: { id: 'b' } }],
    ['persist', undefined],
  ] as const)('with %s, when the queue is full: %j', async (failover, expected) => {
    const { balancer, a, b } = await setUp(failover)
    balancer.update({
      backends: [
        { port: a.port, id: 'a', maxConnections: 1 },
        { port: b.port, id: 'b' },
      ],
      failover,
      queue: { timeout: MINUTE, size: 1 },
    })
    const route = balancer.lookup(requestHead(), stickyOf('a'), CLIENT)
    if (expected) expect(route).toMatchObject(expected)
    else expect(route).toBeUndefined()
  })

  it('goes elsewhere without a queue', async () => {
    const { b } = await setUp('redispatch', [])
    expect((await next(b)).target).toBe('/2')
  })

  it('goes elsewhere when it goes down, with redispatch', async () => {
    const { b, balancer, watch } = await setUp('redispatch')
    takeDown(balancer, watch)
    expect((await next(b)).target).toBe('/2')
    expect(balancer.queued).toBe(0)
  })

  it('waits on when it goes down, with persist', async () => {
    const { balancer, watch } = await setUp('persist')
    takeDown(balancer, watch)
    expect(balancer.queued).toBe(1)
  })

  it.each(['redispatch', 'persist'] as const)('goes elsewhere when it is removed, with %s', async (failover) => {
    const { b, balancer, clients } = await setUp(failover)
    balancer.remove('a')
    const { peer, target } = await next(b)
    expect(target).toBe('/2')
    await answer(clients[1]!, peer)
  })
})

describe('an embedder', () => {
  it('gets a promise of a Route, with the time that the request has waited', async () => {
    fakeClock()
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a', weight: 0 }], queue: 5000 })
    const route = balancer.lookup(requestHead(), CLIENT)
    vi.advanceTimersByTime(3000)
    balancer.update({ backends: [{ port: 1, id: 'a' }], queue: 5000 })
    const given = (await route) as Route
    expect(given).toMatchObject({ port: 1, tried: [], isHome: false, waited: 3000 })
    // It waits for the rest of the time after a failed connect.
    const again = balancer.errback(new ProxyError('CONNECT_FAILED', 'connect'), given, requestHead())
    expect(balancer.queued).toBe(1)
    vi.advanceTimersByTime(2000)
    expect(await again).toMatchObject({ status: 503 })
    expect(
      balancer.errback(new ProxyError('CONNECT_FAILED', 'connect'), { ...given, waited: 5000 } as Route, requestHead()),
    ).toMatchObject({
      status: 503,
    })
  })

  it('cannot take the place of a request that has waited', async () => {
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a', weight: 0 }], queue: MINUTE })
    const first = balancer.lookup(requestHead(), CLIENT)
    balancer.update({ backends: [{ port: 1, id: 'a', maxConnections: 1 }], queue: MINUTE })
    const second = balancer.lookup(requestHead(), CLIENT)
    expect(balancer.queued).toBe(1)
    expect(await first).toMatchObject({ port: 1 })
    // The first one has not used its place.
    expect(await second).toMatchObject({ port: 1 })
  })

  it('is served in order of arrival, whether it waits for a home or for any backend', async () => {
    const [free, full] = [{ maxConnections: 9 }, { maxConnections: 1 }]
    const of = (limit: object) => [
      { port: 1, id: 'a', ...limit },
      { port: 2, id: 'b', weight: 0, ...limit },
    ]
    const balancer = balancerOf({ backends: of(full), queue: MINUTE })
    for (const id of ['a', 'b']) {
      const dest = balancer.lookup(requestHead(), stickyOf(id), CLIENT)
      const connection = { state: 'Routing', bytesRead: 0, bytesWritten: 0 }
      channel('badass:connection:routed').publish({ connection, head: requestHead(), dest })
    }
    const order: number[] = []
    const homes = [undefined, 'a', 'b', undefined, 'b', 'a', undefined]
    const waits = homes.map(async (home, i) => {
      await balancer.lookup(requestHead(), home && stickyOf(home), CLIENT)
      order.push(i)
    })
    // Those of 'b' go to 'a' now.
    balancer.remove('b')
    expect(balancer.queued).toBe(7)
    balancer.update({ backends: of(free).slice(0, 1), queue: MINUTE })
    await Promise.all(waits)
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  it('gets a 503 at once where the only backend is up and fails for another reason', async () => {
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }], queue: 5000 })
    const route = balancer.lookup(requestHead(), CLIENT) as Route
    const cause = Object.assign(new Error('too many open files'), { code: 'EMFILE' })
    const error = new ProxyError('CONNECT_FAILED', 'connect', cause)
    expect(balancer.errback(error, route, requestHead())).toMatchObject({ status: 503 })
    expect(balancer.queued).toBe(0)
  })

  it('spreads those that waited over the backends that come up', async () => {
    const balancer = balancerOf({
      backends: [1, 2, 3].map((port) => ({ port, weight: 0, id: String(port) })),
      algorithm: 'least-connections',
      queue: MINUTE,
    })
    const routes = Array.from({ length: 6 }, () => balancer.lookup(requestHead(), CLIENT))
    balancer.update({
      backends: [1, 2, 3].map((port) => ({ port, id: String(port) })),
      algorithm: 'least-connections',
      queue: MINUTE,
    })
    const ids = (await Promise.all(routes)).map((route) => route!.backend.id)
    expect(ids.sort()).toEqual(['1', '1', '2', '2', '3', '3'])
  })
})

it('a dead backend that never comes back is tried once by each probe, and not by those that wait', async () => {
  const balancer = balancerOf({ backends: [{ port: await deadPort(), id: 'a' }], queue: MINUTE })
  const events = eventsOf(balancer)
  const { lookup, errback } = balancer
  const port = await listen(createServer({ lookup, errback }))
  for (let i = 1; i <= 3; i++) {
    const client = await connect(port)
    client.write(request())
    await until(() => balancer.queued === i)
  }
  expect(events).toEqual(['down a'])
  expect(balancer.backends[0]).toMatchObject({ failures: 1 })
})
