import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  type ClientInfo,
  createStickyServer,
  type Dest,
  type ProxyOptions,
  type ProxyServer,
} from '../../../src/index.ts'
import { Backend, connect, listen, Peer } from '../../helpers/net.ts'
import { expectNoWarnings, GET, OK, startProxy, Watch } from '../../helpers/proxy.ts'
import { block, LINE, MALFORMED, V6, withBitsTurned, withChecksum } from '../../helpers/proxy-header.ts'
import { report } from '../../helpers/report.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { turn, turns } from '../../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'

interface Setup {
  server: ProxyServer<Dest>
  port: number
  backend: Backend
  /** The clients that lookup got. */
  clients: ClientInfo[]
}

/** A proxy that accepts PROXY headers from loopback, and its backend. */
async function start(options: Partial<ProxyOptions> = {}): Promise<Setup> {
  const backend = await Backend.start()
  const clients: ClientInfo[] = []
  const { server, port } = await startProxy<Dest>({
    proxyProtocol: [host],
    lookup: (_, client) => {
      clients.push(client)
      return { port: backend.port, host }
    },
    ...options,
  })
  return { server, port, backend, clients }
}

/** Sends a header and a request. The backend must not get the header. Returns the client's port. */
async function served({ port, backend }: Setup, header: Buffer | string, at: number | net.NetConnectOpts = port) {
  const client = await connect(at)
  const { localPort } = client.socket
  client.write(Buffer.concat([Buffer.from(header), Buffer.from(GET)]))
  const peer = await backend.next()
  expect(await peer.until('\r\n\r\n')).toBe(GET)
  peer.end(OK)
  client.end()
  expect(await client.ended()).toBe(OK)
  return localPort
}

/** Resolves when the client has been reset, without a byte. */
async function reset(client: Peer): Promise<void> {
  await client.closed()
  expect(client.text).toBe('')
  expect(client.error?.code).toMatch(/^(ECONNRESET|EPIPE)$/)
}

