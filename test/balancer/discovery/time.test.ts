import { inspect } from 'node:util'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Discovery, type Name } from '../../../src/balancer/discovery/discovery.ts'
import { type Failure, NameServer, type Records } from '../../helpers/dns.ts'
import { DNS, first, QUICKLY, SLOWLY, SRV, Watched } from './support.ts'

describe('the next look-up', () => {
  const atRest = () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
  }

  test.each([
    [0, 1000],
    [1, 1000],
    [7, 7000],
    [60, 60_000],
    [86_400, 60_000],
  ])('comes with the TTL: for %i s after %i ms', async (ttl, after) => {
    atRest()
    const server = await NameServer.start()
    server.set('app.test', { A: ['127.0.0.1'], ttl })
    expect((await first(DNS, server)).discovery.nextIn).toBe(after)
  })

  test('follows the lowest TTL', async () => {
    atRest()
    const server = await NameServer.start()
    const SERVICES = ['a.test', 'b.test', 'c.test'].map((target) => ({ target, port: 1 }))
    server.set(SRV.srv, { SRV: SERVICES, ttl: 2 })
    server.set('a.test', { A: ['127.0.0.1'], ttl: 30 })
    server.set('b.test', { A: ['127.0.0.1'], ttl: 20 })
    server.set('c.test', { AAAA: ['::1'], ttl: 40 })
    expect((await first(SRV, server)).discovery.nextIn).toBe(20_000)
  })

  test('follows the interval, if set', async () => {
    atRest()
    const server = await NameServer.start()
    server.set('app.test', { A: ['127.0.0.1'], ttl: 7 })
    expect((await first(DNS, server, { interval: 120_000 })).discovery.nextIn).toBe(120_000)
  })

  test('backs off while it fails; the last backends stay', async () => {
    atRest()
    const server = await NameServer.start()
    server.set('app.test', { A: ['127.0.0.1'] })
    const watched = await first(DNS, server, {}, QUICKLY)
    server.set('app.test', 'NXDOMAIN')
    await watched.until(() => watched.failures.length >= 4)
    server.set('app.test', { A: ['127.0.0.2'] })
    await watched.until(() => watched.ids.includes('127.0.0.2:3000'))
    server.set('app.test', { A: 'SERVFAIL', AAAA: 'SERVFAIL' })
    const before = watched.failures.length
    await watched.until(() => watched.failures.length > before)
    const delays = watched.news.flatMap((one) => ('failed' in one ? [one.nextIn] : []))
    expect(delays.slice(0, 4)).toEqual([4, 8, 8, 8])
    expect(delays[before]).toBe(4)
    expect(new Set(watched.lists.map(([one]) => one!.id))).toEqual(new Set(['127.0.0.1:3000', '127.0.0.2:3000']))
  })

  test('is never later after a failure than after a success', async () => {
    atRest()
    const pace = { ...SLOWLY, retry: { min: 4, max: 30_000 } }
    const server = await NameServer.start()
    const often = await first(DNS, server, { interval: 9 }, pace)
    await often.until(() => often.failures.length >= 5)
    const delays = often.news.flatMap((one) => ('failed' in one ? [one.nextIn] : []))
    expect(delays.slice(0, 5)).toEqual([4, 8, 9, 9, 9])
    server.set('app.test', { A: ['127.0.0.1'], ttl: 0 })
    const byTtl = await first(DNS, server, {}, { ...pace, ttl: { min: 7, max: 8 } })
    server.set('app.test', 'SERVFAIL')
    await byTtl.until(() => byTtl.failures.length >= 3)
    expect(byTtl.news.slice(1).map((one) => 'failed' in one && one.nextIn)).toEqual([4, 7, 7])
  })

  test('is jittered while it fails', async () => {
    atRest()
    const server = await NameServer.start()
    const watched = await first(DNS, server, {}, { ...SLOWLY, random: () => 0 })
    expect(watched.news).toEqual([{ failed: 'queryA ENOTFOUND app.test', nextIn: 500 }])
  })
})

