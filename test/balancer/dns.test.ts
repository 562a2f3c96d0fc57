import { once } from 'node:events'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Balancer, BalancerOptions } from '../../src/balancer/index.ts'
import { createServer } from '../../src/index.ts'
import { NameServer } from '../helpers/dns.ts'
import { Backend, connect, listen } from '../helpers/net.ts'
import {
  balancerOf,
  CLIENT,
  chooseMany,
  comeBack,
  eventsOf,
  lookUp,
  request,
  requestHead,
  statusOf,
  stickyOf,
  until,
} from './support.ts'

const idsOf = (balancer: Balancer) => balancer.backends.map(({ id }) => id)

async function start(names: NameServer, backends: BalancerOptions['backends'], interval = 0): Promise<Balancer> {
  const balancer = balancerOf({ backends, dns: { servers: [names.address], interval } })
  await balancer.resolved()
  return balancer
}

/** Resolves after a change of the DNS answers. */
async function told(balancer: Balancer, event: 'resolved' | 'unresolved'): Promise<void> {
  await once(balancer, event)
}

describe('a DNS name', () => {
  it('adds its backends, each with the options of the name', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1', '10.0.0.2'] })
    names.set('six.test', { AAAA: ['::1'] })
    const balancer = balancerOf({
      backends: [
        { port: 1, id: 'first' },
        { dns: 'app.test', port: 3000, weight: 2, maxConnections: 5, tls: true },
        { dns: 'six.test', port: 3000 },
        { port: 2, id: 'last' },
      ],
      dns: { servers: [names.address] },
    })
    const events = eventsOf(balancer)
    expect(idsOf(balancer)).toEqual(['first', 'last'])
    await balancer.resolved()
    const found = ['10.0.0.1:3000', '10.0.0.2:3000']
    expect(idsOf(balancer)).toEqual(['first', ...found, '[::1]:3000', 'last'])
    const told = [...found.map((id) => `add ${id}`), 'resolved dns:app.test:3000 2']
    expect(events.filter((event) => !/six|::1/.test(event))).toEqual(told)
    expect(events.filter((event) => /six|::1/.test(event))).toEqual(['add [::1]:3000', 'resolved dns:six.test:3000 1'])
    for (const id of found) {
      expect(statusOf(balancer, id)).toMatchObject({
        address: id,
        source: 'dns:app.test:3000',
        weight: 2,
        maxConnections: 5,
      })
    }
    const route = lookUp(balancer, requestHead(), stickyOf('10.0.0.2:3000'), CLIENT)
    // The certificate is issued for the name.
    expect(route).toMatchObject({ host: '10.0.0.2', port: 3000, tls: { servername: 'app.test' } })
  })

  it('uses an explicit servername', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1'] })
    const balancer = await start(names, [
      { dns: 'app.test', port: 1, tls: { servername: 'other', minVersion: 'TLSv1.3' } },
    ])
    expect(lookUp(balancer, requestHead(), CLIENT)).toMatchObject({
      tls: { servername: 'other', minVersion: 'TLSv1.3' },
    })
  })

  it('of a service sets weights, backups and stable ids', async () => {
    const names = await NameServer.start()
    const service = (target: string, weight: number, priority = 0) => ({ target, port: 80, weight, priority })
    names.set('_http._tcp.app.test', { SRV: [service('a.test', 3), service('b.test', 1), service('c.test', 1, 1)] })
    for (const [i, name] of ['a.test', 'b.test', 'c.test'].entries()) names.set(name, { A: [`10.0.0.${i}`] })
    const balancer = await start(names, [{ srv: '_http._tcp.app.test', weight: 2, tls: true }], 20)
    expect(balancer.backends).toMatchObject([
      { id: 'a.test:80', address: '10.0.0.0:80', weight: 6, backup: false, source: 'srv:_http._tcp.app.test' },
      { id: 'b.test:80', address: '10.0.0.1:80', weight: 2, backup: false },
      { id: 'c.test:80', address: '10.0.0.2:80', weight: 2, backup: true },
    ])
    expect(chooseMany(balancer, 8).filter((id) => id === 'a.test:80')).toHaveLength(6)
    expect(lookUp(balancer, requestHead(), CLIENT)).toMatchObject({ tls: { servername: /^[ab]\.test$/ } })
    const events = eventsOf(balancer)
    names.set('b.test', { A: ['10.9.9.9'] })
    await told(balancer, 'resolved')
    expect(events).toEqual(['remove b.test:80', 'add b.test:80', 'resolved srv:_http._tcp.app.test 3'])
    expect(lookUp(balancer, requestHead(), stickyOf('b.test:80'), CLIENT)).toMatchObject({ host: '10.9.9.9' })
  })

  it('adds and removes backends as the answer changes', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1', '10.0.0.2'] })
    const balancer = await start(names, [{ dns: 'app.test', port: 1 }], 10)
    balancer.drain('10.0.0.2:1')
    const events = eventsOf(balancer)
    names.set('app.test', { A: ['10.0.0.2', '10.0.0.3'] })
    await told(balancer, 'resolved')
    expect(events).toEqual(['remove 10.0.0.1:1', 'add 10.0.0.3:1', 'resolved dns:app.test:1 2'])
    expect(statusOf(balancer, '10.0.0.2:1').draining).toBe(true)
    // Equal answers cause no events.
    const asked = names.count('A app.test')
    await names.asked('A app.test', asked + 3)
    expect(events).toHaveLength(3)
  })

  it('keeps its backends while look-ups fail, with one event each way', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1'] })
    const balancer = await start(names, [{ dns: 'app.test', port: 1 }], 10)
    const errors: Error[] = []
    balancer.on('unresolved', (_, error) => errors.push(error))
    const events = eventsOf(balancer)
    names.set('app.test', 'SERVFAIL')
    await told(balancer, 'unresolved')
    expect(idsOf(balancer)).toEqual(['10.0.0.1:1'])
    expect(errors[0]).toBeInstanceOf(Error)
    names.set('app.test', { A: ['10.0.0.1'] })
    await told(balancer, 'resolved')
    expect(events).toEqual(['unresolved dns:app.test:1', 'resolved dns:app.test:1 1'])
  })

  it('loses its backends after the hold time', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1'] })
    const balancer = balancerOf({
      backends: [{ dns: 'app.test', port: 3000 }],
      dns: { servers: [names.address], interval: 5, hold: 15 },
    })
    await balancer.resolved()
    const events = eventsOf(balancer)
    names.set('app.test', 'NXDOMAIN')
    await told(balancer, 'resolved')
    expect(events).toEqual(['unresolved dns:app.test:3000', 'remove 10.0.0.1:3000', 'resolved dns:app.test:3000 0'])
    const before = names.count('A app.test')
    await names.asked('A app.test', before + 3)
    expect(events).toHaveLength(3)
    names.set('app.test', { A: ['10.0.0.2'] })
    await told(balancer, 'resolved')
    expect(idsOf(balancer)).toEqual(['10.0.0.2:3000'])
  })

  it('has no backends until the first look-up succeeds', async () => {
    const names = await NameServer.start()
    const balancer = balancerOf({ backends: [{ dns: 'app.test', port: 1 }], dns: { servers: [names.address] } })
    const events = eventsOf(balancer)
    await balancer.resolved()
    expect(events).toEqual(['unresolved dns:app.test:1'])
    expect(lookUp(balancer, requestHead(), CLIENT)).toBeUndefined()
  })

  it('skips a backend that is configured, or found by an earlier name', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1', '10.0.0.2'] })
    names.set('too.test', { A: ['10.0.0.2', '10.0.0.3'] })
    const own = { port: 1, host: '10.0.0.1', weight: 7 }
    const balancer = await start(names, [{ dns: 'app.test', port: 1 }, { dns: 'too.test', port: 1 }, own])
    expect(balancer.backends).toMatchObject([
      { id: '10.0.0.2:1', source: 'dns:app.test:1' },
      { id: '10.0.0.3:1', source: 'dns:too.test:1' },
      { id: '10.0.0.1:1', source: undefined, weight: 7 },
    ])
    balancer.remove('dns:app.test:1')
    expect(statusOf(balancer, '10.0.0.2:1').source).toBe('dns:too.test:1')
    expect(() => balancer.add({ port: 1, host: '10.0.0.3' })).toThrow(
      "backend.id: expected an id that no other backend has, got '10.0.0.3:1'",
    )
    // Removed by the operator, it stays removed, although another name returns it.
    balancer.remove('10.0.0.2:1')
    expect(idsOf(balancer)).toEqual(['10.0.0.3:1', '10.0.0.1:1'])
  })

  it('keeps a removed backend out until the DNS drops it', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1', '10.0.0.2'] })
    const balancer = await start(names, [{ dns: 'app.test', port: 1 }], 10)
    balancer.remove('10.0.0.1:1')
    expect(comeBack(balancer, stickyOf('10.0.0.1:1'))).toBe('10.0.0.2:1')
    for (const [addresses, ids] of [
      [
        ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
        ['10.0.0.2:1', '10.0.0.3:1'],
      ],
      [['10.0.0.2'], ['10.0.0.2:1']],
      [
        ['10.0.0.1', '10.0.0.2'],
        ['10.0.0.1:1', '10.0.0.2:1'],
      ],
    ] as const) {
      names.set('app.test', { A: addresses })
      await told(balancer, 'resolved')
      expect(idsOf(balancer)).toEqual(ids)
    }
  })

  it('can be added and removed at run time', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1'] })
    const balancer = await start(names, [{ port: 1, id: 'a' }])
    balancer.add({ dns: 'app.test', port: 1, backup: true })
    await balancer.resolved()
    expect(balancer.backends).toMatchObject([{ id: 'a' }, { id: '10.0.0.1:1', backup: true }])
    balancer.remove('dns:app.test:1')
    expect(idsOf(balancer)).toEqual(['a'])
    expect(() => balancer.remove('dns:app.test:1')).toThrow(RangeError)
  })
})

