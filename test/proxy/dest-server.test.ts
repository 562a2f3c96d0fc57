import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, test } from 'vitest'
import { createServer, type Dest, handler, type ProxyOptions } from '../../src/index.ts'
import { connect, deadPort, listen, type Peer } from '../helpers/net.ts'
import { expectNoWarnings, GET, startProxy, Watch } from '../helpers/proxy.ts'
import { certificate, connectTls } from '../helpers/tls.ts'
import { turn, turns } from '../helpers/turns.ts'

expectNoWarnings()

const HELLO = `${GET}hello`

/** Echo servers that read in different ways. */
const ECHOES: [name: string, listener: (socket: net.Socket) => void][] = [
  ['listens for data at once', (socket) => socket.on('data', (chunk) => socket.write(chunk))],
  ['pipes', (socket) => void socket.pipe(socket)],
  [
    'listens for data later',
    (socket) => setImmediate(() => setImmediate(() => socket.on('data', (chunk) => socket.write(chunk)))),
  ],
  [
    'iterates',
    async (socket) => {
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) socket.write(chunk)
    },
  ],
  [
    'reads when it is readable',
    (socket) =>
      socket.on('readable', () => {
        for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) socket.write(chunk)
      }),
  ],
  [
    'pauses at first',
    (socket) => {
      socket.on('data', (chunk) => socket.write(chunk)).pause()
      setImmediate(() => socket.resume())
    },
  ],
]

const HOOKS: [name: string, wait: () => Promise<void> | undefined][] = [
  ['at once', () => undefined],
  ['later', turn],
]

