import tls from 'node:tls'
import { expect, test } from 'vitest'
import type { BalancerOptions } from '../../src/balancer/index.ts'
import { createServer } from '../../src/index.ts'
import { NameServer } from '../helpers/dns.ts'
import { Backend, connect, deadPort, listen } from '../helpers/net.ts'
import { expectNoWarnings, GET, OK } from '../helpers/proxy.ts'
import { certificate } from '../helpers/tls.ts'
import { balancerOf } from './support.ts'

expectNoWarnings()

const host = '127.0.0.1'

async function throughBalancer(options: BalancerOptions) {
  const balancer = balancerOf(options)
  await balancer.resolved()
  const client = await connect(await listen(createServer(balancer.lookup, undefined, balancer.errback)))
  client.end(GET)
  return client
}

test('the next backend gets its own host, or that of the client', async () => {
  const backend = await Backend.start()
  const dead = { port: await deadPort(), host, hostHeader: 'dead.test' }
  for (const hostHeader of ['b.test', undefined]) {
    await throughBalancer({ backends: [dead, { port: backend.port, host, hostHeader, backup: true }] })
    const expected = GET.replace('Host: a', `Host: ${hostHeader ?? 'a'}`)
    expect(await (await backend.next()).ended()).toBe(expected)
  }
})

test.each(['dns', 'srv'] as const)('TLS asks a backend found by %s for the host instead of the name', async (form) => {
  const names = await NameServer.start()
  names.set('app.test', { A: [host] })
  const asked: unknown[] = []
  const server = tls.createServer({ ...certificate(), SNICallback: (_, done) => done(null) }, (socket) => {
    asked.push((socket as tls.TLSSocket & { servername: string }).servername)
    socket.on('error', () => undefined).once('data', () => socket.end(OK))
  })
  const port = await listen(server)
  names.set('_http._tcp.app.test', { SRV: [{ priority: 0, weight: 1, port, target: 'app.test' }] } as never)
  const where = form === 'dns' ? { dns: 'app.test', port } : { srv: '_http._tcp.app.test' }
  const backends = [{ ...where, hostHeader: 'backend.test', tls: { ca: certificate().cert } }]
  const client = await throughBalancer({ backends, dns: { servers: [names.address] } })
  expect(await client.ended()).toBe(OK)
  expect(asked).toEqual(['backend.test'])
})

test('health checks name the host, unless they have one of their own', async () => {
  for (const [health, expected] of [
    [{ path: '/' }, 'b.test'],
    [{ path: '/', host: 'c.test' }, 'c.test'],
  ] as const) {
    const backend = await Backend.start()
    balancerOf({ backends: [{ port: backend.port, host, hostHeader: 'b.test' }], health })
    expect(await (await backend.next()).until('\r\n\r\n')).toContain(`\r\nHost: ${expected}\r\n`)
  }
})

test('another host makes another backend', () => {
  const balancer = balancerOf({ backends: [{ port: 1, hostHeader: 'a' }] })
  const lost: string[] = []
  balancer.on('remove', ({ id }) => lost.push(id))
  balancer.update({ backends: [{ port: 1, hostHeader: 'a' }] })
  expect(lost).toEqual([])
  balancer.update({ backends: [{ port: 1, hostHeader: 'b' }] })
  expect(lost).toEqual(['localhost:1'])
})

test.each(['', 'a b', 5, null])('hostHeader: %j is refused', (hostHeader) => {
  expect(() => balancerOf({ backends: [{ port: 1, hostHeader: hostHeader as string }] })).toThrow(
    /^backends\[0\]\.hostHeader: expected a host, with a port if the backend expects one, as in .*, got /,
  )
})
