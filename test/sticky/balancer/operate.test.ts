import { describe, expect, it } from 'vitest'
import { createServer } from '../../../src/proxy/index.ts'
import type { Balancer } from '../../../src/sticky/index.ts'
import { Backend, connect, deadPort, listen, type Peer } from '../../helpers/net.ts'
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
} from './support.ts'

const TWO = [
  { port: 1, id: 'a' },
  { port: 2, id: 'b' },
]
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

async function start({ lookup, errback }: Balancer): Promise<number> {
  return await listen(createServer({ lookup, errback }))
}

/** A client and the backend that it has reached. */
async function pair(port: number, backend: Backend): Promise<[client: Peer, upstream: Peer]> {
  const client = await connect(port)
  client.write(GET)
  const upstream = await backend.next()
  await upstream.until('\r\n\r\n')
  return [client, upstream]
}

describe('drain', () => {
  it('keeps those whose home it is, and takes nobody new', () => {
    const balancer = balancerOf({ backends: TWO })
    balancer.drain('a')
    expect(new Set(chooseMany(balancer, 5))).toEqual(new Set(['b']))
    expect(comeBack(balancer, stickyOf('a'))).toBe('a')
    expect(statusOf(balancer, 'a')).toMatchObject({ draining: true, state: 'up' })
  })

  it('leaves nobody for new clients where it is the last', () => {
    const balancer = balancerOf({ backends: [TWO[0]!] })
    balancer.drain('a')
    expect(choose(balancer)).toBeUndefined()
    expect(comeBack(balancer, stickyOf('a'))).toBe('a')
  })

  it('keeps what is open', async () => {
    const backend = await Backend.start()
    const balancer = balancerOf({ backends: [{ port: backend.port, id: 'a' }] })
    const [client, upstream] = await pair(await start(balancer), backend)
    balancer.drain('a')
    client.write('more')
    await upstream.until('more')
    expect(statusOf(balancer, 'a').connections).toBe(1)
  })

  it('is ended by ready', () => {
    const balancer = balancerOf({ backends: TWO })
    balancer.drain('a')
    balancer.ready('a')
    expect(new Set(chooseMany(balancer, 4))).toEqual(new Set(['a', 'b']))
    expect(statusOf(balancer, 'a').draining).toBe(false)
  })

  it('is no place to fail over to', async () => {
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
  it('keeps what is open, and forgets whose home it was', async () => {
    const backend = await Backend.start()
    const balancer = balancerOf({ backends: [{ port: backend.port, id: 'a' }, TWO[1]!] })
    const [client, upstream] = await pair(await start(balancer), backend)
    balancer.remove('a')
    expect(balancer.backends.map(({ id }) => id)).toEqual(['b'])
    upstream.write('still here')
    await client.until('still here')
    expect([1, 2].map(() => comeBack(balancer, stickyOf('a')))).toEqual(['b', 'b'])
  })

  it('is told once for each, also where they are checked', async () => {
    const backend = await Backend.start()
    const balancer = balancerOf({ backends: [{ port: backend.port, id: 'a' }, TWO[1]!], health: { interval: 5 } })
    await backend.next()
    const events = eventsOf(balancer)
    balancer.remove('a')
    balancer.remove('b')
    expect(events).toEqual(['remove a', 'remove b'])
    expect(balancer.backends).toEqual([])
  })

  it('leaves the last connect to a backend that is gone to itself', async () => {
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
  it('takes clients at once, also those that have it as their home already', () => {
    const balancer = balancerOf({ backends: [TWO[0]!] })
    expect(balancer.lookup).toBeDefined()
    balancer.add(TWO[1]!)
    expect(new Set(chooseMany(balancer, 4))).toEqual(new Set(['a', 'b']))
    expect(comeBack(balancer, stickyOf('b'))).toBe('b')
    expect(statusOf(balancer, 'b')).toMatchObject({ address: '127.0.0.1:2', connections: 0, state: 'up' })
  })

  it('refuses an id that is taken, and changes nothing', () => {
    const balancer = balancerOf({ backends: TWO })
    const events = eventsOf(balancer)
    expect(() => balancer.add({ port: 9, id: 'a' })).toThrow(
      new TypeError("backend.id: got 'a'; takes an id that no other backend has"),
    )
    expect(statusOf(balancer, 'a').address).toBe('127.0.0.1:1')
    expect(events).toEqual([])
  })

  it('can bring back what was removed, as new', () => {
    const balancer = balancerOf({ backends: TWO })
    balancer.drain('a')
    balancer.remove('a')
    balancer.add(TWO[0]!)
    expect(statusOf(balancer, 'a').draining).toBe(false)
    expect(balancer.backends.map(({ id }) => id)).toEqual(['b', 'a'])
  })

  it('counts what another of the same id had open for that one', async () => {
    const backend = await Backend.start()
    const options = { port: backend.port, id: 'a' }
    const balancer = balancerOf({ backends: [options] })
    const port = await start(balancer)
    const [client] = await pair(port, backend)
    balancer.remove('a')
    balancer.add(options)
    await pair(port, backend)
    expect(statusOf(balancer, 'a')).toMatchObject({ connections: 1, total: 1 })
    client.reset()
    expect(balancer.kill('a')).toBe(1)
    await idle(balancer)
    expect(statusOf(balancer, 'a')).toMatchObject({ connections: 0, total: 1 })
  })
})

describe('kill', () => {
  it('resets what the backend has open, and says how many', async () => {
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

describe('an id that is unknown', () => {
  it.each(['remove', 'drain', 'ready', 'kill'] as const)('is refused by %s', (method) => {
    const balancer = balancerOf({ backends: TWO })
    const error = new RangeError("id: got 'z'; takes the id of a backend")
    for (const id of ['z', 'z']) expect(() => balancer[method](id)).toThrow(error)
    expect(() => balancer[method]('a')).not.toThrow()
    balancer.add({ port: 9, id: 'z' })
    expect(() => balancer[method]('z')).not.toThrow()
  })
})

describe('close', () => {
  it('may come twice, and refuses what would start anew', () => {
    const balancer = balancerOf({ backends: TWO, health: { interval: 5 } })
    balancer.close()
    balancer.close()
    for (const change of [() => balancer.add({ port: 3 }), () => balancer.update({})]) {
      expect(change).toThrow(new Error('the balancer is closed'))
    }
  })

  it('ends what it hears and tells', async () => {
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
