import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import tls from 'node:tls'
import { Client, credentials, Metadata, ServerCredentials, status } from '@grpc/grpc-js'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Config } from '../../../src/cli/config/config.ts'
import { noise, readAll, sha256 } from '../../helpers/bytes.ts'
import { calls, SERVICE, startGrpc, unary } from '../../helpers/grpc.ts'
import { Backend, deadPort, listen } from '../../helpers/net.ts'
import { expectNoWarnings, GET, OK } from '../../helpers/proxy.ts'
import { certificate, connectTls, makeCertificate, saveCertificate as save } from '../../helpers/tls.ts'
import { DEFAULTS } from '../config/support.ts'
import { configOf, get, startBackend, startService } from './support.ts'

expectNoWarnings()

const host = '127.0.0.1'
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const H2: tls.ConnectionOptions = { ALPNProtocols: ['h2'] }
const { key, cert } = certificate()
const ca = cert

/** A service with TLS that offers HTTP/2 before HTTP/1.1. */
const serve = (given: Partial<Config>) =>
  startService({ tls: [save(certificate())], alpn: ['h2', 'http/1.1'], log: 'text', ...given })

/** The protocol that a client negotiates. */
async function negotiated(port: number, ALPNProtocols: string[] | undefined, servername?: string): Promise<unknown> {
  const options = {
    rejectUnauthorized: false,
    ...(ALPNProtocols && { ALPNProtocols }),
    ...(servername && { servername }),
  }
  const peer = await connectTls(port, options)
  peer.socket.destroy()
  return (peer.socket as tls.TLSSocket).alpnProtocol
}

/** A session that a client may resume. */
async function sessionOf(port: number, options: tls.ConnectionOptions): Promise<Buffer> {
  const socket = tls.connect({ ...options, port, host })
  onTestFinished(() => void socket.destroy())
  const [got] = await (options.maxVersion === 'TLSv1.3' ? once(socket, 'session') : once(socket, 'secureConnect'))
  return got ?? socket.getSession()!
}

/** An HTTP/2 session through the proxy, and a function that sends it requests. */
function session(port: number, more: http2.SecureClientSessionOptions = {}) {
  const opened = http2.connect(`https://localhost:${port}`, { ca, host, ...more })
  opened.on('error', () => undefined)
  onTestFinished(() => opened.destroy())
  const ask = async (path = '/', authority?: string): Promise<string> => {
    const stream = opened.request({ ':path': path, ...(authority && { ':authority': authority }) })
    return String(await readAll(stream))
  }
  return { opened, ask }
}

/** An HTTP/2 server without TLS that says its name. */
const startHttp2 = async (name = 'h2c') =>
  listen(http2.createServer(({ authority, url }, response) => response.end(`${name} ${authority} ${url}`)))

describe('gRPC over TLS', () => {
  const backends = {
    h2c: async () => ({ port: await startGrpc(ServerCredentials.createInsecure()), host }),
    TLS: async () => {
      const own = ServerCredentials.createSsl(null, [{ private_key: key, cert_chain: cert }])
      return { port: await startGrpc(own), host, tls: { ca: cert as unknown as string } }
    },
  }
  test.each(Object.entries(backends))('reaches a server that speaks it over %s', async (_, start) => {
    const backend = { ...(await start()), protocol: 'h2' } as const
    const { port, logged } = await serve({ backends: [backend], alpn: ['h2'] })
    const client = new Client(`localhost:${port}`, credentials.createSsl(ca))
    onTestFinished(() => client.close())
    expect(String(await unary(client, SERVICE.echo, Buffer.from('hello')).answer)).toBe('hello')
    const large = noise(3 * 2 ** 20)
    expect(sha256(await unary(client, SERVICE.echo, large).answer)).toBe(sha256(large))
    await expect(unary(client, SERVICE.fail, Buffer.from('such')).answer).rejects.toMatchObject({
      code: status.NOT_FOUND,
    })

    const { path, requestSerialize, responseDeserialize } = SERVICE.chat
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    for (const message of ['one', 'two', 'three']) {
      const answered = once(call, 'data')
      call.write(Buffer.from(message))
      expect(String((await answered)[0])).toBe(message)
    }
    call.resume()
    call.end()
    expect((await once(call, 'status'))[0]).toMatchObject({ code: status.OK })

    const cancelled = once(calls, 'cancelled')
    const late = client.makeServerStreamRequest(
      SERVICE.split.path,
      requestSerialize,
      responseDeserialize,
      Buffer.alloc(0),
      new Metadata(),
      { deadline: Date.now() + 2_000 },
    )
    const failed = once(late, 'error')
    late.resume()
    expect((await failed)[0]).toMatchObject({ code: status.DEADLINE_EXCEEDED })
    await cancelled

    client.close()
    const [line] = await logged.untilCount(1)
    expect(line).toMatch(/"PRI \* HTTP\/2\.0" - default 127\.0\.0\.1:\d+ .* ok$/)
    expect(logged.all).toHaveLength(1)
  })
})

