import { once } from 'node:events'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createServer, type Dest, type ProxyError, type ProxyOptions } from '../../src/index.ts'
import { Backend, connect, listen, Peer } from '../helpers/net.ts'
import { deferred } from '../helpers/promises.ts'
import { answer, ask, expectNoCrashes, expectNoWarnings, GET, OK, Watch, withoutDate } from '../helpers/proxy.ts'
import { certificate, connectTls } from '../helpers/tls.ts'

expectNoWarnings()
expectNoCrashes()

const host = '127.0.0.1'
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const H2: tls.ConnectionOptions = { ALPNProtocols: ['h2'] }
const { key, cert } = certificate()

/** A proxy behind a TLS server that offers HTTP/2. */
async function front(options: ProxyOptions<Dest>): Promise<{ port: number; proxy: ReturnType<typeof createServer> }> {
  const proxy = createServer(options)
  const server = tls.createServer({ key, cert, ALPNProtocols: ['h2', 'http/1.1'], allowHalfOpen: true })
  server.on('secureConnection', (socket) => proxy.emit('connection', socket))
  return { proxy, port: await listen(server) }
}

/** Resolves with what a client got, until its connection was closed in whatever way. */
async function gotUntilClose(client: Peer): Promise<string> {
  await client.ended().catch(() => undefined)
  return client.text
}

describe.each(['first', 'every'] as const)('a client that negotiated h2, requests: %s', (requests) => {
  test.each([
    ['a request of HTTP/1.1', GET, 'HTTP2_EXPECTED'],
    ['bytes that are no head', '\0', 'BAD_HEAD'],
    ['half a preface', PREFACE.slice(0, 20), 'BAD_HEAD'],
    ['a FIN', '', undefined],
    ['the preface, with http2: refuse', PREFACE, 'HTTP2_REFUSED'],
  ])('is closed without an answer in HTTP/1 after %s', async (_, bytes, code) => {
    const watch = new Watch()
    const lookup = () => expect.unreachable('lookup was called')
    const { port, proxy } = await front({ lookup, requests, http2: 'refuse' })
    const client = await connectTls(port, H2)
    client.end(bytes)
    expect(await gotUntilClose(client)).toBe('')
    await watch.until('close')
    expect(watch.codes).toEqual(code === undefined ? [] : [code])
    expect(proxy.counters.badHeads).toBe(code === undefined ? 0 : 1)
  })

  test('is closed without an answer if its preface is late', async () => {
    const watch = new Watch()
    const { port } = await front({ lookup: () => undefined, requests, headTimeout: 20 })
    expect(await gotUntilClose(await connectTls(port, H2))).toBe('')
    await watch.until('close')
    expect(watch.codes).toEqual(['HEAD_TIMEOUT'])
  })

  test.each(['pass', 'alpn'] as const)('passes with http2: %s', async (http2) => {
    const backend = await Backend.start()
    const { port } = await front({ lookup: () => ({ port: backend.port, host }), requests, http2 })
    const client = await connectTls(port, H2)
    client.write(`${PREFACE}frames`)
    const peer = await backend.next()
    await peer.until(`${PREFACE}frames`)
    peer.write('more frames')
    await client.until('more frames')
  })
})

describe.each(['first', 'every'] as const)("http2: 'alpn', requests: %s", (requests) => {
  test.each([undefined, ['http/1.1']])('refuses the preface of a client that negotiated %j', async (ALPNProtocols) => {
    const lookup = () => expect.unreachable('lookup was called')
    const { port } = await front({ lookup, requests, http2: 'alpn' })
    const client = await connectTls(port, ALPNProtocols && { ALPNProtocols })
    client.write(PREFACE)
    expect(withoutDate(await client.ended())).toBe(answer('505 HTTP Version Not Supported', 'HTTP2_REFUSED'))
  })

  test('refuses the preface over plain TCP, and serves HTTP/1.1', async () => {
    const backend = await Backend.start()
    const proxy = createServer({ lookup: () => ({ port: backend.port, host }), requests, http2: 'alpn' })
    const port = await listen(proxy)
    expect(await ask(port, PREFACE)).toMatch(/^HTTP\/1\.1 505 /)
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until(GET)
    peer.write(OK)
    await client.until(OK)
  })
})

