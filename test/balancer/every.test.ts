import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { describe, expect, it } from 'vitest'
import type { Balancer } from '../../src/balancer/index.ts'
import { createServer } from '../../src/proxy/index.ts'
import { Backend, connect, listen, type Peer } from '../helpers/net.ts'
import { GET, OK } from '../helpers/proxy.ts'
import { balancerOf, idle, statusOf, until } from './support.ts'

// With requests: 'every', each request of a connection is balanced by itself.

async function start(algorithm: 'round-robin' | 'least-connections') {
  const backends = { a: await Backend.start(), b: await Backend.start() }
  const balancer = balancerOf({
    backends: Object.entries(backends).map(([id, { port }]) => ({ id, port })),
    algorithm,
  })
  const server = createServer({ lookup: balancer.lookup, errback: balancer.errback, requests: 'every' })
  return { backends, balancer, port: await listen(server) }
}

type Id = 'a' | 'b'

/** After a login, only its client uses the connection. */
const LOGIN = 'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Negotiate abc\r\n\r\n'
const REQUESTS: [what: string, request: string][] = [
  ['a request', GET],
  ['a login', LOGIN],
]

/** The backends that have a request or a tunnel under way. */
function busy(balancer: Balancer): Id[] {
  return balancer.backends.filter(({ connections }) => connections > 0).map(({ id }) => id as Id)
}

/** The first backend that gets a request. */
async function firstBusy(balancer: Balancer): Promise<Id> {
  await until(() => busy(balancer).length > 0)
  return busy(balancer)[0]!
}

/** A backend's connection with the request that it got next. */
async function next(backend: Backend, known?: Peer): Promise<Peer> {
  const peer = known ?? (await backend.next())
  await peer.until('\r\n\r\n')
  peer.received = Buffer.alloc(0)
  return peer
}

async function answer(client: Peer, peer: Peer): Promise<void> {
  peer.write(OK)
  await client.until('ok')
  client.received = Buffer.alloc(0)
}

it('drain moves the next request of an open connection, and lets the one under way end', async () => {
  const { backends, balancer, port } = await start('round-robin')
  const client = await connect(port)
  client.write(GET)
  const drained = await firstBusy(balancer)
  const first = await next(backends[drained])
  balancer.drain(drained)
  await answer(client, first)
  const other = drained === 'a' ? 'b' : 'a'
  let peer: Peer | undefined
  for (let i = 0; i < 3; i++) {
    client.write(GET)
    peer = await next(backends[other], peer)
    expect(busy(balancer)).toEqual([other])
    await answer(client, peer)
  }
})

it('least-connections counts a tunnel until it closes', async () => {
  const { backends, balancer, port } = await start('least-connections')
  const [tunnel, client] = [await connect(port), await connect(port)]
  tunnel.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  const home = await firstBusy(balancer)
  const upgraded = await next(backends[home])
  upgraded.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await tunnel.until('\r\n\r\n')
  const other = home === 'a' ? 'b' : 'a'
  let peer: Peer | undefined
  for (let i = 0; i < 3; i++) {
    client.write(GET)
    peer = await next(backends[other], peer)
    expect(busy(balancer)).toEqual(['a', 'b'])
    await answer(client, peer)
  }
  expect(statusOf(balancer, home).connections).toBe(1)
  tunnel.end()
  upgraded.end()
  await idle(balancer)
})

it('kill resets an exchange under way, and no client that waits between two', async () => {
  const { backends, balancer, port } = await start('round-robin')
  const waiting = await connect(port)
  waiting.write(GET)
  await answer(waiting, await next(backends[await firstBusy(balancer)]))
  const client = await connect(port)
  client.write(GET)
  expect(balancer.kill(await firstBusy(balancer))).toBe(1)
  await client.closed()
  expect(client.error?.code).toBe('ECONNRESET')
  expect(waiting.socket.closed).toBe(false)
})