describe('update', () => {
  it('keeps the backends of a name, and asks again if the servers change', async () => {
    const [names, others] = [await NameServer.start(), await NameServer.start()]
    names.set('app.test', { A: ['10.0.0.1', '10.0.0.2'] })
    others.set('app.test', { A: ['10.0.0.2', '10.0.0.3'] })
    const balancer = await start(names, [{ dns: 'app.test', port: 1 }])
    balancer.remove('10.0.0.1:1')
    const events = eventsOf(balancer)
    balancer.update({ backends: [{ dns: 'app.test', port: 1, weight: 3 }], dns: { servers: [names.address] } })
    // Removed backends are back.
    expect(events.splice(0)).toEqual(['add 10.0.0.1:1'])
    expect(balancer.backends).toMatchObject([{ weight: 3 }, { weight: 3 }])
    expect(names.count('A app.test')).toBe(1)
    balancer.update({ backends: [{ dns: 'app.test', port: 1 }], dns: { servers: [others.address] } })
    expect(idsOf(balancer)).toEqual(['10.0.0.1:1', '10.0.0.2:1'])
    await balancer.resolved()
    expect(events).toEqual(['remove 10.0.0.1:1', 'add 10.0.0.3:1', 'resolved dns:app.test:1 2'])
  })

  it('drops removed names and their look-ups', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1'] })
    names.set('too.test', { A: ['10.0.0.2'] })
    const too = { dns: 'too.test', port: 1 }
    const balancer = await start(names, [{ dns: 'app.test', port: 1 }, too], 10)
    balancer.update({ backends: [too], dns: { servers: [names.address], interval: 10 } })
    expect(idsOf(balancer)).toEqual(['10.0.0.2:1'])
    const events = eventsOf(balancer)
    names.set('app.test', { A: ['10.0.0.9'] })
    const asked = names.count('A app.test')
    await names.asked('A too.test', names.count('A too.test') + 5)
    // A look-up may have been in progress.
    expect(names.count('A app.test')).toBeLessThanOrEqual(asked + 1)
    expect(events).toEqual([])
  })
})