test('each client reaches a backend that speaks its protocol', async () => {
  const old = await startBackend('old')
  const { port, service } = await serve({
    backends: [
      { ...old, protocol: 'h1' },
      { port: await startHttp2(), host, protocol: 'h2' },
    ],
  })
  const target = { port, host, ca } as object
  const { ask } = session(port)
  for (let i = 0; i < 3; i++) {
    expect(await ask(`/${i}`)).toBe(`h2c localhost:${port} /${i}`)
    expect((await get(target, {}, https.request)).id).toBe('old')
  }
  expect(service.counters).toMatchObject({ accepted: 4, requests: 4 })
})

test('a backend for both gets both, over TLS with the protocol of the client', async () => {
  const offers: (string[] | undefined)[] = []
  const server = http2.createSecureServer({
    key,
    cert,
    allowHTTP1: true,
    ALPNCallback: ({ protocols }) => {
      offers.push(protocols)
      return protocols[0]
    },
  } as http2.SecureServerOptions)
  server.on('request', ({ httpVersion }, response) => response.end(JSON.stringify({ id: httpVersion })))
  const { port } = await serve({ backends: [{ port: await listen(server), host, tls: { ca }, protocol: 'both' }] })
  expect(await session(port).ask()).toBe('{"id":"2.0"}')
  expect((await get({ port, host, ca } as object, {}, https.request)).id).toBe('1.1')
  expect(offers).toEqual([['h2']])
})

test.each([
  [['h2', 'http/1.1'], ['http/1.1', 'h2'], 'h2'],
  [['http/1.1', 'h2'], ['h2', 'http/1.1'], 'http/1.1'],
  [['http/1.1', 'h2'], ['h2'], 'h2'],
  [['h2', 'http/1.1'], ['http/1.1'], 'http/1.1'],
  [['h2', 'http/1.1'], undefined, false],
  [['h2'], undefined, false],
  [undefined, ['h2', 'http/1.1'], 'http/1.1'],
] as const)('with alpn %j, a client that offers %j gets %j', async (alpn, offered, expected) => {
  const { port } = await startService({
    tls: [save(certificate())],
    backends: [{ port: 1, protocol: 'both' }],
    ...(alpn && { alpn: [...alpn] }),
  })
  expect(await negotiated(port, offered && [...offered])).toBe(expected)
})

test.each([
  [['h2'], ['http/1.1']],
  [['http/1.1'], ['h2']],
] as const)('with alpn %j, the handshake of a client that offers %j fails', async (alpn, offered) => {
  const { port, said } = await serve({ backends: [{ port: 1, protocol: 'both' }], alpn: [...alpn] })
  await expect(negotiated(port, [...offered])).rejects.toThrow(/no application protocol/)
  expect(await said.until('handshake')).toMatch(/no common protocol in ALPN \(ERR_SSL_NO_APPLICATION_PROTOCOL\)$/)
})

