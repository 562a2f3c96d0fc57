import { channel } from 'node:diagnostics_channel'
import tls from 'node:tls'
import { describe, expect, it } from 'vitest'
import type { BackendOptions, Balancer, Route } from '../../src/balancer/index.ts'
import { parseHead } from '../../src/parser/index.ts'
import { ProxyError } from '../../src/proxy/index.ts'
import { NameServer } from '../helpers/dns.ts'
import { Backend, connect, listen, type Peer } from '../helpers/net.ts'
import { deferred } from '../helpers/promises.ts'
import { startProxy } from '../helpers/proxy.ts'
import { certificate } from '../helpers/tls.ts'
import {
  balancerOf,
  CLIENT,
  chooseMany,
  comeBack,
  lookUp,
  request,
  requestHead,
  statusOf,
  stickyOf,
  until,
} from './support.ts'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const preface = () => parseHead(Buffer.from(PREFACE), 'request')

/** The backends for a number of HTTP/2 connections, in order. */
function chooseHttp2(balancer: Balancer, count: number): (string | undefined)[] {
  return Array.from({ length: count }, () => lookUp(balancer, preface(), CLIENT)?.backend.id)
}

const MIXED: BackendOptions[] = [
  { port: 1, id: 'old', protocol: 'h1' },
  { port: 2, id: 'new', protocol: 'h2' },
  { port: 3, id: 'both', protocol: 'both' },
]

describe('clients get a backend that speaks their protocol', () => {
  it.each(['round-robin', 'least-connections', 'random-two', 'hash'] as const)('with %s', (algorithm) => {
    const balancer = balancerOf({ backends: MIXED, algorithm, key: () => String(Math.random()) })
    expect(new Set(chooseMany(balancer, 100))).toEqual(new Set(['old', 'both']))
    expect(new Set(chooseHttp2(balancer, 100))).toEqual(new Set(['new', 'both']))
  })

  it('all get all backends by default, in turn', () => {
    const balancer = balancerOf({ backends: [{ port: 1 }, { port: 2 }] })
    const ids = [chooseMany(balancer, 1), chooseHttp2(balancer, 1), chooseMany(balancer, 1)].flat()
    expect(ids).toEqual(['localhost:1', 'localhost:2', 'localhost:1'])
  })

  it('none, if no backend speaks it', () => {
    expect(chooseHttp2(balancerOf({ backends: [{ port: 1, protocol: 'h1' }] }), 1)).toEqual([undefined])
    expect(chooseMany(balancerOf({ backends: [{ port: 1, protocol: 'h2' }] }), 1)).toEqual([undefined])
  })

  it('a backup too', () => {
    const balancer = balancerOf({
      backends: [
        { port: 1, protocol: 'h1' },
        { port: 2, backup: true },
      ],
    })
    expect(chooseHttp2(balancer, 1)).toEqual(['localhost:2'])
    expect(chooseMany(balancer, 2)).toEqual(['localhost:1', 'localhost:1'])
  })

  it('after a failed connect', () => {
    const balancer = balancerOf({ backends: MIXED })
    const failed = (head = preface()) => {
      const route = lookUp(balancer, head, CLIENT)!
      const next = balancer.errback(new ProxyError('CONNECT_FAILED', 'connect'), route, head) as Route | undefined
      return [route.backend.id, next?.backend?.id].sort()
    }
    expect(failed()).toEqual(['both', 'new'])
  })

  it('not their home, if that speaks another one', () => {
    const balancer = balancerOf({ backends: MIXED, failover: 'persist' })
    balancer.drain('both')
    expect(comeBack(balancer, stickyOf('both'))).toBe('both')
    expect(comeBack(balancer, stickyOf('new'))).toBe('old')
  })

  it('after an update that changes it', () => {
    const balancer = balancerOf({ backends: [{ port: 1 }] })
    const before = statusOf(balancer, 'localhost:1')
    balancer.update({ backends: [{ port: 1, protocol: 'h1' }] })
    expect([chooseHttp2(balancer, 1), chooseMany(balancer, 1)]).toEqual([[undefined], ['localhost:1']])
    balancer.update({ backends: [{ port: 1, protocol: 'h2' }] })
    expect([chooseHttp2(balancer, 1), chooseMany(balancer, 1)]).toEqual([['localhost:1'], [undefined]])
    balancer.update({ backends: [{ port: 1 }] })
    expect([chooseHttp2(balancer, 1), chooseMany(balancer, 1)]).toEqual([['localhost:1'], ['localhost:1']])
    expect(statusOf(balancer, 'localhost:1').since).toBe(before.since)
  })

  it('while it goes up and down, drains and fills up', () => {
    const balancer = balancerOf({ backends: MIXED })
    balancer.drain('both')
    expect([chooseHttp2(balancer, 2), chooseMany(balancer, 2)]).toEqual([
      ['new', 'new'],
      ['old', 'old'],
    ])
    balancer.drain('new')
    expect([chooseHttp2(balancer, 1), chooseMany(balancer, 1)]).toEqual([[undefined], ['old']])
    balancer.ready('new')
    expect(chooseHttp2(balancer, 1)).toEqual(['new'])
  })
})

