import net from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import tls from 'node:tls'
import { describe, expect, test } from 'vitest'
import { createServer, type Dest, handler, type ProxyOptions } from '../../src/index.ts'
import { Backend, connect, listen } from '../helpers/net.ts'
import { ask, expectNoCrashes, expectNoWarnings, GET, OK, startProxy, Watch } from '../helpers/proxy.ts'
import { certificate, connectTls } from '../helpers/tls.ts'
import { turn, turns } from '../helpers/turns.ts'

expectNoWarnings()
expectNoCrashes()

const host = '127.0.0.1'

describe('a socket that cannot be proxied', () => {
  /** Sockets and the expected errors. */
  const SOCKETS: [name: string, make: () => Promise<net.Socket> | net.Socket, codes: string[]][] = [
    ['was destroyed long ago', async () => closed(new net.Socket().destroy()), []],
    ['was destroyed just now', () => new net.Socket().destroy(), []],
    ['was destroyed with an error just now', () => new net.Socket().destroy(new Error('now')), []],
    [
      'errors in the next tick',
      () => {
        const socket = new net.Socket()
        process.nextTick(() => socket.destroy(new Error('next')))
        return socket
      },
      ['CLIENT_RESET'],
    ],
    [
      'errors in the next turn',
      () => {
        const socket = new net.Socket()
        setImmediate(() => socket.destroy(new Error('turn')))
        return socket
      },
      ['CLIENT_RESET'],
    ],
    [
      'emits an error, and goes on',
      () => {
        const socket = new net.Socket()
        process.nextTick(() => socket.emit('error', new Error('by hand')))
        return socket
      },
      ['CLIENT_RESET'],
    ],
  ]
  const closed = async (socket: net.Socket) => {
    if (!socket.closed) await new Promise((resolve) => socket.on('close', resolve))
    return socket
  }
  for (const [name, make, codes] of SOCKETS) {
    test(`that ${name} is closed once and reported`, async () => {
      for (const way of ['handler', 'server'] as const) {
        const watch = new Watch()
        const server = createServer(() => undefined)
        const take = way === 'handler' ? handler(() => undefined) : (one: net.Socket) => server.emit('connection', one)
        const socket = await make()
        take(socket)
        await watch.until('close')
        await closed(socket)
        await turns(3)
        expect(watch.all('open')).toHaveLength(1)
        expect(watch.all('close')).toHaveLength(1)
        expect(watch.codes).toEqual(codes)
        expect(server.active.size).toBe(0)
      }
    })
  }

  test('that emits junk is closed without a head', async () => {
    const watch = new Watch()
    const port = await listen(
      net.createServer((socket) => {
        handler(() => undefined)(socket)
        socket.emit('data', { not: 'bytes' })
      }),
    )
    const client = net.connect(port, host).on('error', () => undefined)
    await new Promise((resolve) => client.on('close', resolve))
    await watch.until('close')
    expect(watch.codes).toEqual(['CLIENT_RESET'])
  })
})

test('ignores the peer of a failed TLS handshake', async () => {
  const server = tls.createServer(
    certificate(),
    handler(() => undefined),
  )
  const port = await listen(server)
  const failed = new Promise((resolve) => server.on('tlsClientError', resolve))
  const client = await connect(port)
  client.end(GET)
  await failed
  const good = await connectTls(port)
  good.write(GET)
  expect(await good.ended()).toMatch(/^HTTP\/1\.1 503 /)
})

test('closes a TLS client and its backend if the TCP connection is reset', async () => {
  const watch = new Watch()
  const backend = await Backend.start()
  const server = tls.createServer(
    certificate(),
    handler(() => ({ port: backend.port, host })),
  )
  const port = await listen(server)
  const raw = net.connect(port, host)
  const client = tls.connect({ socket: raw, ca: certificate().cert, servername: 'localhost' })
  client.on('error', () => undefined).write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  raw.resetAndDestroy()
  await watch.until('close')
  await peer.closed()
  expect(peer.error?.code).toBe('ECONNRESET')
  expect(watch.codes).toEqual(['CLIENT_RESET'])
})