describe('a name that no longer exists', () => {
  const gone = async (failure: Records | Failure, hold: number, name: Name = DNS) => {
    const server = await NameServer.start()
    server.set('app.test', { A: ['127.0.0.1'] })
    server.set(SRV.srv, { SRV: [{ target: 'app.test', port: 3000 }] })
    const watched = await first(name, server, { hold, interval: 5 }, QUICKLY)
    server.set('srv' in name ? name.srv : name.dns, failure)
    return { server, watched }
  }
  const isLost = (watched: Watched) => watched.news.some((one) => 'lost' in one)
  const NOWHERE = { target: '.', port: 1 }

  test.each<[string, Records | Failure, Name]>([
    ['does not exist', 'NXDOMAIN', DNS],
    ['has no addresses', {}, DNS],
    ['is no service', 'NXDOMAIN', SRV],
    ['is a service that is not offered', { SRV: [NOWHERE] }, SRV],
    ['is a service whose targets do not exist', { SRV: [{ target: 'no.test', port: 1 }] }, SRV],
  ])('loses its backends after the hold time, and not before: it %s', async (_, failure, name) => {
    const start = performance.now()
    const { watched, server } = await gone(failure, 60, name)
    await watched.until(() => isLost(watched))
    expect(performance.now() - start).toBeGreaterThanOrEqual(60)
    expect(watched.failures.length).toBeGreaterThan(1)
    server.set(SRV.srv, { SRV: [{ target: 'app.test', port: 3000 }] })
    server.set('app.test', { A: ['127.0.0.2'] })
    await watched.until(() => watched.lists.length > 1)
    expect(watched.lists.at(-1)).toMatchObject([{ host: '127.0.0.2' }])
  })

  test('loses its backends at once with a hold time of 0', async () => {
    const { watched } = await gone('NXDOMAIN', 0)
    await watched.until(() => isLost(watched))
    expect(watched.news.slice(1, 3)).toMatchObject([{ failed: 'queryA ENOTFOUND app.test' }, { lost: true }])
  })

  test('is asked for at the end of the hold time, however long the interval', async () => {
    const server = await NameServer.start()
    const slow = { ...QUICKLY, retry: { min: 500_000, max: 500_000 } }
    const watched = await first(DNS, server, { hold: 20, interval: 600_000 }, slow)
    await watched.until(() => isLost(watched))
    expect(server.count('A app.test')).toBe(2)
  })

  test('keeps them while nothing is known, and for the whole hold time after it was there again', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const { watched, server } = await gone('SERVFAIL', 30_000)
    const fails = async (times: number) => {
      const before = watched.failures.length
      await watched.until(() => watched.failures.length >= before + times)
    }
    await fails(2)
    vi.advanceTimersByTime(60_000)
    await fails(2)
    server.set('app.test', 'NXDOMAIN')
    await fails(2)
    vi.advanceTimersByTime(20_000)
    server.set('app.test', { A: ['127.0.0.3'] })
    await watched.until(() => watched.ids.includes('127.0.0.3:3000'))
    server.set('app.test', 'NXDOMAIN')
    await fails(2)
    vi.advanceTimersByTime(20_000)
    await fails(2)
    expect(isLost(watched)).toBe(false)
    vi.advanceTimersByTime(20_000)
    await watched.until(() => isLost(watched))
  })
})

test('a name that is not there at first is found later', async () => {
  const server = await NameServer.start()
  const watched = await first(DNS, server, {}, QUICKLY)
  expect(watched.failures[0]).toBe('queryA ENOTFOUND app.test')
  server.set('app.test', { A: ['127.0.0.1'] })
  await watched.until(() => watched.lists.length > 0)
  expect(watched.ids).toEqual(['127.0.0.1:3000'])
})

describe('a silent server', () => {
  test.each([DNS, SRV])('makes a look-up fail by the time-out: %o', async (name) => {
    const server = await NameServer.start()
    server.set('app.test', { A: 'silence', AAAA: 'silence' })
    server.set(SRV.srv, { SRV: 'silence' })
    const watched = await first(name, server, { timeout: 40 }, QUICKLY)
    expect(watched.failures).toEqual(['no answer within 40 ms'])
    server.set('app.test', { A: ['127.0.0.1'] })
    server.set(SRV.srv, { SRV: [{ target: 'app.test', port: 3000 }] })
    await watched.until(() => watched.lists.length > 0)
    expect(watched.lists[0]).toMatchObject([{ host: '127.0.0.1', port: 3000 }])
  })

  test('is asked twice, within the time-out', async () => {
    const server = await NameServer.start()
    server.set('app.test', { A: 'silence' })
    const watched = await first(DNS, server, { timeout: 1500 })
    expect(watched.failures).toHaveLength(1)
    expect(server.count('A app.test')).toBe(2)
  })

  test('leaves time for the next server', async () => {
    const silent = await NameServer.start()
    silent.set('app.test', { A: 'silence', AAAA: 'silence' })
    const server = await NameServer.start()
    server.set('app.test', { A: ['127.0.0.1'] })
    const watched = await first(DNS, server, { servers: [silent.address, server.address], timeout: 3000 })
    expect(watched.ids).toEqual(['127.0.0.1:3000'])
    expect(silent.count('A app.test')).toBe(1)
  })
})