/** Connects to a server that may reset it at once, and sends something. */
async function attempt(port: number, bytes: string): Promise<Peer> {
  const socket = net.connect({ port, host, allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  const peer = new Peer(socket)
  if (bytes) peer.write(bytes)
  return peer
}

describe('the client of a header', () => {
  test.each([
    ['version 1', LINE, '192.0.2.1'],
    ['version 1, IPv6', 'PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n', '2001:db8::1'],
    ['version 2', block(), '192.0.2.1'],
    ['version 2, IPv6', block({ family: 0x21, addresses: V6 }), '2001:db8::1'],
    ['version 2 with a checksum', withChecksum(), '192.0.2.1'],
  ])('is the client that lookup gets: %s', async (_, header, remoteAddress) => {
    const setup = await start()
    await served(setup, header)
    expect(setup.clients).toEqual([
      { transport: 'tcp', remoteAddress, remotePort: 5000, localPort: setup.port, encrypted: false },
    ])
  })

  test.each([
    ['LOCAL', block({ command: 0x20, family: 0, addresses: Buffer.alloc(0) })],
    ['UNKNOWN', 'PROXY UNKNOWN\r\n'],
    ['AF_UNSPEC', block({ family: 0, addresses: Buffer.alloc(0) })],
  ])('is the peer if the header is %s', async (_, header) => {
    const setup = await start()
    const remotePort = await served(setup, header)
    expect(setup.clients).toMatchObject([{ remoteAddress: host, remotePort, localPort: setup.port }])
  })

  test('has no address if it uses a Unix socket', async () => {
    const setup = await start()
    await served(setup, block({ family: 0x31, addresses: Buffer.alloc(216) }))
    expect(setup.clients).toEqual([
      { transport: 'unix', remoteAddress: undefined, remotePort: undefined, localPort: setup.port, encrypted: false },
    ])
  })

  test('is published by the events after open', async () => {
    const watch = new Watch()
    const setup = await start()
    const client = await connect(setup.port)
    const { connection } = await watch.until('open')
    const before = { ...connection.client }
    expect([connection.state, before.remoteAddress]).toEqual(['AwaitingProxyHeader', host])
    client.write(LINE)
    while (connection.state === 'AwaitingProxyHeader') await turn()
    const info = connection.client
    expect(info).toEqual({ ...before, remoteAddress: '192.0.2.1', remotePort: 5000 })
    client.end(GET)
    ;(await setup.backend.next()).end(OK)
    await watch.until('close')
    expect(watch.names).toEqual(['open', 'routed', 'connected', 'end', 'close'])
    expect(setup.clients[0]).toBe(info)
    expect(setup.server.counters).toMatchObject({ accepted: 1, open: 0, connected: 1, badHeads: 0 })
  })

  test('works over a Unix socket', async () => {
    const setup = await start({ proxyProtocol: ['unix'] })
    const path = join(temporaryDirectory(), 'a.sock')
    const front = net.createServer({ allowHalfOpen: true }, (socket) => setup.server.emit('connection', socket))
    await listen(front, { path })
    await served(setup, LINE, { path })
    expect(setup.clients).toEqual([
      { transport: 'tcp', remoteAddress: '192.0.2.1', remotePort: 5000, localPort: undefined, encrypted: false },
    ])
  })

  test('works in a sticky server', async () => {
    const backend = await Backend.start()
    const clients: ClientInfo[] = []
    const lookup = (_: unknown, _sticky: unknown, client: ClientInfo) => {
      clients.push(client)
      return { port: backend.port, host, sticky: undefined }
    }
    const server = createStickyServer(lookup, undefined, { proxyProtocol: [host] })
    const port = await listen(server)
    await served({ server, port, backend, clients }, LINE)
    expect(clients).toMatchObject([{ remoteAddress: '192.0.2.1' }])
  })
})

test('reads a header and a request byte by byte', async () => {
  const setup = await start()
  for (const header of [Buffer.from(LINE), block()]) {
    const client = await connect(setup.port)
    for (const byte of Buffer.concat([header, Buffer.from(GET)])) await client.flush(Buffer.from([byte]))
    expect(await (await setup.backend.next()).until('\r\n\r\n')).toBe(GET)
    client.reset()
  }
  expect(setup.clients.map(({ remoteAddress }) => remoteAddress)).toEqual(['192.0.2.1', '192.0.2.1'])
})

test('refuses a second header as a bad request', async () => {
  const { port, backend } = await start()
  const client = await connect(port)
  client.write(LINE + LINE + GET)
  expect(await client.ended()).toContain('400 Bad Request')
  expect(backend.accepted).toBe(0)
})

test('passes the HTTP/2 preface after a header', async () => {
  const { port, backend } = await start()
  const client = await connect(port)
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
  client.write(LINE + preface)
  expect(await (await backend.next()).untilLength(preface.length)).toEqual(Buffer.from(preface))
})

test('passes several requests after a header', async () => {
  const server = http.createServer((request, response) => response.end(request.url))
  const port = await listen(server)
  const proxy = await start({ lookup: () => ({ port, host }) })
  const client = await connect(proxy.port)
  client.write(`${LINE}GET /1 HTTP/1.1\r\nHost: a\r\n\r\n`)
  await client.until('/1')
  client.write('GET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.until('/2')
})

describe('resets, without a byte to a backend,', () => {
  test('on a header that is malformed, cut short, or has a flipped bit', async () => {
    const watch = new Watch()
    const { server, port, backend } = await start()
    const cases = [...MALFORMED.map(([, header]) => header), ...withBitsTurned()]
    const short: Buffer[] = []
    for (const header of [Buffer.from(LINE), withChecksum()]) {
      for (let length = 1; length < header.length; length++) short.push(header.subarray(0, length))
    }
    const all = [...short, ...cases.map((header) => Buffer.concat([header, Buffer.from(GET)]))]
    for (let from = 0; from < all.length; from += 50) {
      const some = all.slice(from, from + 50).map(async (bytes) => {
        const client = await connect(port)
        client.end(bytes.toString('latin1'))
        await reset(client)
      })
      await Promise.all(some)
    }
    expect(watch.codes).toEqual(all.map(() => 'BAD_PROXY_HEADER'))
    expect(server.counters).toMatchObject({ badHeads: all.length, bytesWritten: 0, connected: 0, open: 0 })
    expect(backend.accepted).toBe(0)
    report('malformed PROXY headers refused', `${all.length} of ${all.length}`)
  })

  test('with the reason and the offset', async () => {
    const watch = new Watch()
    const { port } = await start()
    const client = await connect(port)
    client.write(`PROXY TCP4 192.0.2.1 198.51.100.2 5000 65536\r\n${GET}`)
    await reset(client)
    expect(watch.all('error')[0]!.error).toMatchObject({
      code: 'BAD_PROXY_HEADER',
      phase: 'head',
      status: undefined,
      cause: { name: 'ProxyHeaderError', code: 'BAD_PORT', offset: 39 },
      message: expect.stringMatching(/^BAD_PROXY_HEADER: the PROXY header was refused: BAD_PORT: .* \(at byte 39\)$/),
    })
  })

  test('an untrusted peer, before it reads a byte', async () => {
    const watch = new Watch()
    const { server, port, backend } = await start({ proxyProtocol: ['127.0.0.2', '10.0.0.0/8', 'unix'] })
    const client = await attempt(port, '')
    await reset(client)
    expect(watch.all('error')[0]!.error).toMatchObject({
      code: 'UNTRUSTED_PROXY',
      message: expect.stringMatching(/127\.0\.0\.1 is not in proxyProtocol$/),
    })
    await reset(await attempt(port, LINE + GET))
    expect(backend.accepted).toBe(0)
    expect(server.counters).toMatchObject({ badHeads: 2, bytesRead: 0, open: 0 })
  })

  test('a client of a Unix socket if unix is not listed', async () => {
    const watch = new Watch()
    const { server } = await start()
    const path = join(temporaryDirectory(), 'a.sock')
    await listen(
      net.createServer((socket) => server.emit('connection', socket)),
      { path },
    )
    const client = await connect({ path })
    expect(await client.ended()).toBe('')
    expect(watch.codes).toEqual(['UNTRUSTED_PROXY'])
  })

  test.each(['', 'PROXY TCP4 '])('on a late header, after %j', async (sent) => {
    const watch = new Watch()
    const { server, port } = await start({ headTimeout: 30 })
    const client = await connect(port)
    client.write(sent)
    await reset(client)
    expect(watch.codes).toEqual(['PROXY_HEADER_TIMEOUT'])
    const outcomes = { PROXY_HEADER_TIMEOUT: 1 }
    expect(server.counters).toMatchObject({ badHeads: 0, bytesWritten: 0, outcomes })
  })
})

test('headTimeout runs from accept and includes the header', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const watch = new Watch()
  const { port } = await start({ headTimeout: 30_000 })
  const client = await connect(port)
  const { connection } = await watch.until('open')
  vi.advanceTimersByTime(20_000)
  client.write(LINE)
  while (connection.state === 'AwaitingProxyHeader') await turn()
  vi.advanceTimersByTime(9_999)
  expect(connection.state).toBe('AwaitingHead')
  vi.advanceTimersByTime(1_001)
  expect(await client.ended()).toContain('408 Request Timeout')
  expect(watch.all('error')[0]!.error.code).toBe('HEAD_TIMEOUT')
})

test.each([
  ['nothing', ''],
  ['a header', LINE],
  ['a LOCAL one', block({ command: 0x20, family: 0, addresses: Buffer.alloc(0) }).toString('latin1')],
])('reports no error for a check that sends %s and leaves', async (_, sent) => {
  const watch = new Watch()
  const { port } = await start()
  const client = await connect(port)
  client.end(sent)
  await client.ended()
  await watch.until('close')
  expect(watch.names).toEqual(['open', 'close'])
})

test('reports BAD_HEAD if the client ends inside the head after its header', async () => {
  const watch = new Watch()
  const { port } = await start()
  const client = await connect(port)
  client.end(`${LINE}GET`)
  expect(await client.ended()).toContain('400 Bad Request')
  expect(watch.codes).toEqual(['BAD_HEAD'])
})

test('a drain resets clients without a request after a second', async () => {
  const watch = new Watch()
  const { server, port } = await start()
  const [silent, partial, announced] = [await connect(port), await connect(port), await connect(port)]
  await partial!.flush('PROXY ')
  await announced!.flush(LINE)
  const { connection } = await watch.until('open', 3)
  while (connection.state !== 'AwaitingHead') await turn()
  const drained = server.drain(60_000)
  await Promise.all([silent!.closed(), partial!.closed(), announced!.closed(), drained])
  expect(watch.codes).toEqual(['DESTROYED', 'DESTROYED', 'DESTROYED'])
})

test('a subscriber can destroy the connection at once', async () => {
  const { server, port } = await start()
  server.prependListener('connection', () => setImmediate(() => [...server.active][0]?.destroy()))
  await reset(await connect(port))
  expect(server.active.size).toBe(0)
})

test('treats a header as a bad head without the option', async () => {
  const backend = await Backend.start()
  const { port } = await startProxy(() => ({ port: backend.port, host }))
  const client = await connect(port)
  client.write(LINE + GET)
  expect(await client.ended()).toContain('400 Bad Request')
  await turns(2)
  expect(backend.accepted).toBe(0)
})
