import { describe, expect, test } from 'vitest'
import { NameServer } from '../../helpers/dns.ts'
import { DNS, first, QUICKLY, SRV } from './support.ts'

const host = (address: string) => ({ id: `${address}:3000`, host: address.replace(/[[\]]/g, ''), port: 3000 })

describe('a host', () => {
  test('resolves to its IPv4 addresses, else IPv6, sorted and unique', async () => {
    const server = await NameServer.start()
    server.set('app.test', { A: ['127.0.0.3', '127.0.0.2', '127.0.0.3'] })
    expect((await first(DNS, server)).news).toEqual([{ found: [host('127.0.0.2'), host('127.0.0.3')] }])
    server.set('app.test', { AAAA: ['::1'] })
    expect((await first(DNS, server)).news).toEqual([{ found: [host('[::1]')] }])
    server.set('app.test', { A: ['127.0.0.1'], AAAA: ['fd00::1', '::1'] })
    expect((await first(DNS, server)).news).toEqual([{ found: [host('127.0.0.1')] }])
  })

  test('falls back to IPv6 only if the DNS says that there is no IPv4', async () => {
    const server = await NameServer.start()
    server.set('app.test', { A: 'NXDOMAIN', AAAA: ['::1'] })
    expect((await first(DNS, server)).ids).toEqual(['[::1]:3000'])
    server.set('app.test', { A: 'SERVFAIL', AAAA: ['::1'] })
    expect((await first(DNS, server)).failures).toEqual(['queryA ESERVFAIL app.test'])
    for (const failure of ['SERVFAIL', 'NXDOMAIN'] as const) {
      server.set('app.test', { A: ['127.0.0.1'], AAAA: failure })
      expect((await first(DNS, server)).ids).toEqual(['127.0.0.1:3000'])
    }
  })

  test('reports the failure rather than the missing record', async () => {
    const server = await NameServer.start()
    expect((await first(DNS, server)).failures).toEqual(['queryA ENOTFOUND app.test'])
    server.set('app.test', {})
    expect((await first(DNS, server)).failures).toEqual(['queryA ENODATA app.test'])
    server.set('app.test', { AAAA: 'SERVFAIL' })
    expect((await first(DNS, server)).failures).toEqual(['queryAaaa ESERVFAIL app.test'])
  })

  test('keeps its addresses while queries fail, and loses those that are gone', async () => {
    const server = await NameServer.start()
    server.set('app.test', { A: ['127.0.0.1'] })
    const watched = await first(DNS, server, { interval: 3 }, QUICKLY)
    server.set('app.test', { A: 'SERVFAIL', AAAA: ['::2'] })
    await watched.until(() => watched.failures.length === 3)
    expect(watched.failures[0]).toBe('queryA ESERVFAIL app.test')
    expect(watched.ids).toEqual(['127.0.0.1:3000'])
    server.set('app.test', { AAAA: ['::2'] })
    await watched.until(() => watched.ids.includes('[::2]:3000'))
    // It is known by now that there is no IPv4.
    server.set('app.test', { A: 'SERVFAIL', AAAA: ['::3'] })
    await watched.until(() => watched.ids.includes('[::3]:3000'))
    expect(watched.ids).toEqual(['[::3]:3000'])
    expect(server.count('AAAA app.test')).toBeGreaterThan(0)
  })
})

