import { describe, expect, test } from 'vitest'
import type { BalancerOptions } from '../../src/balancer/index.ts'
import { createServer } from '../../src/index.ts'
import { NameServer } from '../helpers/dns.ts'
import { Backend, connect, listen, type Peer } from '../helpers/net.ts'
import { expectNoWarnings, GET } from '../helpers/proxy.ts'
import { block } from '../helpers/proxy-header.ts'
import { abandoned } from './health/support.ts'
import { balancerOf } from './support.ts'

expectNoWarnings()

const host = '127.0.0.1'
const LOCAL = block({ command: 0x20, family: 0, addresses: Buffer.alloc(0) }).toString('latin1')
const CHECKS = [
  [1, 'PROXY UNKNOWN\r\n'],
  [2, LOCAL],
] as const

async function throughBalancer(options: BalancerOptions): Promise<Peer> {
  const balancer = balancerOf(options)
  await balancer.resolved()
  const server = createServer(balancer.lookup, undefined, balancer.errback)
  const client = await connect(await listen(server))
  client.end(GET)
  return client
}

test.each(['dns', 'srv', 'port'] as const)(
  'a backend of a balancer is told who the client is: by its %s',
  async (form) => {
    const backend = await Backend.start()
    const names = await NameServer.start()
    names.set('app.test', { A: [host] })
    names.set('_http._tcp.app.test', {
      SRV: [{ priority: 0, weight: 1, port: backend.port, target: 'app.test' }],
    } as never)
    const { port } = backend
    const where = { dns: { dns: 'app.test', port }, srv: { srv: '_http._tcp.app.test' }, port: { port } }[form]
    const client = await throughBalancer({
      backends: [{ ...where, sendProxy: 1 }],
      dns: { servers: [names.address] },
    })
    const text = await (await backend.next()).ended()
    expect(text).toMatch(new RegExp(`^PROXY TCP4 127\\.0\\.0\\.1 127\\.0\\.0\\.1 ${client.socket.localPort} \\d+\r\n`))
    expect(text.endsWith(`\r\n${GET}`)).toBe(true)
  },
)

test('another version makes another backend', () => {
  const balancer = balancerOf({ backends: [{ port: 1, sendProxy: 1 }] })
  const lost: string[] = []
  balancer.on('remove', ({ id }) => lost.push(id))
  balancer.update({ backends: [{ port: 1, sendProxy: 1 }] })
  expect(lost).toEqual([])
  balancer.update({ backends: [{ port: 1, sendProxy: 2 }] })
  expect(lost).toEqual(['localhost:1'])
})

test.each([[3], ['1'], [true], [null]])('sendProxy: %j is refused', (sendProxy) => {
  expect(() => balancerOf({ backends: [{ port: 1, sendProxy: sendProxy as 1 }] })).toThrow(
    /^backends\[0\]\.sendProxy: expected 1 or 2, got .*$/,
  )
})

describe.each(CHECKS)('a check of a backend with sendProxy: %i', (sendProxy, header) => {
  test('sends a LOCAL header', async () => {
    const backend = await Backend.start()
    balancerOf({ backends: [{ port: backend.port, sendProxy }], health: { path: '/up', interval: 4, timeout: 20_000 } })
    const peer = await backend.next()
    await peer.until('badass-health')
    expect(peer.text.startsWith(`${header}GET /up HTTP/1.1\r\n`)).toBe(true)
    peer.end('HTTP/1.1 200 OK\r\n\r\n')
    await peer.closed()
  })

  test('sends the header for a TCP check too', async () => {
    const backend = await Backend.start()
    balancerOf({ backends: [{ port: backend.port, sendProxy }], health: { type: 'tcp', interval: 4, timeout: 20_000 } })
    const peer = await backend.next()
    expect(await peer.ended()).toBe(header)
    await abandoned(peer)
  })
})