describe('routes by host', () => {
  const wild = makeCertificate(['DNS:*.a.test', 'DNS:a.test'])
  const setUp = async () => {
    const [web, api, rest] = [await startBackend('web'), await startHttp2('api'), await startHttp2('rest')]
    const pool = (name: string, backend: Config['backends'][number]) => ({ ...DEFAULTS, name, backends: [backend] })
    return serve({
      tls: [save(wild)],
      backends: [{ port: rest, host, protocol: 'h2' }],
      routing: {
        pools: [pool('web', { ...web, protocol: 'h1' }), pool('api', { port: api, host, protocol: 'h2' })],
        routes: [
          { host: 'www.a.test', pool: 'web' },
          { host: '*.api.a.test', pool: 'api' },
          { host: 'old.a.test', redirect: 'https://www.a.test/' },
          { pool: 'default' },
        ],
        unsafePaths: false,
      },
    })
  }

  test('HTTP/2 is offered for a server name only if its backends speak it', async () => {
    const { port } = await setUp()
    const both = ['h2', 'http/1.1']
    const seen = []
    for (const name of [
      'www.a.test',
      'WWW.a.test',
      'www.a.test.',
      'x.api.a.test',
      'y.x.api.a.test',
      'old.a.test',
      'a.test',
      undefined,
    ]) {
      const known = name === 'a.test' || name === undefined ? ['h2'] : both
      seen.push([name, await negotiated(port, known, name)])
    }
    expect(seen).toEqual([
      ['www.a.test', 'http/1.1'],
      ['WWW.a.test', 'http/1.1'],
      ['www.a.test.', 'http/1.1'],
      ['x.api.a.test', 'h2'],
      ['y.x.api.a.test', 'h2'],
      ['old.a.test', 'http/1.1'],
      ['a.test', 'h2'],
      [undefined, 'h2'],
    ])
    await expect(negotiated(port, ['h2'], 'www.a.test')).rejects.toThrow(/no application protocol/)
  })

  test('a connection stays where its server name leads, whatever :authority its requests have', async () => {
    const { port } = await setUp()
    const { ask } = session(port, { servername: 'x.api.a.test', rejectUnauthorized: false })
    expect(await ask('/', 'x.api.a.test')).toBe('api x.api.a.test /')
    expect(await ask('/', 'www.a.test')).toBe('api www.a.test /')
    const other = session(port, { servername: 'a.test', rejectUnauthorized: false })
    expect(await other.ask('/', 'x.api.a.test')).toBe('rest x.api.a.test /')
  })
})

describe('the server name counts if a client brings a session of before', () => {
  const TO_API = { host: 'api.a.test', pool: 'api' }
  test.each([
    ['TLSv1.2', undefined, false],
    ['TLSv1.3', undefined, false],
    ['TLSv1.3', '1.3', true],
  ] as const)('%s, with --tls-min-version %s', async (version, tlsMinVersion, isReused) => {
    const [api, rest] = [await startHttp2('api'), await startHttp2('rest')]
    const tls = [save(makeCertificate(['DNS:*.a.test']))]
    const given: Partial<Config> = {
      tls,
      backends: [{ port: rest, host, protocol: 'h2' }],
      ...(tlsMinVersion && { tlsMinVersion }),
    }
    // Before the reload there are no routes, and sessions of TLS 1.2 are resumed.
    const { port, service } = await serve(given)
    const options: tls.ConnectionOptions = {
      ...H2,
      servername: 'api.a.test',
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
    }
    const sessions = [await sessionOf(port, options)]
    const pools = [{ ...DEFAULTS, name: 'api', backends: [{ port: api, host, protocol: 'h2' } as const] }]
    const routing = { pools, routes: [TO_API, { pool: 'default' }], unsafePaths: false }
    await service.reload(configOf({ ...given, alpn: ['h2', 'http/1.1'], routing }))
    sessions.push(await sessionOf(port, options))
    for (const known of sessions) {
      const { opened, ask } = session(port, { ...options, session: known } as http2.SecureClientSessionOptions)
      expect(await ask('/', 'api.a.test')).toBe('api api.a.test /')
      expect((opened.socket as tls.TLSSocket).isSessionReused()).toBe(isReused)
    }
  })
})