describe('stop', () => {
  test('ends a look-up: no event and no query follows', async () => {
    const server = await NameServer.start()
    server.set('app.test', 'silence')
    server.set(SRV.srv, { SRV: [{ target: 'app.test', port: 1 }] })
    const watched = [DNS, SRV].map((name) => new Watched(name, server, { interval: 1 }))
    await server.asked('A app.test', 2)
    for (const { discovery } of watched) discovery.stop()
    for (const { discovery } of watched) await discovery.first
    const other = await first(DNS, server, { timeout: 40 })
    expect(other.failures).toHaveLength(1)
    for (const { news, discovery } of watched) {
      expect(news).toEqual([])
      expect(discovery.nextIn).toBeUndefined()
    }
    expect(server.count('A app.test')).toBe(3)
  })

  test('between two queries of a look-up prevents the rest', async () => {
    const server = await NameServer.start()
    server.set(SRV.srv, { SRV: [{ target: 'a.test', port: 1 }] })
    server.set('a.test', { A: ['127.0.0.1'] })
    const watched = new Watched(SRV, server)
    await server.asked(`SRV ${SRV.srv}`)
    watched.discovery.stop()
    await watched.discovery.first
    server.set('app.test', { A: ['127.0.0.1'] })
    expect((await first(DNS, server)).lists).toHaveLength(1)
    expect(watched.news).toEqual([])
    expect(server.count('A a.test')).toBe(0)
  })

  test.each(['found', 'failed'] as const)('inside of %s is the end', async (event) => {
    const server = await NameServer.start()
    server.set('app.test', event === 'found' ? { A: ['127.0.0.1'] } : 'NXDOMAIN')
    const watched = new Watched(DNS, server, { interval: 1 }, QUICKLY)
    watched.heard = (news) => {
      watched.news.push(news)
      watched.discovery.stop()
    }
    const other = new Watched(DNS, server, { interval: 8 }, QUICKLY)
    await other.until(() => other.news.length === 5)
    expect(watched.news).toHaveLength(1)
    expect(watched.discovery.nextIn).toBeUndefined()
    watched.discovery.stop()
  })

  test('may be called at once, and twice', async () => {
    const server = await NameServer.start()
    const watched = new Watched(DNS, server)
    watched.discovery.stop()
    watched.discovery.stop()
    await watched.discovery.first
    expect(watched.news).toEqual([])
  })
})

test('the wait for the next look-up keeps no process alive', async () => {
  const server = await NameServer.start()
  server.set('app.test', { A: ['127.0.0.1'] })
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const watched = await first(DNS, server)
  expect(watched.discovery.nextIn).toBeDefined()
  expect(timers()).toBeLessThanOrEqual(before)
})

describe('is refused:', () => {
  const events = { found: () => undefined, failed: () => undefined, lost: () => undefined }
  const settings = { servers: undefined, interval: 0, hold: 1000, timeout: 1000 }
  const NAMES: unknown[] = [
    '',
    '.',
    'a..b',
    '.a',
    'a b',
    'a\r\nb',
    'a/b',
    'bücher.test',
    'a:53',
    '127.0.0.1',
    '::1',
    `${'a'.repeat(64)}.test`,
    `${'abcdefg.'.repeat(32)}test`,
    7,
    null,
    undefined,
  ]
  test.each(NAMES)('the name %o', (value) => {
    const message = (option: string) =>
      `${option}: expected a name of the DNS, as in 'app.internal', got ${inspect(value)}`
    expect(() => new Discovery({ dns: value as string, port: 1 }, settings, events)).toThrow(
      new TypeError(message('dns')),
    )
    expect(() => new Discovery({ srv: value as string }, settings, events)).toThrow(new TypeError(message('srv')))
  })

  test('an invalid server address', () => {
    const servers = ['ns.test']
    expect(() => new Discovery(DNS, { ...settings, servers }, events)).toThrow('Invalid IP address: ns.test')
  })

  test('but not labels in any case, with a hyphen or an underscore, and the dot at the end', async () => {
    const server = await NameServer.start()
    server.set('xn--bcher-kva.test', { A: ['127.0.0.1'] })
    server.set('_a-1.test', { A: ['127.0.0.1'] })
    server.set(`${'a'.repeat(63)}.test`, { A: ['127.0.0.1'] })
    for (const dns of ['XN--bcher-kva.test', '_a-1.test.', `${'a'.repeat(63)}.test`]) {
      expect((await first({ dns, port: 1 }, server)).ids).toEqual(['127.0.0.1:1'])
    }
  })
})
