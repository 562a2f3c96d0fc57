import { once } from 'node:events'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createServer } from '../../../src/index.ts'
import type { Balancer, BalancerOptions } from '../../../src/sticky/index.ts'
import { NameServer } from '../../helpers/dns.ts'
import { Backend, connect, listen } from '../../helpers/net.ts'
import {
  balancerOf,
  CLIENT,
  chooseMany,
  comeBack,
  eventsOf,
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

/** Resolves when the names have said other. */
async function told(balancer: Balancer, event: 'resolved' | 'unresolved'): Promise<void> {
  await once(balancer, event)
}

describe('a name of the DNS', () => {
  it('stands for its backends, each with the options of the name', async () => {
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
    const route = balancer.lookup(requestHead(), stickyOf('10.0.0.2:3000'), CLIENT)
    // The certificate is for the name.
    expect(route).toMatchObject({ host: '10.0.0.2', port: 3000, tls: { servername: 'app.test' } })
  })

  it('leaves the name of the certificate to who gives one', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1'] })
    const balancer = await start(names, [
      { dns: 'app.test', port: 1, tls: { servername: 'other', minVersion: 'TLSv1.3' } },
    ])
    expect(balancer.lookup(requestHead(), CLIENT)).toMatchObject({
      tls: { servername: 'other', minVersion: 'TLSv1.3' },
    })
  })

  it('that is SRV brings weights, backups, and ids that outlive an address', async () => {
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
    expect(balancer.lookup(requestHead(), CLIENT)).toMatchObject({ tls: { servername: /^[ab]\.test$/ } })
    const events = eventsOf(balancer)
    names.set('b.test', { A: ['10.9.9.9'] })
    await told(balancer, 'resolved')
    expect(events).toEqual(['remove b.test:80', 'add b.test:80', 'resolved srv:_http._tcp.app.test 3'])
    expect(balancer.lookup(requestHead(), stickyOf('b.test:80'), CLIENT)).toMatchObject({ host: '10.9.9.9' })
  })

  it('is followed: who comes is added, who goes is removed, who stays is left alone', async () => {
    const names = await NameServer.start()
    names.set('app.test', { A: ['10.0.0.1', '10.0.0.2'] })
    const balancer = await start(names, [{ dns: 'app.test', port: 1 }], 10)
    balancer.drain('10.0.0.2:1')
    const events = eventsOf(balancer)
    names.set('app.test', { A: ['10.0.0.2', '10.0.0.3'] })
    await told(balancer, 'resolved')
    expect(events).toEqual(['remove 10.0.0.1:1', 'add 10.0.0.3:1', 'resolved dns:app.test:1 2'])
    expect(statusOf(balancer, '10.0.0.2:1').draining).toBe(true)
    // Nothing is told of answers that say the same again.
    const asked = names.count('A app.test')
    await names.asked('A app.test', asked + 3)
    expect(events).toHaveLength(3)
  })

  it('keeps what it stood for where it cannot be looked up: told once, and once that it can again', async () => {
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

  it('that cannot be looked up at first stands for nobody', async () => {
    const names = await NameServer.start()
    const balancer = balancerOf({ backends: [{ dns: 'app.test', port: 1 }], dns: { servers: [names.address] } })
    const events = eventsOf(balancer)
    await balancer.resolved()
    expect(events).toEqual(['unresolved dns:app.test:1'])
    expect(balancer.lookup(requestHead(), CLIENT)).toBeUndefined()
  })

  it('does not name a backend that is there by itself, or by a name before it', async () => {
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
      "backend.id: got '10.0.0.3:1'; takes an id that no other backend has",
    )
    // Taken out by hand, it is not brought in again by the name that knows it too.
    balancer.remove('10.0.0.2:1')
    expect(idsOf(balancer)).toEqual(['10.0.0.3:1', '10.0.0.1:1'])
  })

  it('may have a backend taken out, which stays out until it no longer is named', async () => {
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

  it('may come and go at run time, with all that it stands for', async () => {
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
  it('keeps what a name stands for, whatever else changes, and asks anew where it is to ask others', async () => {
    const [names, others] = [await NameServer.start(), await NameServer.start()]
    names.set('app.test', { A: ['10.0.0.1', '10.0.0.2'] })
    others.set('app.test', { A: ['10.0.0.2', '10.0.0.3'] })
    const balancer = await start(names, [{ dns: 'app.test', port: 1 }])
    balancer.remove('10.0.0.1:1')
    const events = eventsOf(balancer)
    balancer.update({ backends: [{ dns: 'app.test', port: 1, weight: 3 }], dns: { servers: [names.address] } })
    // What had been taken out by hand is in again.
    expect(events.splice(0)).toEqual(['add 10.0.0.1:1'])
    expect(balancer.backends).toMatchObject([{ weight: 3 }, { weight: 3 }])
    expect(names.count('A app.test')).toBe(1)
    balancer.update({ backends: [{ dns: 'app.test', port: 1 }], dns: { servers: [others.address] } })
    expect(idsOf(balancer)).toEqual(['10.0.0.1:1', '10.0.0.2:1'])
    await balancer.resolved()
    expect(events).toEqual(['remove 10.0.0.1:1', 'add 10.0.0.3:1', 'resolved dns:app.test:1 2'])
  })

  it('drops the names that are no more, and asks for them no more', async () => {
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
    // One may have been under way.
    expect(names.count('A app.test')).toBeLessThanOrEqual(asked + 1)
    expect(events).toEqual([])
  })
})

describe('a backend that the DNS leaves out and names again', () => {
  it('still drains, and has what it had open', async () => {
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
    names.set('app.test', { A: ['127.0.0.1'] })
    await once(balancer, 'add')
    expect(statusOf(balancer, id)).toMatchObject({ draining: true, connections: 1, total: 1, state: 'up' })
    expect(balancer.kill(id)).toBe(1)
    await client.closed()
  })

  it('no longer drains after some minutes, or where its name is put in anew', async () => {
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
    const later = (ms: number) => () => void vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms })
    expect(await leaveAndReturn(later(4 * 60_000))).toBe(true)
    expect(await leaveAndReturn(later(6 * 60_000))).toBe(false)
    const anew = () => {
      balancer.remove('dns:app.test:1')
      balancer.add({ dns: 'app.test', port: 1 })
    }
    expect(await leaveAndReturn(anew)).toBe(false)
  })

  it('is fresh where it had nothing open', async () => {
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

describe('an update that brings a name', () => {
  const before = [
    { port: 1, id: 'a' },
    { port: 2, id: 'b' },
  ]
  const after = [{ dns: 'app.test', port: 1 }]

  it('keeps those that go until it has been looked up', async () => {
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

  it('keeps them beside others, and where it stands for nothing yet', async () => {
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

  it('lets another have the id of one that goes, once, and of none that stays', async () => {
    const names = await NameServer.start()
    names.set('app.test', 'silence')
    const balancer = balancerOf({ backends: before })
    balancer.update({ backends: [before[0]!, ...after], dns: { servers: [names.address] } })
    expect(() => balancer.add({ port: 4, id: 'a' })).toThrow(TypeError)
    balancer.add({ port: 4, id: 'b' })
    expect(() => balancer.add({ port: 5, id: 'b' })).toThrow(TypeError)
    expect(balancer.backends.map(({ address }) => address)).toEqual(['127.0.0.1:1', '127.0.0.1:4'])
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

  it('may be followed by another without it, which has the last word', async () => {
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

  it('that is not new keeps nothing, found or not', async () => {
    const names = await NameServer.start()
    const dns = { servers: [names.address] }
    const balancer = balancerOf({ backends: [...before, ...after], dns })
    balancer.update({ backends: [before[0]!, ...after], dns })
    expect(idsOf(balancer)).toEqual(['a'])
  })

  it('ends with the balancer, without a word', async () => {
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
  it('ends look-ups under way, and who waits for them', async () => {
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