describe('a client that negotiated h2 gets no answer in HTTP/1', () => {
  /** Resolves with what it got, until its connection was closed. */
  const send = async (port: number, bytes: string) => {
    const client = await connectTls(port, H2)
    client.write(bytes)
    await client.ended().catch(() => undefined)
    return client.text
  }

  test.each<[what: string, given: () => Promise<Partial<Config>>, bytes: string, log: string]>([
    ['sends HTTP/1.1', async () => ({ backends: [{ port: 1, protocol: 'both' }] }), GET, '- - HTTP2_EXPECTED'],
    ['sends no head', async () => ({ backends: [{ port: 1, protocol: 'both' }] }), '\0\0', '- - BAD_HEAD'],
    [
      'sends nothing',
      async () => ({ backends: [{ port: 1, protocol: 'both' }], limits: { headTimeout: 300 } }),
      '',
      '- - HEAD_TIMEOUT',
    ],
    [
      'finds no backend up',
      async () => ({ backends: [{ port: await deadPort(), host, protocol: 'h2' }] }),
      PREFACE,
      'CONNECT_FAILED',
    ],
    [
      'waits for a backend in vain',
      async () => ({
        backends: [{ port: 1, protocol: 'both', weight: 0 }],
        queue: { timeout: 20 },
      }),
      PREFACE,
      'NO_DESTINATION',
    ],
  ])('if it %s', async (_, given, bytes, log) => {
    const { port, logged } = await serve(await given())
    expect(await send(port, bytes)).toBe('')
    const [line] = await logged.untilCount(1)
    expect(line).toContain(log.split(' ').at(-1))
    expect(line).toMatch(/^\S+ \S+ (?:-|"PRI \* HTTP\/2\.0") - /)
  })

  test('if there are too many connections, which a client that offers both is told in HTTP/1.1', async () => {
    const { port } = await serve({ backends: [{ port: 1, protocol: 'both' }], maxConnections: 1 })
    await connectTls(port, H2)
    expect(await send(port, PREFACE)).toBe('')
    const client = await connectTls(port, { ALPNProtocols: ['h2', 'http/1.1'] })
    expect((client.socket as tls.TLSSocket).alpnProtocol).toBe('http/1.1')
    client.write(GET)
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 503 /)
  })
})

test.each([
  ['without --http2', {}, 'PRI * HTTP/2.0'],
  ['with --http2 refuse', { http2: 'refuse' } as const, 'HTTP/1.1 505'],
])('a preface that was not negotiated is treated as before: %s', async (_, given, expected) => {
  const server = await Backend.start()
  const { port } = await serve({ backends: [{ port: server.port, host, protocol: 'both' }], ...given })
  const client = await connectTls(port, { ALPNProtocols: ['http/1.1'] })
  client.write(PREFACE)
  const peer = expected.startsWith('PRI') ? await server.next() : client
  expect(await peer.until('\r\n')).toContain(expected)
  // One that was negotiated passes.
  const modern = await connectTls(port, H2)
  modern.write(PREFACE)
  await (await server.next()).until(PREFACE)
})

test('a backend that does not choose h2 gets no byte of it, and a line says why it is down', async () => {
  let received = 0
  const server = tls.createServer({ key, cert }, (socket) => socket.on('data', ({ length }) => (received += length)))
  server.on('tlsClientError', () => undefined)
  const { port, said, logged } = await serve({
    backends: [{ port: await listen(server), host, id: 'a', tls: { ca }, protocol: 'h2' }],
  })
  const client = await connectTls(port, H2)
  client.write(`${PREFACE}frames`)
  await client.ended().catch(() => undefined)
  expect(client.text).toBe('')
  expect(await said.until('a is down')).toBe('backend a is down: the backend did not choose h2 (ALPN)')
  expect((await logged.untilCount(1))[0]).toMatch(/"PRI \* HTTP\/2\.0" - default a .* CONNECT_FAILED$/)
  expect(received).toBe(0)
})

test('a drain gives open HTTP/2 connections their grace, and then ends them', async () => {
  const { port, service } = await serve({
    backends: [{ port: await startHttp2(), host, protocol: 'h2' }],
    grace: 2_000,
  })
  const { opened, ask } = session(port)
  expect(await ask('/1')).toContain('/1')
  const drained = service.drain()
  expect(await ask('/2')).toContain('/2')
  const closed = once(opened, 'close')
  await drained
  await closed
})

test('killing a backend ends its HTTP/2 connections, and the PROXY header comes before them', async () => {
  const backend = await Backend.start()
  const { port, service } = await serve({
    backends: [{ port: backend.port, host, id: 'a', protocol: 'h2', sendProxy: 1 }],
  })
  const client = await connectTls(port, H2)
  client.write(PREFACE)
  const peer = await backend.next()
  expect(await peer.until(PREFACE)).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nPRI \* HTTP\/2\.0/)
  peer.write(OK)
  await client.until(OK)
  expect(service.pools.kill('a')).toBe(1)
  await client.ended().catch(() => undefined)
})

test('a reload changes what is offered, and open connections stay', async () => {
  const tls = [save(certificate())]
  const { port, service } = await serve({ tls, backends: [{ port: await startHttp2(), host, protocol: 'h2' }] })
  const { ask } = session(port)
  await ask()
  await service.reload(configOf({ tls, backends: [await startBackend()] }))
  expect(await negotiated(port, ['h2', 'http/1.1'])).toBe('http/1.1')
  expect(await ask('/after')).toContain('/after')
})
