import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Balancer } from '../../src/balancer/index.ts'
import { createServer } from '../../src/proxy/index.ts'
import { Backend, connect, deadPort, listen, type Peer } from '../helpers/net.ts'
import { stopClocks } from './health/support.ts'
import {
  ask,
  balancerOf,
  choose,
  chooseMany,
  comeBack,
  eventsOf,
  idle,
  Named,
  nameIn,
  statusOf,
  stickyOf,
  until,
} from './support.ts'

const TWO = [
  { port: 1, id: 'a' },
  { port: 2, id: 'b' },
]
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

async function start({ lookup, errback }: Balancer): Promise<number> {
  return await listen(createServer({ lookup, errback }))
}

/** A client and the backend it reached. */
async function pair(port: number, backend: Backend): Promise<[client: Peer, upstream: Peer]> {
  const client = await connect(port)
  client.write(GET)
  const upstream = await backend.next()
  await upstream.until('\r\n\r\n')
  return [client, upstream]
}

describe('drain', () => {
  it('accepts returning clients only', () => {
    const balancer = balancerOf({ backends: TWO })
    balancer.drain('a')
    expect(new Set(chooseMany(balancer, 5))).toEqual(new Set(['b']))
    expect(comeBack(balancer, stickyOf('a'))).toBe('a')
    expect(statusOf(balancer, 'a')).toMatchObject({ draining: true, state: 'up' })
  })

  it('reports when it began', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 })
    onTestFinished(() => void vi.useRealTimers())
    const balancer = balancerOf({ backends: TWO })
    expect(statusOf(balancer, 'a')).toMatchObject({ since: 1_000_000, drainingSince: undefined })
    vi.setSystemTime(1_240_000)
    balancer.drain('a')
    vi.setSystemTime(1_241_500)
    balancer.drain('a')
    expect(statusOf(balancer, 'a')).toMatchObject({ since: 1_000_000, drainingSince: 1_240_000 })
    balancer.ready('a')
    expect(statusOf(balancer, 'a')).toMatchObject({ since: 1_000_000, drainingSince: undefined })
  })

  it('leaves no backend for new clients if it is the last', () => {
    const balancer = balancerOf({ backends: [TWO[0]!] })
    balancer.drain('a')
    expect(choose(balancer)).toBeUndefined()
    expect(comeBack(balancer, stickyOf('a'))).toBe('a')
  })

  it('keeps open connections', async () => {
    const backend = await Backend.start()
    const balancer = balancerOf({ backends: [{ port: backend.port, id: 'a' }] })
    const [client, upstream] = await pair(await start(balancer), backend)
    balancer.drain('a')
    client.write('more')
    await upstream.until('more')
    expect(statusOf(balancer, 'a').connections).toBe(1)
  })

  it('ends with ready', () => {
    const balancer = balancerOf({ backends: TWO })
    balancer.drain('a')
    balancer.ready('a')
    expect(new Set(chooseMany(balancer, 4))).toEqual(new Set(['a', 'b']))
    expect(statusOf(balancer, 'a').draining).toBe(false)
  })

  it('excludes the backend from failover', async () => {
    const [alive, spare] = [await Named.start('alive'), await Named.start('spare')]
    const balancer = balancerOf({
      backends: [
        { port: await deadPort(), id: 'dead' },
        { port: alive.port, id: 'alive' },
        { port: spare.port, id: 'spare', backup: true },
      ],
    })
    balancer.drain('alive')
    expect(nameIn(await ask(await start(balancer)))).toBe('spare')
  })
})

