import { describe, expect, it } from 'vitest'
import { connect, deadPort } from '../helpers/net.ts'
import { startProxy } from '../helpers/proxy.ts'
import {
  ask,
  balancerOf,
  CLIENT,
  choose,
  chooseMany,
  comeBack,
  idle,
  lookUp,
  Named,
  nameIn,
  requestHead,
  stickyOf,
  until,
} from './support.ts'

const A = { port: 1, id: 'a' }
const B = { port: 2, id: 'b' }
const C = { port: 3, id: 'c' }

/** Listens on one address of localhost, on a port that nobody uses on the other one. */
async function listenAlone(named: Named, host: '127.0.0.1' | '::1'): Promise<void> {
  for (;;) {
    try {
      return await named.listen({ port: await deadPort(host === '::1' ? '127.0.0.1' : '::1'), host })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
}

/** Opens connections of new clients one after the other, and keeps them. */
async function hold(balancer: ReturnType<typeof balancerOf>, count: number) {
  const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
  const clients = []
  for (let i = 0; i < count; i++) {
    const before = balancer.backends.reduce((sum, { connections }) => sum + connections, 0)
    const client = await connect(port)
    client.write('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n')
    await until(() => balancer.backends.reduce((sum, { connections }) => sum + connections, 0) > before)
    clients.push(client)
  }
  return clients
}

/** A balancer whose backend is down. */
async function failOn(balancer: ReturnType<typeof balancerOf>, id: string): Promise<void> {
  const { port } = await startProxy({
    lookup: (head) => lookUp(balancer, head, stickyOf(id), CLIENT),
    errback: () => undefined,
  })
  const client = await connect(port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.closed()
}

describe('the Dest', () => {
  it('has the address of the backend in the form it was given', () => {
    const balancer = balancerOf({
      backends: [
        { port: 3001 },
        { port: 3002, host: '::1', tls: true },
        { path: '/run/app.sock', tls: { servername: 'app' } },
      ],
    })
    const routes = [1, 2, 3].map(() => lookUp(balancer, requestHead(), CLIENT)!)
    expect(routes).toMatchObject([
      { port: 3001, host: 'localhost' },
      { port: 3002, host: '::1', tls: true },
      { path: '/run/app.sock', tls: { servername: 'app' } },
    ])
    expect(routes[0]).not.toHaveProperty('tls')
    expect(routes[2]).not.toHaveProperty('port')
    expect(routes.map(({ backend }) => backend.id)).toEqual(['localhost:3001', '[::1]:3002', 'unix:/run/app.sock'])
    expect(Object.getPrototypeOf(routes[0])).toBe(Object.prototype)
  })

  it('of a bare port is localhost, IPv4 or IPv6', async () => {
    for (const host of ['127.0.0.1', '::1'] as const) {
      const named = new Named(host === '::1' ? 'six' : 'four')
      await listenAlone(named, host)
      const balancer = balancerOf({ backends: [{ port: named.port }] })
      const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
      expect(nameIn(await ask(port))).toBe(named.name)
      expect(balancer.backends[0]).toMatchObject({ id: `localhost:${named.port}`, state: 'up' })
    }
  })

  it('is a new object for each client', () => {
    const balancer = balancerOf({ backends: [A] })
    const first = lookUp(balancer, requestHead(), CLIENT)!
    Object.assign(first, { port: 9, sticky: 'x' })
    expect(lookUp(balancer, requestHead(), CLIENT)).toMatchObject({ port: 1, sticky: stickyOf('a') })
  })
})

describe('a client without a home', () => {
  it('goes to the backends in turn, by weight', () => {
    const balancer = balancerOf({ backends: [{ ...A, weight: 3 }, B] })
    expect(chooseMany(balancer, 8).join('')).toBe('aabaaaba')
  })

  it.each([
    ['none', undefined],
    ['an empty one', ''],
    ['one of another make', 'AAAAAAAAAAAAAAAA'],
    ['an id', 'a'],
    ['an address', '127.0.0.1:1'],
    ['the value of an unknown backend', stickyOf('z')],
    ['one that is cut off', stickyOf('a').slice(0, -1)],
    ['one that is too long', `${stickyOf('a')}A`],
    ['the name of a method', 'constructor'],
    ['__proto__', '__proto__'],
  ])('is one that brings %s', (_, sticky) => {
    for (const failover of ['redispatch', 'persist'] as const) {
      const balancer = balancerOf({ backends: [A, B], failover })
      expect([comeBack(balancer, sticky), comeBack(balancer, sticky)]).toEqual(['a', 'b'])
    }
  })

  it('gets nothing if there is no backend', () => {
    expect(choose(balancerOf())).toBeUndefined()
    expect(choose(balancerOf({ backends: [] }))).toBeUndefined()
  })

  it('does not go to a backend of weight 0', () => {
    expect(new Set(chooseMany(balancerOf({ backends: [{ ...A, weight: 0 }, B] }), 5))).toEqual(new Set(['b']))
    expect(choose(balancerOf({ backends: [{ ...A, weight: 0 }] }))).toBeUndefined()
  })

  it('goes to a backup only if no primary is available', async () => {
    const balancer = balancerOf({
      backends: [
        { port: await deadPort(), id: 'a' },
        { ...B, backup: true },
        { ...C, backup: true },
      ],
    })
    expect(new Set(chooseMany(balancer, 5))).toEqual(new Set(['a']))
    await failOn(balancer, 'a')
    expect(chooseMany(balancer, 4)).toEqual(['b', 'c', 'b', 'c'])
  })

  it.each([
    ['draining', (balancer: ReturnType<typeof balancerOf>) => balancer.drain('a')],
    [
      'of weight 0',
      (balancer) =>
        balancer.update({
          backends: [
            { ...A, weight: 0 },
            { ...B, backup: true },
          ],
        }),
    ],
    ['removed', (balancer) => balancer.remove('a')],
  ])('goes to a backup where the only primary is %s', (_, change) => {
    const balancer = balancerOf({ backends: [A, { ...B, backup: true }] })
    expect(choose(balancer)).toBe('a')
    change(balancer)
    expect(choose(balancer)).toBe('b')
  })

  it('does not go to a full backend', async () => {
    const [one, two] = [await Named.start('one'), await Named.start('two')]
    const balancer = balancerOf({
      backends: [
        { port: one.port, id: 'one', maxConnections: 2 },
        { port: two.port, id: 'two', maxConnections: 1, backup: true },
      ],
    })
    const clients = await hold(balancer, 3)
    expect(balancer.backends).toMatchObject([{ connections: 2, maxConnections: 2 }, { connections: 1 }])
    expect(choose(balancer)).toBeUndefined()
    clients[2]!.reset()
    await until(() => balancer.backends[1]!.connections === 0)
    expect(choose(balancer)).toBe('two')
    clients[0]!.reset()
    await until(() => balancer.backends[0]!.connections === 1)
    expect(choose(balancer)).toBe('one')
  })
})

describe('a returning client', () => {
  it('goes home every time', () => {
    const balancer = balancerOf({ backends: [A, B, C] })
    for (const id of ['c', 'a', 'c', 'b', 'b']) expect(comeBack(balancer, stickyOf(id))).toBe(id)
    expect(choose(balancer)).toBe('a')
  })

  it('gets the same value again', () => {
    const balancer = balancerOf({ backends: [A, B] })
    expect(lookUp(balancer, requestHead(), stickyOf('b'), CLIENT)).toMatchObject({
      sticky: stickyOf('b'),
      isHome: true,
    })
  })

  it.each([
    ['is draining', {}, true],
    ['has weight 0', { weight: 0 }, false],
    ['is a backup', { backup: true }, false],
    ['is a draining backup of weight 0', { backup: true, weight: 0 }, true],
  ])('goes home where that %s', (_, options, isDraining) => {
    const balancer = balancerOf({ backends: [A, { ...B, ...options }] })
    if (isDraining) balancer.drain('b')
    expect(comeBack(balancer, stickyOf('b'))).toBe('b')
    expect(new Set(chooseMany(balancer, 4))).toEqual(new Set(['a']))
  })

  it('gets a new home and sticky value if its own is down', async () => {
    const balancer = balancerOf({ backends: [{ port: await deadPort(), id: 'a' }, B] })
    await failOn(balancer, 'a')
    const route = lookUp(balancer, requestHead(), stickyOf('a'), CLIENT)
    expect(route).toMatchObject({ port: 2, sticky: stickyOf('b'), isHome: false })
  })

  it('gets no other home with persist', async () => {
    const balancer = balancerOf({ backends: [{ port: await deadPort(), id: 'a' }, B], failover: 'persist' })
    await failOn(balancer, 'a')
    expect(comeBack(balancer, stickyOf('a'))).toBeUndefined()
    expect(comeBack(balancer, stickyOf('b'))).toBe('b')
    expect(choose(balancer)).toBe('b')
  })

  it.each([
    ['redispatch', 'two'],
    ['persist', undefined],
  ] as const)('to a home that is full: %s', async (failover, id) => {
    const [one, two] = [await Named.start('one'), await Named.start('two')]
    const balancer = balancerOf({
      backends: [
        { port: one.port, id: 'one', maxConnections: 1 },
        { port: two.port, id: 'two' },
      ],
      failover,
    })
    await hold(balancer, 1)
    expect(comeBack(balancer, stickyOf('one'))).toBe(id)
  })
})

describe('the algorithm', () => {
  it.each(['least-connections', 'random-two'] as const)('goes by what is open: %s', async (algorithm) => {
    const [one, two] = [await Named.start('one'), await Named.start('two')]
    const balancer = balancerOf({
      backends: [
        { port: one.port, id: 'one' },
        { port: two.port, id: 'two', weight: 3 },
      ],
      algorithm,
    })
    const clients = await hold(balancer, 7)
    // 1 : 3, and the eighth makes it even.
    const open = () => balancer.backends.map(({ connections }) => connections)
    expect([
      [1, 6],
      [2, 5],
    ]).toContainEqual(open())
    expect(new Set(chooseMany(balancer, 20))).toEqual(new Set([open()[0] === 1 ? 'one' : 'two']))
    for (const client of clients) client.reset()
    await idle(balancer)
    expect(new Set(chooseMany(balancer, 20))).toEqual(new Set(['two']))
  })
})

it('backendOf tells the backend of its own Dests and their copies', () => {
  const balancer = balancerOf({ backends: [A] })
  const other = balancerOf({ backends: [A] })
  const dest = lookUp(balancer, requestHead(), CLIENT)!
  expect([dest, { ...dest }].map((one) => balancer.backendOf(one)?.id)).toEqual(['a', 'a'])
  for (const one of [undefined, { port: 1 }, { port: 1, backend: { id: 'a' } }, lookUp(other, requestHead(), CLIENT)]) {
    expect(balancer.backendOf(one)).toBeUndefined()
  }
})