describe('a Dest with a server of this process', () => {
  test('is recognised by its methods, because Bun`s http.Server is not a net.Server', async () => {
    const server = new EventEmitter().on('connection', (socket: net.Socket) => socket.end('served'))
    const methods = { listen() {}, close() {}, address() {} }
    const { port } = await startProxy(() => ({ server: Object.assign(server, methods) as unknown as net.Server }))
    const client = await connect(port)
    client.write(GET)
    expect(await client.ended()).toBe('served')
  })

  for (const [name, listener] of ECHOES) {
    for (const [when, wait] of HOOKS) {
      test(`gets every byte if it ${name}; lookup ${when}`, async () => {
        const server = net.createServer(listener)
        const { port } = await startProxy(async () => {
          await wait()
          return { server }
        })
        const client = await connect(port)
        client.write(HELLO)
        expect(await client.until('hello')).toBe(HELLO)
        client.write(' again')
        expect(await client.until('again')).toBe(`${HELLO} again`)
        client.end()
        // Node ends the socket of a server without allowHalfOpen.
        expect(await client.ended()).toBe(`${HELLO} again`)
        await client.closed()
      })
    }
  }

  for (const [name, listener] of ECHOES) {
    for (const [when, wait] of HOOKS) {
      test(`gets 1 MiB sent with the head if it ${name}; lookup ${when}`, async () => {
        const server = net.createServer({ allowHalfOpen: true }, (socket) => {
          listener(socket)
          socket.on('end', () => socket.end())
        })
        const { port } = await startProxy(() => wait()?.then(() => ({ server })) ?? { server })
        const client = await connect(port)
        const bytes = Buffer.concat([Buffer.from(GET), randomBytes(1 << 20)])
        client.end(bytes.toString('latin1'))
        await client.ended()
        expect(client.received.equals(bytes)).toBe(true)
      })
    }
  }

  test('can pause the socket', async () => {
    const read: Buffer[] = []
    let given: net.Socket | undefined
    const server = net.createServer((socket) => {
      given = socket
      socket.on('data', (chunk) => read.push(chunk))
      socket.pause()
    })
    const watch = new Watch()
    const { port } = await startProxy(() => ({ server }))
    const client = await connect(port)
    client.write(HELLO)
    await watch.until('connected')
    await turns(5)
    expect(given?.isPaused()).toBe(true)
    expect(read).toEqual([])
    given?.resume()
    await once(given!, 'data')
    expect(Buffer.concat(read).toString()).toBe(HELLO)
  })

  test('gets the FIN of a client that ended its side during lookup', async () => {
    const server = net.createServer((socket) => socket.pipe(socket))
    for (const request of [GET, HELLO]) {
      const { port } = await startProxy(async () => {
        await turns(5)
        return { server }
      })
      const client = await connect(port)
      client.end(request)
      expect(await client.ended()).toBe(request)
    }
  })

  test('gets lookup`s edits of the head', async () => {
    const server = net.createServer((socket) => socket.pipe(socket))
    const { port } = await startProxy((head) => {
      head.headers.Via = '1.1 badass'
      return { server }
    })
    const client = await connect(port)
    client.end(HELLO)
    expect(await client.ended()).toBe('GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 badass\r\n\r\nhello')
  })

  test('has half-open sockets only with allowHalfOpen', async () => {
    const openness: boolean[] = []
    const listener = (socket: net.Socket) => {
      openness.push(socket.allowHalfOpen)
      socket.end('bye')
    }
    for (const server of [net.createServer(listener), net.createServer({ allowHalfOpen: true }, listener)]) {
      const { port } = await startProxy(() => ({ server }))
      const client = await connect(port)
      client.end(GET)
      expect(await client.ended()).toBe('bye')
    }
    expect(openness).toEqual([false, true])
  })

  test('is counted and published', async () => {
    const watch = new Watch()
    const server = net.createServer((socket) => socket.pipe(socket))
    const proxy = await startProxy(() => ({ server }))
    const client = await connect(proxy.port)
    client.write(GET)
    await client.until('\r\n\r\n')
    const { connection, dest } = await watch.until('connected')
    expect(dest).toEqual({ server })
    expect(connection.state).toBe('HandedOver')
    expect(connection.bytesWritten).toBe(GET.length)
    client.end('more')
    await client.ended()
    await watch.until('close')
    expect(connection).toMatchObject({ state: 'Closed', bytesRead: GET.length + 4, bytesWritten: GET.length + 4 })
    expect(proxy.server.counters).toMatchObject({ connected: 1, bytesRead: GET.length + 4, open: 0 })
    expect(watch.names).toEqual(['open', 'routed', 'connected', 'end', 'close'])
  })

  test('can be the Dest of errback after the client ended its side', async () => {
    const server = net.createServer((socket) => socket.pipe(socket))
    const dead = await deadPort()
    const { port } = await startProxy<Dest>({
      lookup: () => ({ port: dead, host: '127.0.0.1' }),
      errback: async () => {
        await turns(5)
        return { server }
      },
    })
    const client = await connect(port)
    client.end(HELLO)
    expect(await client.ended()).toBe(HELLO)
  })

  test('can be another proxy', async () => {
    const server = net.createServer((socket) => socket.pipe(socket))
    const inner = createServer((head) => {
      head.headers.Inner = '1'
      return { server }
    })
    const { port } = await startProxy((head) => {
      head.headers.Outer = '1'
      return { server: inner }
    })
    const client = await connect(port)
    client.end(HELLO)
    expect(await client.ended()).toBe('GET / HTTP/1.1\r\nHost: a\r\nOuter: 1\r\nInner: 1\r\n\r\nhello')
    await inner.drain()
  })

  test('does not get a client that leaves at the last moment', async () => {
    const given: net.Socket[] = []
    const inner = net.createServer((socket) => given.push(socket))
    const { port, server } = await startProxy(() => {
      process.nextTick(() => {
        for (const connection of server.active) connection.destroy()
      })
      return { server: inner }
    })
    const client = await connect(port)
    client.write(GET)
    await client.closed()
    expect(client.error?.code).toBe('ECONNRESET')
    expect(given).toEqual([])
  })

  test('does not get a client that has left', async () => {
    const watch = new Watch()
    let found: () => void = () => undefined
    const given: net.Socket[] = []
    const server = net.createServer((socket) => given.push(socket))
    const { port } = await startProxy(async () => {
      await new Promise<void>((resolve) => {
        found = resolve
      })
      return { server }
    })
    const client = await connect(port)
    const { connection } = await watch.until('open')
    client.write(GET)
    while (connection.state !== 'Routing') await turn()
    client.reset()
    await watch.until('close')
    found()
    await turn()
    expect(given).toEqual([])
    expect(watch.codes).toEqual(['CLIENT_RESET'])
  })
})

describe('behind handler() in a tls.Server', () => {
  async function secured(lookup: ProxyOptions['lookup']): Promise<Peer> {
    return connectTls(await listen(tls.createServer(certificate(), handler(lookup as never))))
  }

  for (const [name, listener] of ECHOES) {
    test(`gets every byte if it ${name}`, async () => {
      const server = net.createServer(listener)
      const client = await secured(async () => {
        await turn()
        return { server }
      })
      client.write(HELLO)
      expect(await client.until('hello')).toBe(HELLO)
      client.end(' again')
      expect(await client.ended()).toBe(`${HELLO} again`)
    })
  }

  test('client.encrypted is true', async () => {
    const seen: boolean[] = []
    const client = await secured((_: unknown, { encrypted }: { encrypted: boolean }) => void seen.push(encrypted))
    client.write(GET)
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 503 /)
    expect(seen).toEqual([true])
  })
})