/** A backend with TLS that notes what each client offered. */
async function tlsBackend(choose: ((offered: string[]) => string | undefined) | undefined) {
  const offers: string[][] = []
  const peers: Peer[] = []
  const { promise: accepted, resolve } = deferred<Peer>()
  const ALPNCallback = choose && {
    ALPNCallback: ({ protocols }: { protocols: string[] }) => {
      offers.push(protocols)
      return choose(protocols)
    },
  }
  const server = tls.createServer({ key, cert, ...ALPNCallback }, (socket) => {
    const peer = new Peer(socket)
    peers.push(peer)
    resolve(peer)
  })
  server.on('tlsClientError', () => undefined)
  onTestFinished(() => void server.close())
  return { port: await listen(server), offers, peers, accepted }
}

describe('a backend with TLS', () => {
  test.each([
    ['nothing else', {}],
    ['h2 and http/1.1', { ALPNProtocols: ['http/1.1', 'h2'] }],
  ])('is offered h2 alone, if the Dest says %s', async (_, options) => {
    const backend = await tlsBackend(([first]) => first)
    const dest = { port: backend.port, host, tls: { ca: cert, ...options } }
    const { port } = await front({ lookup: () => dest })
    const client = await connectTls(port, H2)
    client.write(`${PREFACE}frames`)
    await (await backend.accepted).until(`${PREFACE}frames`)
    expect(backend.offers).toEqual([['h2']])
  })

  test('is offered no protocol for HTTP/1.1, unless the Dest says so', async () => {
    const backend = await tlsBackend(([first]) => first)
    const { port } = await front({ lookup: () => ({ port: backend.port, host, tls: { ca: cert } }) })
    const client = await connectTls(port)
    client.write(GET)
    await (await backend.accepted).until(GET)
    expect(backend.offers).toEqual([])
  })

  test.each([
    ['ignores ALPN', undefined, /the backend did not choose h2 \(ALPN\)/],
    ['refuses h2', () => undefined, /no application protocol/],
  ])('that %s gets no byte of an HTTP/2 connection', async (_, choose, cause) => {
    const backend = await tlsBackend(choose)
    const errors: ProxyError[] = []
    const { port } = await front({
      lookup: () => ({ port: backend.port, host, tls: { ca: cert } }),
      errback: (error) => void errors.push(error),
    })
    const client = await connectTls(port, H2)
    client.write(`${PREFACE}frames`)
    expect(await gotUntilClose(client)).toBe('')
    expect(errors).toMatchObject([{ code: 'CONNECT_FAILED', requestSent: false, cause: { message: cause } }])
    await Promise.all(backend.peers.map((peer) => peer.closed()))
    expect(backend.peers.map(({ text }) => text).join()).toBe('')
  })

  test('shares neither connections nor TLS sessions between HTTP/1.1 and HTTP/2', async () => {
    const seen: [protocol: string | false | null, isResumed: boolean][] = []
    const server = tls.createServer({ key, cert, ALPNProtocols: ['h2'] }, (socket) => {
      seen.push([socket.alpnProtocol, socket.isSessionReused()])
      socket.on('data', () => socket.write(OK))
    })
    const backendPort = await listen(server)
    const { port } = await front({
      lookup: () => ({ port: backendPort, host, tls: { ca: cert } }),
      requests: 'every',
      http2: 'alpn',
    })
    const open = async (options: tls.ConnectionOptions, bytes: string) => {
      const client = await connectTls(port, options)
      client.write(bytes)
      await client.until(OK)
      client.end()
      await once(client.socket, 'close')
    }
    await open({}, GET)
    await open(H2, PREFACE)
    await open(H2, PREFACE)
    // The second HTTP/2 connection resumes the session of the first one. The HTTP/1.1 connection stays in the pool.
    expect(seen).toEqual([
      [false, false],
      ['h2', false],
      ['h2', true],
    ])
  })
})