describe('a service', () => {
  const service = (target: string, priority = 0, weight = 0) => ({ target, port: 3000, priority, weight })

  test('resolves to its targets with weights; lower priorities are backups', async () => {
    const server = await NameServer.start()
    server.set(SRV.srv, { SRV: [service('b.test', 20, 7), service('A.test', 10, 5), service('c.test', 10, 0)] })
    server.set('a.test', { A: ['127.0.0.1'] })
    server.set('b.test', { AAAA: ['::1'] })
    server.set('c.test', { A: ['127.0.0.3'] })
    expect((await first(SRV, server)).news).toEqual([
      {
        found: [
          { id: 'a.test:3000', host: '127.0.0.1', port: 3000, weight: 5, backup: false },
          { id: 'b.test:3000', host: '::1', port: 3000, weight: 7, backup: true },
          { id: 'c.test:3000', host: '127.0.0.3', port: 3000, weight: 1, backup: false },
        ],
      },
    ])
  })

  test('asks once for a target with several ports', async () => {
    const server = await NameServer.start()
    server.set(SRV.srv, { SRV: [service('a.test'), { target: 'a.test', port: 3001 }] })
    server.set('a.test', { A: ['127.0.0.1'] })
    expect((await first(SRV, server)).ids).toEqual(['a.test:3000', 'a.test:3001'])
    expect(server.questions.toSorted()).toEqual(['A a.test', `SRV ${SRV.srv}`])
  })

  test('retries soon for an unknown target whose query failed', async () => {
    const server = await NameServer.start()
    server.set(SRV.srv, { SRV: [service('a.test'), service('b.test')] })
    server.set('a.test', { A: ['127.0.0.1'] })
    server.set('b.test', 'SERVFAIL')
    const watched = await first(SRV, server, { interval: 600_000 }, QUICKLY)
    expect(watched.ids).toEqual(['a.test:3000'])
    server.set('b.test', { A: ['127.0.0.2'] })
    await watched.until(() => watched.ids.length === 2)
    expect(watched.ids).toEqual(['a.test:3000', 'b.test:3000'])
    expect(watched.failures).toEqual([])
  })

  test('asks for many targets', async () => {
    const server = await NameServer.start()
    const targets = Array.from({ length: 40 }, (_, i) => `t${i}.test`)
    server.set(SRV.srv, { SRV: targets.map((target) => service(target)) })
    for (const [i, target] of targets.entries()) server.set(target, { A: [`127.0.1.${i}`] })
    const { lists, ids } = await first(SRV, server)
    expect(ids).toEqual(targets.map((target) => `${target}:3000`).toSorted())
    expect(lists[0]!.find(({ id }) => id === 't39.test:3000')).toMatchObject({ host: '127.0.1.39' })
  })

  test('keeps the id of a target whose single address changes', async () => {
    const server = await NameServer.start()
    server.set(SRV.srv, { SRV: [service('pod-0.test')] })
    server.set('pod-0.test', { A: ['127.0.0.1'] })
    const watched = await first(SRV, server, { interval: 3 })
    server.set('pod-0.test', { A: ['127.0.0.9'] })
    await watched.until(() => watched.lists.at(-1)![0]!.host === '127.0.0.9')
    expect(watched.ids).toEqual(['pod-0.test:3000'])
    server.set('pod-0.test', { A: ['127.0.0.9', '127.0.0.8'], AAAA: ['::1'] })
    await watched.until(() => watched.ids.length === 2)
    expect(watched.ids).toEqual(['pod-0.test:3000/127.0.0.8', 'pod-0.test:3000/127.0.0.9'])
  })

  test('drops a target without address and keeps one whose query fails', async () => {
    const server = await NameServer.start()
    server.set(SRV.srv, { SRV: [service('a.test'), service('b.test'), service('gone.test'), service('slow.test')] })
    server.set('a.test', { A: ['127.0.0.1'] })
    server.set('b.test', { A: ['127.0.0.2'] })
    server.set('slow.test', 'SERVFAIL')
    const watched = await first(SRV, server, { interval: 3 })
    expect(watched.ids).toEqual(['a.test:3000', 'b.test:3000'])
    server.set('b.test', 'SERVFAIL')
    server.set('a.test', { A: ['127.0.0.9'] })
    await watched.until(() => watched.lists.at(-1)![0]!.host === '127.0.0.9')
    expect(watched.ids).toEqual(['a.test:3000', 'b.test:3000'])
    // A result of only old answers does not replace the last good one.
    server.set('a.test', 'NXDOMAIN')
    await watched.until(() => watched.failures.length > 0)
    expect(watched.failures).toEqual(['queryA ESERVFAIL b.test'])
    expect(watched.ids).toEqual(['a.test:3000', 'b.test:3000'])
  })

  test('fails if it is not offered, does not exist or has no targets with addresses', async () => {
    const server = await NameServer.start()
    expect((await first(SRV, server)).failures).toEqual([`querySrv ENOTFOUND ${SRV.srv}`])
    server.set(SRV.srv, { SRV: [{ target: '', port: 0 }] })
    expect((await first(SRV, server)).failures).toEqual([`querySrv ${SRV.srv}: the service is not offered (RFC 2782)`])
    server.set(SRV.srv, { SRV: [service('a.test')] })
    expect((await first(SRV, server)).failures).toEqual(['queryA ENOTFOUND a.test'])
  })
})