describe('a backend that leaves the DNS and returns', () => {
  it('still drains and keeps its connections', async () => {
    const names = await NameServer.start()
    const { port } = await Backend.start()
    names.set('app.test', { A: ['127.0.0.1'] })
    const balancer = await start(names, [{ dns: 'app.test', port }], 5)
    const id = `127.0.0.1:${port}`
    const client = await connect(await listen(createServer(balancer.lookup, undefined, balancer.errback)))
    client.write(request())
    await until(() => statusOf(balancer, id).connections === 1)
    balancer.drain(id)
    names.set('app.test', { A: ['10.0.0.9'] })
    await once(balancer, 'remove')
    expect(idsOf(balancer)).toEqual([`10.0.0.9:${port}`])
    expect(balancer.removed).toMatchObject([{ id, connections: 1 }])
    names.set('app.test', { A: ['127.0.0.1'] })
    await once(balancer, 'add')
    expect(balancer.removed).toEqual([])
    expect(statusOf(balancer, id)).toMatchObject({ draining: true, connections: 1, total: 1, state: 'up' })
    expect(balancer.kill(id)).toBe(1)
    await client.closed()
  })

  it("keeps an operator's weight", async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1'] })
    const balancer = await start(names, [{ dns: 'app.test', port: 1, weight: 2 }], 5)
    balancer.setWeight('10.0.0.1:1', 7)
    names.set('app.test', { A: ['10.0.0.2'] })
    await once(balancer, 'remove')
    names.set('app.test', { A: ['10.0.0.1'] })
    await once(balancer, 'add')
    expect(statusOf(balancer, '10.0.0.1:1')).toMatchObject({ weight: 7, configuredWeight: 2 })
  })

  it('stops draining after some minutes, or if its name is added again', async () => {
    const names = await NameServer.start()
    const one = { A: ['10.0.0.1'] }
    const two = { A: ['10.0.0.2'] }
    names.set('app.test', one)
    const balancer = await start(names, [{ dns: 'app.test', port: 1 }], 5)
    const leaveAndReturn = async (passing: () => void) => {
      balancer.drain('10.0.0.1:1')
      names.set('app.test', two)
      await once(balancer, 'remove')
      passing()
      names.set('app.test', one)
      await once(balancer, 'add')
      return statusOf(balancer, '10.0.0.1:1').draining
    }
    onTestFinished(() => void vi.useRealTimers())
    // The system clock is set back meanwhile.
    vi.useFakeTimers({ toFake: ['performance', 'Date'] })
    const later = (ms: number) => () => {
      vi.advanceTimersByTime(ms)
      vi.setSystemTime(Date.now() - 3 * ms)
    }
    expect(await leaveAndReturn(later(4 * 60_000))).toBe(true)
    expect(await leaveAndReturn(later(6 * 60_000))).toBe(false)
    const anew = () => {
      balancer.remove('dns:app.test:1')
      balancer.add({ dns: 'app.test', port: 1 })
    }
    expect(await leaveAndReturn(anew)).toBe(false)
  })

  it('is new if it had no connections', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1'] })
    const balancer = await start(names, [{ dns: 'app.test', port: 1 }], 5)
    const { since } = statusOf(balancer, '10.0.0.1:1')
    balancer.drain('10.0.0.1:1')
    balancer.ready('10.0.0.1:1')
    names.set('app.test', { A: ['10.0.0.2'] })
    await once(balancer, 'remove')
    names.set('app.test', { A: ['10.0.0.1'] })
    await once(balancer, 'add')
    expect(statusOf(balancer, '10.0.0.1:1')).toMatchObject({ draining: false, total: 0 })
    expect(statusOf(balancer, '10.0.0.1:1').since).toBeGreaterThanOrEqual(since)
  })
})