describe('remove', () => {
  it('keeps open connections and forgets sticky values', async () => {
    const backend = await Backend.start()
    const balancer = balancerOf({ backends: [{ port: backend.port, id: 'a' }, TWO[1]!] })
    const [client, upstream] = await pair(await start(balancer), backend)
    balancer.remove('a')
    expect(balancer.backends.map(({ id }) => id)).toEqual(['b'])
    expect(balancer.removed).toMatchObject([{ id: 'a', connections: 1, total: 1 }])
    upstream.write('still here')
    await client.until('still here')
    expect(balancer.removed).toMatchObject([{ id: 'a', connections: 1, total: 1 }])
    upstream.end()
    client.end()
    await until(() => balancer.removed.length === 0)
    expect([1, 2].map(() => comeBack(balancer, stickyOf('a')))).toEqual(['b', 'b'])
  })

  it('emits one event per backend, with health checks too', async () => {
    const backend = await Backend.start()
    const balancer = balancerOf({ backends: [{ port: backend.port, id: 'a' }, TWO[1]!], health: { interval: 5 } })
    await backend.next()
    const events = eventsOf(balancer)
    balancer.remove('a')
    balancer.remove('b')
    expect(events).toEqual(['remove a', 'remove b'])
    expect(balancer.backends).toEqual([])
  })

  it.each(['redispatch', 'persist'] as const)('sends on a client that waits for it, %s', async (failover) => {
    // It accepts and never finishes the TLS handshake.
    const mute = await Backend.start()
    const other = await Named.start('b')
    const a = { port: mute.port, id: 'a', tls: true }
    const balancer = balancerOf({ backends: [a, { port: other.port, id: 'b' }], failover })
    const { lookup, errback } = balancer
    const port = await listen(createServer({ lookup: (head, by) => lookup(head, stickyOf('a'), by), errback }))
    const answer = ask(port)
    await mute.next()
    stopClocks('setTimeout')
    balancer.remove('a')
    vi.advanceTimersByTime(999)
    expect(balancer.removed).toMatchObject([{ id: 'a', connections: 1 }])
    vi.advanceTimersByTime(1)
    expect(nameIn(await answer)).toBe('b')
    expect(balancer.removed).toEqual([])
  })

  it.each([
    ['drains', TWO[1]!],
    ['speaks another protocol', { ...TWO[1]!, protocol: 'h2' as const }],
  ])('does not send on a client if the other backend %s', async (why, other) => {
    const mute = await Backend.start()
    const balancer = balancerOf({ backends: [{ port: mute.port, id: 'a', tls: true, protocol: 'h1' }, other] })
    const answer = ask(await start(balancer))
    const peer = await mute.next()
    stopClocks('setTimeout')
    if (why === 'drains') balancer.drain('b')
    balancer.remove('a')
    vi.advanceTimersByTime(1_000)
    expect(balancer.removed).toMatchObject([{ id: 'a', connections: 1 }])
    peer.reset()
    expect(await answer).toMatch(/^HTTP\/1.1 503 /)
  })

  it('lets a connect in progress finish', async () => {
    const balancer = balancerOf({ backends: [{ port: await deadPort(), id: 'a' }, TWO[1]!] })
    const { lookup } = balancer
    const events = eventsOf(balancer)
    const server = createServer({
      lookup: (head, client) => {
        const route = lookup(head, client)
        balancer.remove('a')
        balancer.remove('b')
        return route
      },
      errback: balancer.errback,
    })
    expect(await ask(await listen(server))).toMatch(/^HTTP\/1.1 503 /)
    expect(events).toEqual(['remove a', 'remove b'])
  })
})

describe('add', () => {
  it('lets the backend accept new and returning clients at once', () => {
    const balancer = balancerOf({ backends: [TWO[0]!] })
    expect(balancer.lookup).toBeDefined()
    balancer.add(TWO[1]!)
    expect(new Set(chooseMany(balancer, 4))).toEqual(new Set(['a', 'b']))
    expect(comeBack(balancer, stickyOf('b'))).toBe('b')
    expect(statusOf(balancer, 'b')).toMatchObject({ address: 'localhost:2', connections: 0, state: 'up' })
  })

  it('refuses an id in use and changes nothing', () => {
    const balancer = balancerOf({ backends: TWO })
    const events = eventsOf(balancer)
    expect(() => balancer.add({ port: 9, id: 'a' })).toThrow(
      new TypeError("backend.id: expected an id that no other backend has, got 'a'"),
    )
    expect(statusOf(balancer, 'a').address).toBe('localhost:1')
    expect(events).toEqual([])
  })

  it('adds a removed backend as a new one', () => {
    const balancer = balancerOf({ backends: TWO })
    balancer.drain('a')
    balancer.remove('a')
    balancer.add(TWO[0]!)
    expect(statusOf(balancer, 'a').draining).toBe(false)
    expect(balancer.backends.map(({ id }) => id)).toEqual(['b', 'a'])
  })

  it('keeps the connections of a removed backend, but not its drain and weight', async () => {
    const backend = await Backend.start()
    const options = { port: backend.port, id: 'a', maxConnections: 2 }
    const balancer = balancerOf({ backends: [options] })
    const port = await start(balancer)
    await pair(port, backend)
    balancer.drain('a')
    balancer.setWeight('a', 7)
    for (let i = 0; i < 2; i++) {
      balancer.remove('a')
      balancer.add(options)
      expect(balancer.removed).toEqual([])
      const begun = { connections: 1, total: 1, draining: false, weight: 1, state: 'up' }
      expect(statusOf(balancer, 'a')).toMatchObject(begun)
    }
    await pair(port, backend)
    expect(await ask(port)).toMatch(/^HTTP\/1.1 503 /)
    expect(balancer.kill('a')).toBe(2)
    await idle(balancer)
  })

  it('lists a backend that comes back when its drain ends', async () => {
    const backend = await Backend.start()
    const options = { port: backend.port, id: 'a' }
    const balancer = balancerOf({ backends: [options] })
    await pair(await start(balancer), backend)
    balancer.drain('a')
    balancer.remove('a')
    const ready: string[][] = []
    balancer.on('ready', () => ready.push(balancer.backends.map(({ id }) => id)))
    balancer.add(options)
    expect(ready).toEqual([['a']])
  })

  it('is checked again if it was removed with open connections', async () => {
    const [backend, checks] = [await Backend.start(), await Backend.start()]
    const options = { port: backend.port, id: 'a' }
    const balancer = balancerOf({ backends: [options], health: { interval: 5, port: checks.port } })
    const port = await start(balancer)
    await checks.next()
    await pair(port, backend)
    balancer.remove('a')
    balancer.add(options)
    checks.reset()
    await checks.next()
    expect(statusOf(balancer, 'a')).toMatchObject({ connections: 1, state: 'up' })
  })

  it('counts the connections of another backend with this id separately', async () => {
    const backend = await Backend.start()
    const options = { port: backend.port, id: 'a' }
    const balancer = balancerOf({ backends: [options] })
    const port = await start(balancer)
    const [client] = await pair(port, backend)
    balancer.remove('a')
    balancer.add({ ...options, host: '127.0.0.1' })
    await pair(port, backend)
    expect(statusOf(balancer, 'a')).toMatchObject({ connections: 1, total: 1 })
    client.reset()
    expect(balancer.kill('a')).toBe(1)
    await idle(balancer)
    expect(statusOf(balancer, 'a')).toMatchObject({ connections: 0, total: 1 })
  })
})