describe('idle connections to a backend close', () => {
  /** A balancer before one backend, which keeps an idle connection of the proxy. */
  async function idleAt(request = GET) {
    const backend = await Backend.start()
    const balancer = balancerOf({ backends: [{ id: 'a', port: backend.port }] })
    const { lookup, errback } = balancer
    const server = createServer({ lookup, errback, requests: 'every', pool: { idleLifetime: 600_000 } })
    const client = await connect(await listen(server))
    client.write(request)
    const peer = await next(backend)
    await answer(client, peer)
    await until(() => busy(balancer).length === 0)
    return { backend, balancer, client, peer }
  }

  it.for(REQUESTS)('when it is removed, after %s', async ([, request]) => {
    const { balancer, peer } = await idleAt(request)
    balancer.remove('a')
    expect(await peer.ended()).toBe('')
  })

  it.for(REQUESTS)('when it is killed, after %s', async ([, request]) => {
    const { balancer, peer } = await idleAt(request)
    expect(balancer.kill('a')).toBe(0)
    expect(await peer.ended()).toBe('')
  })

  it.for(REQUESTS)('when an update gives it another address, after %s', async ([, request]) => {
    const { balancer, client, peer } = await idleAt(request)
    const other = await Backend.start()
    balancer.update({ backends: [{ id: 'a', port: other.port }] })
    expect(await peer.ended()).toBe('')
    client.write(GET)
    await answer(client, await next(other))
  })

  it('when it goes down', async () => {
    let status = 200
    const backend = http.createServer({ keepAliveTimeout: 0 }, (request, response) => {
      if (request.method !== 'GET') backend.emit('asked', request.socket)
      response.writeHead(request.method === 'GET' ? status : 200).end('ok')
    })
    const health = { path: '/health', interval: 20, fall: 1 }
    const { lookup, errback } = balancerOf({ backends: [{ port: await listen(backend) }], health })
    const server = createServer({ lookup, errback, requests: 'every', pool: { idleLifetime: 600_000 } })
    const client = await connect(await listen(server))
    const asked = once(backend, 'asked')
    client.write(GET.replace('GET', 'DELETE'))
    const [socket] = (await asked) as [net.Socket]
    await client.until('ok')
    status = 500
    await once(socket, 'end')
  })

  it('but not when it drains, or another one is removed', async () => {
    const { balancer, client, peer } = await idleAt()
    const other = await Backend.start()
    balancer.add({ id: 'b', port: other.port })
    balancer.remove('b')
    balancer.drain('a')
    balancer.ready('a')
    client.write(GET)
    await answer(client, await next(other, peer))
  })
})

it('an idle connection closes before another one would exceed maxConnections', async () => {
  const backend = await Backend.start()
  const balancer = balancerOf({ backends: [{ id: 'a', port: backend.port, maxConnections: 2 }] })
  const server = createServer({ lookup: balancer.lookup, errback: balancer.errback, requests: 'every' })
  const port = await listen(server)
  const clients = [await connect(port), await connect(port)]
  const peers: Peer[] = []
  for (const client of clients) client.write(GET)
  for (const _client of clients) peers.push(await next(backend))
  for (const peer of peers) peer.write(OK)
  for (const client of clients) await client.until('ok')
  await until(() => balancer.backends[0]!.connections === 0)
  // A POST may not use a connection of another client.
  const third = await connect(port)
  third.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
  const fresh = await next(backend)
  const closed = await Promise.race(peers.map(async (peer) => peer.ended().then(() => peer)))
  fresh.write(OK)
  await third.until('ok')
  // The other one stays, and serves a request beside the fresh one.
  const open = peers.find((peer) => peer !== closed)!
  const rest = [await connect(port), await connect(port)]
  for (const client of rest) client.write(GET)
  await Promise.all([next(backend, open), next(backend, fresh)])
  expect(backend.accepted).toBe(3)
})

it('connections that belong to one client count for maxConnections while they are idle', async () => {
  const backend = await Backend.start()
  const balancer = balancerOf({ backends: [{ id: 'a', port: backend.port, maxConnections: 1 }] })
  const server = createServer({ lookup: balancer.lookup, errback: balancer.errback, requests: 'every' })
  const port = await listen(server)
  let last: Peer | undefined
  for (let i = 0; i < 3; i++) {
    const client = await connect(port)
    client.write(LOGIN)
    const peer = await next(backend)
    expect(await last?.ended()).toBe(last && '')
    await answer(client, peer)
    await until(() => balancer.backends[0]!.connections === 0)
    last = peer
  }
})
