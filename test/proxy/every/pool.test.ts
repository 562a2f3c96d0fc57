import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { closeIdleBackends, createServer, type ProxyOptions } from '../../../src/index.ts'
import { keyOf } from '../../../src/proxy/pool.ts'
import { Backend, connect, listen, type Peer } from '../../helpers/net.ts'
import { expectNoWarnings, OK, startProxy } from '../../helpers/proxy.ts'
import { certificate } from '../../helpers/tls.ts'
import { turns } from '../../helpers/turns.ts'
import { head, host, open, response, serve, start } from './support.ts'

expectNoWarnings()

afterEach(() => void vi.useRealTimers())

const POST = head('Content-Length: 5\r\n', 'POST / HTTP/1.1')

/** Sends a request as a new client, and serves it on this backend connection. Returns the request at the backend. */
async function ask(port: number, peer: Peer, request = head(), answer = OK): Promise<string> {
  const client = await connect(port)
  peer.received = Buffer.alloc(0)
  client.write(request)
  const got = await serve(peer, answer)
  await client.until('ok')
  client.end()
  await client.closed()
  return got
}

test('a connection serves several clients in turn', async () => {
  const all = await start()
  const peer = await open(all)
  for (let i = 0; i < 3; i++) expect(await ask(all.port, peer)).toBe(head())
  expect(all.backend.accepted).toBe(1)
})

test('a connection serves only one exchange at a time', async () => {
  const all = await start()
  const clients = [await connect(all.port), await connect(all.port)]
  for (const client of clients) client.write(head())
  const peers = [await all.backend.next(), await all.backend.next()]
  await Promise.all(peers.map((peer) => serve(peer, OK)))
  await Promise.all(clients.map((client) => client.until('ok')))
  expect(all.backend.accepted).toBe(2)
})

describe('a connection closes', () => {
  const CASES: [why: string, request: string, answer: string, options?: Partial<ProxyOptions>][] = [
    ['the backend says close', head(), response('Connection: close\r\nContent-Length: 2\r\n', 'ok')],
    ['it is of HTTP/1.0 without keep-alive', head(), 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['the request is of HTTP/1.0 without keep-alive', head('', 'GET / HTTP/1.0'), OK],
    ['bytes came behind the response', head(), `${OK}HTTP/1.1`],
    ['Keep-Alive says a second', head(), response('Keep-Alive: timeout=1\r\nContent-Length: 2\r\n', 'ok')],
    ['maxRequests is 1', head(), OK, { pool: { maxRequests: 1 } }],
    ['idleLifetime is 0', head(), OK, { pool: { idleLifetime: 0 } }],
    ['maxIdle is 0', head(), OK, { pool: { maxIdle: 0 } }],
    ['maxIdleTotal is 0', head(), OK, { pool: { maxIdleTotal: 0 } }],
  ]

  test.for(CASES)('if %s', async ([, request, answer, options]) => {
    const all = await start(options)
    const peer = await open(all, request, answer)
    await peer.ended().catch(() => undefined)
    await open(all)
    expect(all.backend.accepted).toBe(2)
  })

  test('if its response ended first', async () => {
    const all = await start()
    await all.client.flush(`${POST}he`)
    const peer = await all.backend.next()
    peer.write(OK)
    await all.client.until('ok')
    await peer.ended().catch(() => undefined)
    await open(all)
  })

  test.for(['a byte', 'an end', 'a reset'])('after %s while it is idle', async (what) => {
    const all = await start()
    const peer = await open(all)
    if (what === 'a byte') peer.write('H')
    else if (what === 'an end') peer.end()
    else peer.reset()
    if (what === 'a reset') await peer.closed()
    else await peer.ended().catch(() => undefined)
    await turns(20)
    await open(all)
    expect(all.backend.accepted).toBe(2)
  })
})

test('an HTTP/1.0 connection continues with keep-alive on both sides', async () => {
  const all = await start()
  const request = head('Connection: keep-alive\r\n', 'GET / HTTP/1.0')
  const answer = 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok'
  const peer = await open(all, request, answer)
  expect(await ask(all.port, peer, request, answer)).toBe(request)
})

test('closes idle connections after 4 s', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  const all = await start()
  const peer = await open(all)
  vi.advanceTimersByTime(3_999)
  expect(await ask(all.port, peer)).toBe(head())
  vi.advanceTimersByTime(5_000)
  expect(await peer.ended()).toBe('')
  await open(all)
})

test('a connection serves no request after maxLifetime', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const all = await start({ pool: { maxLifetime: 10_000, idleLifetime: 60_000 } })
  const peer = await open(all)
  vi.advanceTimersByTime(10_000)
  await ask(all.port, peer)
  expect(await peer.ended()).toBe('')
})

test('a failed connect closes the idle connections to its destination', async () => {
  const all = await start()
  const busy = await connect(all.port)
  busy.write(head())
  const one = await all.backend.next()
  const idle = await open(all)
  await new Promise<void>((resolve) => {
    all.backend.server.close(() => resolve())
    // A connection that cannot be shared is new, and fails.
    void connect(all.port).then((client) => {
      client.write(`${POST}hello`)
      void client.ended().then(() => {
        void idle.ended().then(() => one.end())
      })
    })
    idle.socket.on('end', () => idle.end())
  })
})