describe('kill', () => {
  it('resets open connections and returns how many', async () => {
    const [one, two] = [await Backend.start(), await Backend.start()]
    const balancer = balancerOf({
      backends: [
        { port: one.port, id: 'one' },
        { port: two.port, id: 'two' },
      ],
    })
    const port = await start(balancer)
    const pairs = [await pair(port, one), await pair(port, two), await pair(port, one)]
    expect(balancer.kill('one')).toBe(2)
    expect(statusOf(balancer, 'one').connections).toBe(0)
    for (const [client, upstream] of [pairs[0]!, pairs[2]!]) {
      await Promise.all([client.closed(), upstream.closed()])
      expect([client.error?.code, upstream.error?.code]).toEqual(['ECONNRESET', 'ECONNRESET'])
    }
    const [client, upstream] = pairs[1]!
    upstream.write('still here')
    await client.until('still here')
    expect(balancer.kill('one')).toBe(0)
    expect(statusOf(balancer, 'two').connections).toBe(1)
  })

  it('leaves the backend in use', async () => {
    const balancer = balancerOf({ backends: TWO })
    expect(balancer.kill('a')).toBe(0)
    expect(choose(balancer)).toBe('a')
  })
})

describe('an unknown id', () => {
  it.each(['remove', 'drain', 'ready', 'kill', 'history'] as const)('is refused by %s', (method) => {
    const balancer = balancerOf({ backends: TWO })
    const error = new RangeError("id: expected the id of a backend, got 'z'")
    for (const id of ['z', 'z']) expect(() => balancer[method](id)).toThrow(error)
    expect(() => balancer[method]('a')).not.toThrow()
    balancer.add({ port: 9, id: 'z' })
    expect(() => balancer[method]('z')).not.toThrow()
  })
})

it('setWeight refuses an unknown id', () => {
  const balancer = balancerOf({ backends: TWO })
  expect(() => balancer.setWeight('z', 1)).toThrow(new RangeError("id: expected the id of a backend, got 'z'"))
})

describe('close', () => {
  it('may be called twice; add and update throw afterwards', () => {
    const balancer = balancerOf({ backends: TWO, health: { interval: 5 } })
    balancer.close()
    balancer.close()
    for (const change of [() => balancer.add({ port: 3 }), () => balancer.update({})]) {
      expect(change).toThrow(new Error('the balancer is closed'))
    }
  })

  it('stops counting and emitting', async () => {
    const backend = await Backend.start()
    const balancer = balancerOf({ backends: [{ port: backend.port, id: 'a' }] })
    const events = eventsOf(balancer)
    const port = await start(balancer)
    const [client] = await pair(port, backend)
    balancer.close()
    expect(statusOf(balancer, 'a')).toMatchObject({ connections: 0, total: 1, bytesRead: GET.length })
    client.write('more')
    await pair(port, backend)
    expect(statusOf(balancer, 'a')).toMatchObject({ connections: 0, total: 1, bytesRead: GET.length })
    expect(events).toEqual([])
  })
})