describe('a user`s stream that misbehaves', () => {
  const taking = { read() {}, write: (_chunk: unknown, _encoding: string, done: () => void) => done() }
  const STREAMS: [name: string, open: () => Duplex][] = [
    [
      'errors twice',
      () => late(new Duplex({ ...taking, autoDestroy: false }), ['error', new Error('1')], ['error', new Error('2')]),
    ],
    ['closes, and then errors', () => late(new Duplex(taking), ['close'], ['error', new Error('after')])],
    ['ends twice', () => late(new Duplex(taking), ['end'], ['end'])],
    ['ends, and then errors', () => late(new Duplex(taking), ['end'], ['error', new Error('after')])],
    ['ends, and then emits data', () => late(new Duplex(taking), ['end'], ['data', Buffer.from('x')])],
    ['closes, and then emits data', () => late(new Duplex(taking), ['close'], ['data', Buffer.from('x')])],
    ['fails each write', () => new Duplex({ read() {}, write: (_c, _e, done) => done(new Error('write')) })],
    ['fails to end', () => new Duplex({ ...taking, final: (done) => done(new Error('final')) })],
    [
      'fails to be destroyed',
      () =>
        late(new Duplex({ ...taking, destroy: (_e, done) => done(new Error('destroy')) }), ['error', new Error('1')]),
    ],
    ['errors with nothing', () => late(new Duplex(taking), ['error', undefined])],
    ['drains for no reason', () => late(new PassThrough(), ['drain'], ['finish'], ['error', new Error('1')])],
  ]
  /** Makes a stream emit unexpected events, one per turn. */
  function late(stream: Duplex, ...events: [string, ...unknown[]][]): Duplex {
    void (async () => {
      for (const [name, ...args] of events) {
        await turn()
        stream.emit(name, ...args)
      }
    })()
    return stream
  }
  const MODES: [name: string, options: Partial<ProxyOptions>][] = [
    ['plain', {}],
    ['modify', { modify: () => undefined }],
    ['a time-out', { responseHeadTimeout: 60_000 }],
  ]
  for (const [name, open] of STREAMS) {
    for (const [mode, options] of MODES) {
      test(`and ${name} ends its connection only, with ${mode}`, async () => {
        const watch = new Watch()
        const { port, server } = await startProxy<Dest>({ lookup: () => ({ connect: open }), ...options })
        const client = net.connect(port, host).on('error', () => undefined)
        client.resume().end(GET)
        await watch.until('connected')
        await turns(10)
        for (const connection of server.active) connection.destroy()
        await new Promise((resolve) => (client.closed ? resolve(undefined) : client.on('close', resolve)))
        expect(watch.all('close')).toHaveLength(1)
        expect(await ask(port, 'bad\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
      })
    }
  }
})

describe('a closed connection', () => {
  test('leaves no timer, and no listeners except those for late errors', async () => {
    const watch = new Watch()
    const backend = await Backend.start()
    let accepted: net.Socket | undefined
    let upstream: net.Socket | undefined
    const proxied = handler<Dest>({
      lookup: () => ({
        connect() {
          upstream = net.connect({ port: backend.port, host })
          return upstream
        },
      }),
      modify: () => undefined,
      idleTimeout: 60_000,
    })
    const front = net.createServer((socket) => {
      accepted = socket
      proxied(socket)
    })
    const port = await listen(front)
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const client = await connect(port)
    client.end(GET)
    ;(await backend.next()).end(OK)
    await client.ended()
    await watch.until('close')
    await turn()
    for (const socket of [accepted!, upstream!]) {
      expect(socket.destroyed).toBe(true)
      for (const event of ['data', 'drain', 'readable', 'finish', 'connect'])
        expect(socket.listenerCount(event)).toBe(0)
      expect(socket.listenerCount('error')).toBeGreaterThan(0)
      expect(socket.listenerCount('error')).toBeLessThan(5)
    }
    expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length).toBeLessThanOrEqual(before)
  })

  test('leaves no socket, in a thousand connections of all kinds', async () => {
    const backend = net.createServer((socket) => void socket.on('error', () => undefined).end(OK))
    const backendPort = await listen(backend)
    const { port, server } = await startProxy<Dest>((head) =>
      head.target === '/' ? { port: backendPort, host } : head.target === '/none' ? undefined : { path: '/no/such' },
    )
    const requests = [
      GET,
      'GET /none HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /path HTTP/1.1\r\nHost: a\r\n\r\n',
      'bad\r\n\r\n',
      '',
    ]
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 50 }, (_, i) => {
          const client = net.connect(port, host).on('error', () => undefined)
          client.resume()
          if (i % 7 === 0) client.write(requests[i % 5]!, () => client.resetAndDestroy())
          else client.end(requests[i % 5]!)
          return new Promise((resolve) => client.on('close', resolve))
        }),
      )
    }
    await server.drain(5000)
    expect(server.counters).toMatchObject({ open: 0 })
    expect(server.counters.accepted).toBeGreaterThan(800)
  })
})