describe('closeIdleBackends', () => {
  test('closes the idle connections to an address in all servers, and no others', async () => {
    const pool = { idleLifetime: 600_000 }
    const [one, other] = [await start({ pool }), await start({ pool })]
    const second = await startProxy({ requests: 'every', pool, lookup: () => ({ port: one.backend.port, host }) })
    const [idle, kept, also] = [await open(one), await open(other), await open({ ...one, port: second.port })]
    // A connection in use stays open.
    one.client.write(head())
    const peers = [idle, also]
    const busy = await Promise.race(peers.map(async (peer) => peer.untilLength(head().length).then(() => peer)))
    closeIdleBackends({ port: one.backend.port, host, tls: true })
    expect(await peers.find((peer) => peer !== busy)!.ended()).toBe('')
    busy.write(OK)
    await one.client.until('ok')
    expect(await ask(other.port, kept)).toBe(head())
  })

  test('closes connections over TLS, too', async () => {
    const server = tls.createServer(certificate(), (socket) => {
      socket.on('data', () => socket.write(OK))
      socket.on('end', () => server.emit('over'))
    })
    const port = await listen(server)
    const dest = { port, host, tls: { rejectUnauthorized: false } }
    const proxy = await startProxy({ requests: 'every', pool: { idleLifetime: 600_000 }, lookup: () => dest })
    const client = await connect(proxy.port)
    client.write(head())
    await client.until('ok')
    client.end()
    await client.closed()
    const over = once(server, 'over')
    closeIdleBackends({ port, host })
    await over
  })

  test('keeps as many as it is told, and those that end last', async () => {
    const pool = { idleLifetime: 600_000 }
    const [one, other] = [await start({ pool }), await start({ pool })]
    const second = await startProxy({ requests: 'every', pool, lookup: () => ({ port: one.backend.port, host }) })
    const [first, last] = [await open(one), await open({ ...other, backend: one.backend, port: second.port })]
    closeIdleBackends({ port: one.backend.port, host }, 2)
    closeIdleBackends({ port: one.backend.port, host }, 1)
    expect(await first.ended()).toBe('')
    expect(await ask(second.port, last)).toBe(head())
  })

  test('ignores a server, and throws a TypeError on anything that is no Dest', () => {
    closeIdleBackends({ server: net.createServer() })
    expect(() => closeIdleBackends(1 as never)).toThrow(new TypeError('dest: expected a Dest, got 1'))
    for (const keep of [-1, 0.5, '1'] as number[]) {
      expect(() => closeIdleBackends({ port: 1 }, keep)).toThrow(/^keep: expected an integer \(0 or more\), got /)
    }
  })
})

test('the end of the server closes the idle connections', async () => {
  const all = await start()
  const peer = await open(all)
  all.client.end()
  await all.server.drain()
  expect(await peer.ended()).toBe('')
})

test('the end of a server without a listener closes them after the last exchange', async () => {
  const backend = await Backend.start()
  const pool = { idleLifetime: 3_600_000 }
  const proxy = createServer({ requests: 'every', pool, lookup: () => ({ port: backend.port, host }) })
  const client = await connect(
    await listen(net.createServer({ allowHalfOpen: true }, (socket) => proxy.emit('connection', socket))),
  )
  client.write(head())
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  const drained = proxy.drain()
  // Without a listener, the proxy's server closes at once.
  await turns(5)
  peer.write(OK)
  await client.until('ok')
  client.end()
  await drained
  expect(await peer.ended()).toBe(head())
})

test('the key of a connection is host, port or path, and the options of TLS', () => {
  const base = {
    kind: 'port',
    host: 'a',
    port: 1,
    tls: undefined,
    sendProxy: undefined,
    retry: true,
    hostHeader: undefined,
  } as const
  const ca = ['x']
  const check = () => undefined
  const targets = [
    base,
    { ...base, port: 2 },
    { ...base, host: 'b' },
    { ...base, kind: 'path', path: 'a:1' } as const,
    { ...base, tls: {} },
    { ...base, tls: { servername: 'x' } },
    { ...base, tls: { servername: 'x', ca } },
    { ...base, tls: { servername: 'x', ca: ['x'] } },
    { ...base, tls: { rejectUnauthorized: false } },
    { ...base, tls: { rejectUnauthorized: 'false' as never } },
    { ...base, tls: { checkServerIdentity: check } },
    { ...base, sendProxy: 1 as const },
  ]
  expect(new Set(targets.map(keyOf)).size).toBe(targets.length)
  expect(keyOf({ ...base, tls: { ca, servername: 'x' } })).toBe(keyOf({ ...base, tls: { servername: 'x', ca } }))
})

test('rejects invalid options of the pool', async () => {
  const make = (pool: object) => () => startProxy({ lookup: () => undefined, pool })
  await expect(make({ maxIdle: -1 })()).rejects.toThrow(/^pool\.maxIdle: expected an integer from 0/)
  await expect(make({ idle: 1 })()).rejects.toThrow(/^pool\.idle: unknown option/)
})