it('a request in the queue does not wait behind those of another protocol', async () => {
  const [old, modern] = [await Backend.start(), await Backend.start()]
  const balancer = balancerOf({
    backends: [
      { port: old.port, maxConnections: 1, protocol: 'h1' },
      { port: modern.port, maxConnections: 1, protocol: 'h2' },
    ],
    queue: 60_000,
  })
  const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
  const load = () => balancer.queued + balancer.backends.reduce((sum, { connections }) => sum + connections, 0)
  const send = async (text: string): Promise<Peer> => {
    const client = await connect(port)
    const before = load()
    client.write(text)
    await until(() => load() > before)
    return client
  }
  const [, first] = [await send(PREFACE), await send(request('GET /1 HTTP/1.1'))]
  await send(PREFACE)
  await send(request('GET /2 HTTP/1.1'))
  expect(balancer.queued).toBe(2)
  first.reset()
  await (await old.next()).closed()
  await (await old.next()).until('GET /2 ')
  expect([balancer.queued, modern.accepted]).toEqual([1, 1])
  const peer = await modern.next()
  peer.reset()
  await (await modern.next()).until(PREFACE)
  expect(balancer.queued).toBe(0)
})

it('a request does not wait if no backend speaks its protocol', async () => {
  const names = await NameServer.start()
  const dns = { servers: [names.address] }
  const queue = 60_000
  const h2: BackendOptions = { port: 1, protocol: 'h2' }
  const balancer = balancerOf({ backends: [h2], queue, dns })
  expect(balancer.lookup(requestHead(), CLIENT)).toBeUndefined()
  expect(balancer.queued).toBe(0)
  // A DNS name that speaks it may still resolve. An empty list may get a backend.
  for (const backends of [[h2, { dns: 'app.test', port: 1, protocol: 'h1' } as const], []]) {
    balancer.update({ backends, queue, dns })
    expect(balancer.lookup(requestHead(), CLIENT)).toBeInstanceOf(Promise)
    expect(balancer.queued).toBe(1)
    balancer.update({ backends })
  }
})

it('an ejection leaves half of the backends for clients of each protocol', () => {
  const protocols = ['h1', 'h2', 'h1', 'h1', 'both'] as const
  const backends = protocols.map((protocol, i): BackendOptions => ({ port: i + 1, id: `${i}`, protocol }))
  const ejectedOf = (count: number) => {
    const balancer = balancerOf({ backends: backends.slice(0, count), eject: 1, failover: 'persist' })
    for (const { id } of balancer.backends) {
      const isNew = protocols[Number(id)] === 'h2'
      const head = isNew ? preface() : requestHead()
      const dest = balancer.lookup(head, stickyOf(id), CLIENT) as Route
      const connection = {}
      channel('badass:connection:routed').publish({ connection, head: requestHead(), dest })
      channel('badass:request:response').publish({ connection, dest, status: 503, response: {} })
      channel('badass:connection:close').publish({ connection })
    }
    return balancer.backends.filter(({ ejectedUntil }) => ejectedUntil).map(({ id }) => id)
  }
  expect(ejectedOf(1)).toEqual([])
  expect(ejectedOf(2)).toEqual([])
  expect(ejectedOf(3)).toEqual(['0'])
  // '3' and '4' are left for HTTP/1.1, and '4' for HTTP/2.
  expect(ejectedOf(5)).toEqual(['0', '1', '2'])
})