describe('an update with a new name', () => {
  const before = [
    { port: 1, id: 'a' },
    { port: 2, id: 'b' },
  ]
  const after = [{ dns: 'app.test', port: 1 }]

  it('keeps removed backends until the name resolves', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1'] })
    const balancer = balancerOf({ backends: before })
    const home = stickyOf('b')
    const events = eventsOf(balancer)
    balancer.update({ backends: after, dns: { servers: [names.address] } })
    expect(idsOf(balancer)).toEqual(['a', 'b'])
    expect(comeBack(balancer, home)).toBe('b')
    balancer.remove('a')
    expect(idsOf(balancer)).toEqual(['b'])
    await balancer.resolved()
    expect(idsOf(balancer)).toEqual(['10.0.0.1:1'])
    const told = ['remove a', 'remove b', 'add 10.0.0.1:1', 'resolved dns:app.test:1 1']
    expect(events).toEqual(told)
  })

  it('keeps them beside other backends, and while the name has none', async () => {
    const names = await NameServer.start()
    names.set('app.test', 'SERVFAIL')
    const balancer = balancerOf({ backends: before })
    const events = eventsOf(balancer)
    balancer.drain('b')
    const dns = { servers: [names.address] }
    const spare = { port: 3, id: 'c', backup: true }
    balancer.update({ backends: [spare, ...after], dns })
    await balancer.resolved()
    expect(idsOf(balancer)).toEqual(['c', 'a', 'b'])
    names.set('app.test', { A: ['10.0.0.1'] })
    await once(balancer, 'resolved')
    expect(idsOf(balancer)).toEqual(['c', '10.0.0.1:1'])
    const told = ['drain b', 'add c', 'unresolved dns:app.test:1', 'remove a', 'remove b', 'add 10.0.0.1:1']
    expect(events).toEqual([...told, 'resolved dns:app.test:1 1'])
  })

  it('lets a new backend take the id of a removed one, once', async () => {
    const names = await NameServer.start()
    names.set('app.test', 'silence')
    const balancer = balancerOf({ backends: before })
    balancer.update({ backends: [before[0]!, ...after], dns: { servers: [names.address] } })
    expect(() => balancer.add({ port: 4, id: 'a' })).toThrow(TypeError)
    balancer.add({ port: 4, id: 'b' })
    expect(() => balancer.add({ port: 5, id: 'b' })).toThrow(TypeError)
    expect(balancer.backends.map(({ address }) => address)).toEqual(['localhost:1', 'localhost:4'])
    balancer.remove('b')
    expect(idsOf(balancer)).toEqual(['a'])
  })

  it.each([
    ['the same', {}],
    ['asked for in another way', { interval: 1000 }],
  ])('may be followed by another that has it too: %s', async (_, more) => {
    const names = await NameServer.start()
    names.set('app.test', 'silence')
    const balancer = balancerOf({ backends: before })
    const dns = { servers: [names.address] }
    balancer.update({ backends: after, dns })
    balancer.update({ backends: after, dns: { ...dns, ...more } })
    expect(idsOf(balancer)).toEqual(['a', 'b'])
    names.set('app.test', { A: ['10.0.0.1'] })
    balancer.update({ backends: after, dns: { ...dns, timeout: 4999 } })
    expect(idsOf(balancer)).toEqual(['a', 'b'])
    await once(balancer, 'resolved')
    expect(idsOf(balancer)).toEqual(['10.0.0.1:1'])
  })

  it('is superseded by a later update without the name', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1'] })
    const balancer = balancerOf({ backends: before })
    const dns = { servers: [names.address] }
    balancer.update({ backends: after, dns })
    balancer.update({ backends: [{ port: 3, id: 'c' }], dns })
    expect(idsOf(balancer)).toEqual(['c'])
    await balancer.resolved()
    expect(idsOf(balancer)).toEqual(['c'])
  })

  it('keeps nothing if the name is not new', async () => {
    const names = await NameServer.start()
    const dns = { servers: [names.address] }
    const balancer = balancerOf({ backends: [...before, ...after], dns })
    balancer.update({ backends: [before[0]!, ...after], dns })
    expect(idsOf(balancer)).toEqual(['a'])
  })

  it('ends silently with the balancer', async () => {
    const names = await NameServer.start()
    const balancer = balancerOf({ backends: before })
    const events = eventsOf(balancer)
    balancer.update({ backends: after, dns: { servers: [names.address] } })
    balancer.close()
    await balancer.resolved()
    expect(idsOf(balancer)).toEqual(['a', 'b'])
    expect(events).toEqual([])
  })
})

describe('close', () => {
  it('ends look-ups in progress and resolves `resolved()`', async () => {
    const names = await NameServer.start()
    names.set('app.test', 'silence')
    const balancer = balancerOf({ backends: [{ dns: 'app.test', port: 1 }], dns: { servers: [names.address] } })
    const events = eventsOf(balancer)
    const resolved = balancer.resolved()
    await names.asked('A app.test')
    balancer.close()
    await resolved
    expect(events).toEqual([])
  })
})
