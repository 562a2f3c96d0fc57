import net from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Dest } from '../../../src/index.ts'
import { Backend, connect, deadPort, listen, type Peer } from '../../helpers/net.ts'
import { duplexPair } from '../../helpers/pair.ts'
import { answer, expectNoWarnings, GET, OK, startProxy, Watch, withoutDate } from '../../helpers/proxy.ts'
import { block, LINE, V4, V6 } from '../../helpers/proxy-header.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate } from '../../helpers/tls.ts'

expectNoWarnings()

const host = '127.0.0.1'
const { cert: ca } = certificate()
const UNSPECIFIED = block({ family: 0, addresses: Buffer.alloc(0) }).toString('latin1')

/** The expected header for a client that connected over IPv4. */
function expected(version: 1 | 2, { socket: { localPort } }: Peer, port: number): string {
  if (version === 1) return `PROXY TCP4 ${host} ${host} ${localPort} ${port}\r\n`
  const ends = Buffer.from([127, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0])
  ends.writeUInt16BE(localPort!, 8)
  ends.writeUInt16BE(port, 10)
  return block({ addresses: ends }).toString('latin1')
}

describe.each([1, 2] as const)('sendProxy: %i', (sendProxy) => {
  test('sends the header before the request, in the same write', async () => {
    const writes: string[] = []
    const near = new Duplex({
      read: () => undefined,
      writev: (chunks, done) => {
        writes.push(Buffer.concat(chunks.map(({ chunk }) => chunk)).toString('latin1'))
        done()
        near.push(OK)
        near.push(null)
      },
    })
    const { port } = await startProxy<Dest>(() => ({ connect: () => near, sendProxy }))
    const client = await connect(port)
    client.write(GET)
    expect(await client.ended()).toBe(OK)
    expect(writes).toEqual([expected(sendProxy, client, port) + GET])
  })

  test('sends the header before the request over TCP', async () => {
    const backend = await Backend.start()
    const { port } = await startProxy<Dest>(() => ({ port: backend.port, host, sendProxy }))
    const client = await connect(port)
    client.end(GET)
    expect(await (await backend.next()).ended()).toBe(expected(sendProxy, client, port) + GET)
  })

  test('sends the header over a Unix socket and a user`s stream', async () => {
    const path = join(temporaryDirectory(), 'a.sock')
    const backend = new Backend()
    await listen(backend.server, { path })
    const dests: Dest[] = [
      { path, sendProxy },
      { connect: () => net.connect(path), sendProxy },
    ]
    for (const dest of dests) {
      const { port } = await startProxy(() => dest)
      const client = await connect(port)
      client.end(GET)
      const peer = await backend.next()
      expect(await peer.ended()).toBe(expected(sendProxy, client, port) + GET)
      peer.end(OK)
      expect(await client.ended()).toBe(OK)
    }
    const [near, far] = duplexPair()
    const { port } = await startProxy(() => ({ connect: () => near, sendProxy }))
    const client = await connect(port)
    client.end(GET)
    let text = ''
    for await (const chunk of far) text += chunk.toString('latin1')
    expect(text).toBe(expected(sendProxy, client, port) + GET)
  })

  test('sends the header before TLS, for every form of Dest', async () => {
    const secure = new Backend((_, accept) =>
      tls.createServer({ ...certificate(), allowHalfOpen: true } as object, accept),
    )
    const headers: string[] = []
    let length = 0
    const front = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.once('readable', () => {
        headers.push((socket.read(length) as Buffer).toString('latin1'))
        secure.server.emit('connection', socket)
      })
    })
    const at = await listen(front)
    const path = join(temporaryDirectory(), 'a.sock')
    const unix = net.createServer({ allowHalfOpen: true }, (socket) => front.emit('connection', socket))
    await listen(unix, { path })
    const dests: Dest[] = [
      { port: at, host, tls: { ca }, sendProxy },
      { port: at, host: 'localhost', tls: { ca }, sendProxy },
      { path, tls: { ca }, sendProxy },
      { connect: () => net.connect(at, host), tls: { ca }, sendProxy },
      { connect: () => net.connect(path), tls: { ca }, sendProxy },
    ]
    for (const dest of dests) {
      const watch = new Watch()
      const { port } = await startProxy(() => dest)
      const client = await connect(port)
      const header = expected(sendProxy, client, port)
      length = header.length
      client.end(GET)
      const peer = await secure.next()
      expect(await peer.ended()).toBe(GET)
      peer.end(OK)
      expect(await client.ended()).toBe(OK)
      await watch.until('close')
      expect(headers.pop()).toBe(header)
      expect(watch.names).toEqual(['open', 'routed', 'connected', 'end', 'close'])
      await peer.closed()
    }
  })

  test('sends UNKNOWN for a client of a Unix socket', async () => {
    const backend = await Backend.start()
    const path = join(temporaryDirectory(), 'a.sock')
    const { server } = await startProxy(() => ({ port: backend.port, host, sendProxy }))
    await listen(
      net.createServer({ allowHalfOpen: true }, (socket) => server.emit('connection', socket)),
      { path },
    )
    const client = await connect({ path })
    client.end(GET)
    const header = sendProxy === 1 ? 'PROXY UNKNOWN\r\n' : UNSPECIFIED
    expect(await (await backend.next()).ended()).toBe(header + GET)
  })

  test.each([
    [LINE, LINE, block()],
    [
      'PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n',
      'PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n',
      block({ family: 0x21, addresses: V6 }),
    ],
    [block(), LINE, block()],
    [block({ family: 0x31, addresses: Buffer.alloc(216) }), 'PROXY UNKNOWN\r\n', UNSPECIFIED],
  ])('forwards the addresses of the received header (%#)', async (before, first, second) => {
    const backend = await Backend.start()
    const { port } = await startProxy<Dest>({
      proxyProtocol: [host],
      lookup: () => ({ port: backend.port, host, sendProxy }),
    })
    const client = await connect(port)
    client.end(Buffer.from(before).toString('latin1') + GET)
    const header = (sendProxy === 1 ? first : second).toString('latin1')
    expect(await (await backend.next()).ended()).toBe(header + GET)
  })

  test('sends the header before the HTTP/2 preface', async () => {
    const backend = await Backend.start()
    const { server, port } = await startProxy(() => ({ port: backend.port, host, sendProxy }))
    const client = await connect(port)
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
    client.end(preface)
    const peer = await backend.next()
    expect(await peer.ended()).toBe(expected(sendProxy, client, port) + preface)
    peer.end('x')
    await client.ended()
    expect(server.counters).toMatchObject({ bytesRead: preface.length, bytesWritten: 1 })
  })

  test('sends each tried backend the version of its Dest', async () => {
    const watch = new Watch()
    const backend = await Backend.start()
    const other = sendProxy === 1 ? 2 : 1
    const dests: Dest[] = [
      { port: await deadPort(), host, sendProxy },
      { port: await deadPort(), host, tls: true, sendProxy },
      { port: backend.port, host, tls: { minVersion: 'x' as 'TLSv1.2' }, sendProxy },
      { port: backend.port, host, sendProxy: other },
    ]
    const { port } = await startProxy<Dest>({ lookup: () => dests.shift(), errback: () => dests.shift() })
    const client = await connect(port)
    client.end(GET)
    await watch.until('connected')
    expect(watch.codes).toEqual(['CONNECT_FAILED', 'CONNECT_FAILED', 'CONNECT_FAILED'])
    expect((await backend.next()).text).not.toContain('GET')
    expect(await (await backend.next()).ended()).toBe(expected(other, client, port) + GET)
  })
})

