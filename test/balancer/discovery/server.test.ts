import { promises as dns } from 'node:dns'
import { expect, test } from 'vitest'
import { NameServer } from '../../helpers/dns.ts'

/** Tests of the test name server itself. */

async function start() {
  const server = await NameServer.start()
  return {
    server,
    /** A new resolver each time: those of early Node 20.19 cache answers. */
    get resolver() {
      const resolver = new dns.Resolver({ timeout: 10_000, tries: 1 })
      resolver.setServers([server.address])
      return resolver
    },
  }
}

test('a name has the addresses of both families, with their TTL', async () => {
  const names = await start()
  const { server } = names
  server.set('app.test', { A: ['127.0.0.1', '10.1.2.255'], AAAA: ['::1', 'fd00::a:0:1'], ttl: 7 })
  expect(await names.resolver.resolve4('app.test', { ttl: true })).toEqual([
    { address: '127.0.0.1', ttl: 7 },
    { address: '10.1.2.255', ttl: 7 },
  ])
  expect(await names.resolver.resolve6('APP.test', { ttl: true })).toEqual([
    { address: '::1', ttl: 7 },
    { address: 'fd00::a:0:1', ttl: 7 },
  ])
  expect(server.questions).toEqual(['A app.test', 'AAAA app.test'])
})

test('a service has its targets', async () => {
  const names = await start()
  const { server } = names
  server.set('_http._tcp.app.test', { SRV: [{ target: 'a.test', port: 1, priority: 2, weight: 3 }] })
  expect(await names.resolver.resolveSrv('_http._tcp.app.test')).toMatchObject([
    { name: 'a.test', port: 1, priority: 2, weight: 3 },
  ])
})

test('an answer too long for UDP comes over TCP', async () => {
  const names = await start()
  const { server } = names
  const many = Array.from({ length: 150 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
  server.set('app.test', { A: many })
  expect(await names.resolver.resolve4('app.test')).toEqual(many)
})

test('what is not there, fails or is silent is so, until it is changed', async () => {
  const names = await start()
  const { server } = names
  const codeOf = (promise: Promise<unknown>) => promise.then(String, ({ code }) => code)
  expect(await codeOf(names.resolver.resolve4('app.test'))).toBe('ENOTFOUND')
  server.set('app.test', { AAAA: 'SERVFAIL' })
  expect(await codeOf(names.resolver.resolve4('app.test'))).toBe('ENODATA')
  expect(await codeOf(names.resolver.resolve6('app.test'))).toBe('ESERVFAIL')
  server.set('app.test', { A: 'silence' })
  expect(await codeOf(names.resolver.resolve4('app.test'))).toBe('ETIMEOUT')
  server.set('app.test', { A: ['127.0.0.1'] })
  expect(await codeOf(names.resolver.resolve4('app.test'))).toBe('127.0.0.1')
})