it('the backends of a DNS name speak what the name says', async () => {
  const names = await NameServer.start()
  names.set('app.test', { A: ['10.0.0.1'] })
  const dns = { servers: [names.address] }
  const balancer = balancerOf({ backends: [{ dns: 'app.test', port: 1, protocol: 'h2', tls: true }], dns })
  await balancer.resolved()
  expect([chooseHttp2(balancer, 1), chooseMany(balancer, 1)]).toEqual([['10.0.0.1:1'], [undefined]])
  const { tls } = lookUp(balancer, preface(), CLIENT)!
  expect(tls).toEqual({ servername: 'app.test', ALPNProtocols: ['h2'] })
  balancer.update({ backends: [{ dns: 'app.test', port: 1, protocol: 'both', tls: true }], dns })
  expect([chooseHttp2(balancer, 1), chooseMany(balancer, 1)]).toEqual([['10.0.0.1:1'], ['10.0.0.1:1']])
})

describe('a backend with TLS and HTTP/2 only', () => {
  it('is offered h2 by its checks', async () => {
    const { key, cert } = certificate()
    const { promise, resolve } = deferred<string[]>()
    const ALPNCallback = ({ protocols }: { protocols: string[] }) => {
      resolve(protocols)
      return protocols[0]
    }
    const server = tls.createServer({ key, cert, ALPNCallback })
    const backends = [{ port: await listen(server), host: '127.0.0.1', protocol: 'h2', tls: { ca: cert } } as const]
    balancerOf({ backends, health: { type: 'tcp', interval: 500, timeout: 30_000 } })
    expect(await promise).toEqual(['h2'])
  })

  it('is down if it does not choose it', async () => {
    const { key, cert } = certificate()
    const port = await listen(tls.createServer({ key, cert }))
    const backends = [{ port, host: '127.0.0.1', protocol: 'h2', tls: { ca: cert } } as const]
    const balancer = balancerOf({ backends, health: { type: 'tcp', interval: 500, timeout: 30_000 } })
    const error = await new Promise<Error>((resolve) => balancer.on('down', (_, cause) => resolve(cause)))
    expect(error.message).toBe('the backend did not choose h2 (ALPN)')
  })
})

describe('a backend with TLS that speaks HTTP/1.1 only, and is not marked so', () => {
  const { key, cert } = certificate()
  it.each<[how: string, options: tls.TlsOptions]>([
    ['refuses the offer of h2', { ALPNProtocols: ['http/1.1'] }],
    ['ignores it', {}],
  ])('stays up for others if it %s to an HTTP/2 connection', async (_, options) => {
    const server = tls.createServer({ key, cert, ...options }, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'))
    server.on('tlsClientError', () => undefined)
    const backends = [{ port: await listen(server), host: '127.0.0.1', tls: { ca: cert } }]
    const balancer = balancerOf({ backends, eject: 1 })
    const { port } = await startProxy({ lookup: balancer.lookup, errback: balancer.errback })
    const modern = await connect(port)
    modern.write(PREFACE)
    await modern.closed()
    expect(balancer.backends).toMatchObject([{ state: 'up', failures: 1, lastError: {} }])
    const old = await connect(port)
    old.write(request('GET / HTTP/1.1'))
    expect(await old.ended()).toContain('200 OK')
  })

  it.each([
    ['an HTTP/2 connection was reset', preface(), 'ECONNRESET', 'up'],
    ['an HTTP/2 connection was refused', preface(), 'ECONNREFUSED', 'down'],
    ['another one was reset', requestHead(), 'ECONNRESET', 'down'],
  ])('%s', (_, head, code, state) => {
    const balancer = balancerOf({ backends: [{ port: 1, tls: true }] })
    const route = lookUp(balancer, head, CLIENT)!
    const cause = Object.assign(new Error('closed'), { code })
    void balancer.errback(new ProxyError('CONNECT_FAILED', 'connect', cause), route, head)
    expect(balancer.backends).toMatchObject([{ state }])
  })
})

it('an unknown protocol is an error', () => {
  const backends = [{ port: 1, protocol: 'http/2' }] as unknown as BackendOptions[]
  expect(() => balancerOf({ backends })).toThrow("backends[0].protocol: expected 'both', 'h1' or 'h2', got 'http/2'")
})