test('sends IPv6 addresses if client and destination have different families', async () => {
  const backend = await Backend.start()
  const { port } = await startProxy<Dest>({
    proxyProtocol: [host],
    lookup: () => ({ port: backend.port, host, sendProxy: 2 }),
  })
  const addresses = Buffer.concat([
    V6.subarray(0, 16),
    Buffer.from(`${'0'.repeat(20)}ffffc6336402`, 'hex'),
    V4.subarray(8),
  ])
  const header = block({ family: 0x21, addresses }).toString('latin1')
  const client = await connect(port)
  client.end(header + GET)
  expect(await (await backend.next()).ended()).toBe(header + GET)
})

test('gives errback the certificate error as the cause', async () => {
  const watch = new Watch()
  const front = net.createServer((socket) => {
    socket.on('error', () => undefined)
    let text = ''
    socket.on('readable', () => {
      while (!text.endsWith('\r\n')) {
        const byte = socket.read(1) as Buffer | null
        if (!byte) return
        text += byte.toString('latin1')
      }
      socket.removeAllListeners('readable')
      secure.emit('connection', socket)
    })
  })
  const secure = tls.createServer({ ...certificate() }).on('tlsClientError', () => undefined)
  const at = await listen(front)
  const { port } = await startProxy(() => ({ port: at, host, tls: true, sendProxy: 1 }))
  const client = await connect(port)
  client.end(GET)
  expect(withoutDate(await client.ended())).toBe(answer('502 Bad Gateway', 'CONNECT_FAILED'))
  expect(watch.all('error')[0]!.error.cause).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
})

test('ends an unanswered handshake after connectTimeout, and leaves nothing open', async () => {
  const watch = new Watch()
  const backend = await Backend.start()
  const { port } = await startProxy<Dest>({
    lookup: () => ({ port: backend.port, host, tls: true, sendProxy: 1 }),
    connectTimeout: 60,
  })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const client = await connect(port)
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\x16')
  vi.advanceTimersByTime(60)
  expect(withoutDate(await client.ended())).toBe(answer('504 Gateway Timeout', 'CONNECT_TIMEOUT'))
  await peer.closed()
  expect(watch.codes).toEqual(['CONNECT_TIMEOUT'])
})

test.each([
  [3, '3'],
  ['2', "'2'"],
  [true, 'true'],
  [false, 'false'],
  [null, 'null'],
])('refuses a Dest with sendProxy: %j', async (sendProxy, shown) => {
  const watch = new Watch()
  const backend = await Backend.start()
  const { port } = await startProxy(() => ({ port: backend.port, host, sendProxy: sendProxy as 1 }))
  const client = await connect(port)
  client.end(GET)
  expect(withoutDate(await client.ended())).toBe(answer('503 Service Unavailable', 'LOOKUP_FAILED'))
  expect(watch.all('error')[0]!.error.cause).toEqual(new TypeError(`dest.sendProxy: expected 1 or 2, got ${shown}`))
  expect(backend.accepted).toBe(0)
})
