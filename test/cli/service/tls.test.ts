import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { ConfigError } from '../../../src/cli/config/config.ts'
import { Certificates, FileWatch } from '../../../src/cli/service/certificates.ts'
import { Service } from '../../../src/cli/service/service.ts'
import { NameServer } from '../../helpers/dns.ts'
import { Backend, connect, type Peer } from '../../helpers/net.ts'
import { expectNoWarnings, GET, OK } from '../../helpers/proxy.ts'
import { LINE } from '../../helpers/proxy-header.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import {
  type Certificate,
  certificate,
  connectTls,
  makeCertificate,
  saveCertificate as save,
} from '../../helpers/tls.ts'
import { turn } from '../../helpers/turns.ts'
import { ADMIN, configOf, endWith, get, Lines, STICKY, startBackend, startService } from './support.ts'

expectNoWarnings()

const exact = makeCertificate(['DNS:www.a.test'])
const wildcard = makeCertificate(['DNS:*.a.test', 'DNS:b.test'])

/** Returns the names of the certificate that a client gets. */
async function namesAt(port: number, servername?: string): Promise<string | undefined> {
  const name = servername === undefined ? {} : { servername }
  const peer = await connectTls(port, { rejectUnauthorized: false, ...name })
  const { subjectaltname } = (peer.socket as tls.TLSSocket).getPeerCertificate()
  peer.socket.destroy()
  return subjectaltname
}

/** Resolves when the other side has ended or reset the connection. */
async function over(peer: Peer): Promise<void> {
  await peer.ended().catch(() => undefined)
}

const LOCAL = 'DNS:localhost, DNS:backend.test, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1'

test('terminates TLS, and sends the backend the bytes with X-Forwarded-Proto: https', async () => {
  const { service, port } = await startService({
    backends: [await startBackend()],
    tls: [save(certificate())],
    forwarded: 'x',
    sticky: STICKY,
    log: 'text',
  })
  expect(service.addresses).toEqual([`https://127.0.0.1:${port}/`])
  const target = { port, host: '127.0.0.1', ca: certificate().cert } as object
  const got = await get(target, { 'X-Forwarded-Proto': 'http' }, https.request)
  expect(got).toMatchObject({ id: 'a', headers: { 'x-forwarded-proto': 'https', 'x-forwarded-for': '127.0.0.1' } })
  expect(got.cookies).toHaveLength(1)
})

test('trusts a TLS client of a Unix socket if unix is listed', async () => {
  const backend = await Backend.start()
  const path = join(temporaryDirectory(), 's')
  await startService({
    backends: [{ port: backend.port }],
    listen: [{ path }],
    tls: [save(certificate())],
    forwarded: 'x',
    trust: ['unix'],
  })
  const client = await connectTls(0, { path, servername: 'localhost' })
  client.write('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n')
  expect(await (await backend.next()).until('\r\n\r\n')).toContain('X-Forwarded-For: 192.0.2.1\r\n')
})

test('lets each side end first', async () => {
  const backend = await Backend.start()
  const { port } = await startService({ backends: [{ port: backend.port }], tls: [save(certificate())] })
  const client = await connectTls(port)
  client.end(GET)
  const peer = await backend.next()
  expect(await peer.ended()).toBe(GET)
  peer.end(OK)
  expect(await client.ended()).toBe(OK)
})

test.each([
  ['www.a.test', 'DNS:www.a.test'],
  ['WWW.A.test', 'DNS:www.a.test'],
  ['other.a.test', 'DNS:*.a.test, DNS:b.test'],
  ['b.test', 'DNS:*.a.test, DNS:b.test'],
  ['deep.other.a.test', LOCAL],
  ['a.test', LOCAL],
  ['unknown.test', LOCAL],
  [undefined, LOCAL],
  ['-.a b', LOCAL],
])('gives a client that requests %s the certificate of %s', async (name, expected) => {
  // The wildcard is listed before the exact name, which takes precedence.
  const pairs = [save(certificate()), save(wildcard), save(exact)]
  const { port } = await startService({ tls: pairs })
  expect(await namesAt(port, name)).toBe(expected)
})

test('negotiates HTTP/1.1, and refuses clients that only offer other protocols', async () => {
  const backend = await Backend.start()
  const { port } = await startService({ backends: [{ port: backend.port }], tls: [save(certificate())] })
  const peer = await connectTls(port, { ALPNProtocols: ['h2', 'http/1.1'] })
  expect((peer.socket as tls.TLSSocket).alpnProtocol).toBe('http/1.1')
  await expect(connectTls(port, { ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol/)
})

test('counts failed handshakes, and prints each reason once', async () => {
  const { port, said, logged, service } = await startService({
    backends: [await startBackend()],
    tls: [save(certificate())],
    log: 'text',
  })
  // A check that only connects does not count.
  const resetting = await connect(port)
  resetting.reset()
  const ending = await connect(port)
  ending.end()
  await ending.ended()
  const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  for (let i = 0; i < 2; i++) await expect(connectTls(port, old)).rejects.toThrow(/alert protocol version/)
  await expect(connectTls(port, { ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol/)
  // curl checks the certificate during the handshake and sends an alert.
  await expect(promisify(execFile)('curl', ['-sS', `https://127.0.0.1:${port}/`])).rejects.toThrow(/certificate/)
  const leaving = await connect(port)
  leaving.write(Buffer.from('160301', 'hex'))
  leaving.end()
  await over(leaving)
  const target = { port, host: '127.0.0.1', ca: certificate().cert } as object
  expect((await get(target, {}, https.request)).id).toBe('a')
  await logged.untilCount(1)
  expect(logged.all).toHaveLength(1)
  expect(said.all).toEqual([
    'TLS handshake with 127.0.0.1 failed: the TLS version of the client is too old (ERR_SSL_UNSUPPORTED_PROTOCOL)',
    'TLS handshake with 127.0.0.1 failed: no common protocol in ALPN (ERR_SSL_NO_APPLICATION_PROTOCOL)',
    'TLS handshake with 127.0.0.1 failed: the client refused the certificate: unknown issuer (ERR_SSL_TLSV1_ALERT_UNKNOWN_CA)',
    'TLS handshake with 127.0.0.1 failed: the client closed the connection (ECONNRESET)',
  ])
  expect(service.counters).toMatchObject({ handshakeFailures: 5, accepted: 1 })
})

// RFC 8446 6.2. The names in OpenSSL's codes differ between its versions.
test.each([
  [42, /^the client refused the certificate \(ERR_SSL_.+_ALERT_BAD_CERTIFICATE\)$/],
  [43, /^the client refused the certificate \(ERR_SSL_.+_ALERT_UNSUPPORTED_CERTIFICATE\)$/],
  [44, /^the client refused the certificate: revoked \(ERR_SSL_.+_ALERT_CERTIFICATE_REVOKED\)$/],
  [45, /^the client refused the certificate: expired \(ERR_SSL_.+_ALERT_CERTIFICATE_EXPIRED\)$/],
  [46, /^the client refused the certificate \(ERR_SSL_.+_ALERT_CERTIFICATE_UNKNOWN\)$/],
  [48, /^the client refused the certificate: unknown issuer \(ERR_SSL_.+_ALERT_UNKNOWN_CA\)$/],
])('explains alert %i of a client', async (alert, reason) => {
  const { port, said } = await startService({ tls: [save(certificate())] })
  const client = await connect(port)
  client.write(await clientHello())
  await client.untilLength(1)
  client.write(Buffer.from([21, 3, 3, 0, 2, 2, alert]))
  const line = await said.until('TLS handshake')
  expect(line.replace(/^.*failed: /, '')).toMatch(reason)
})

/** The first bytes of a client of TLS 1.2: until it has sent its key, it may send an alert in plain text. */
async function clientHello(): Promise<Buffer> {
  const backend = await Backend.start()
  const client = tls
    .connect({ port: backend.port, host: '127.0.0.1', maxVersion: 'TLSv1.2' })
    .on('error', () => undefined)
  onTestFinished(() => void client.destroy())
  const peer = await backend.next()
  const header = await peer.untilLength(5)
  return peer.untilLength(5 + header.readUInt16BE(3))
}

test.each(['GET', 'DELETE', 'OPTIONS', 'propfind'])(
  'answers plain HTTP with %s by a 400 that asks for TLS',
  async (method) => {
    const { port, said, service } = await startService({
      backends: [await startBackend()],
      tls: [save(certificate())],
    })
    for (let i = 0; i < 2; i++) {
      const client = await connect(port)
      // More bytes than badass reads to answer. The client must not be reset before it has read the answer.
      client.write(`${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`)
      client.end()
      expect(await client.ended()).toMatch(
        /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*\r\n\r\n400 Bad Request: this port speaks TLS; use https:\/\/\n$/,
      )
    }
    expect(said.all).toEqual(['TLS handshake with 127.0.0.1 failed: the client sent plain HTTP'])
    expect(service.counters).toMatchObject({ handshakeFailures: 2, accepted: 0 })
  },
)

test('does so byte by byte, for HEAD, over a Unix socket and behind a PROXY header', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const given = { tls: [save(certificate())], listen: [{ port: 0, host: '127.0.0.1' }, { path }] }
  const { port, service } = await startService(given)
  const slow = await connect(port)
  for (const byte of GET) await slow.flush(byte)
  slow.end()
  expect(await slow.ended()).toMatch(/^HTTP\/1\.1 400 [\s\S]*use https/)
  expect(await endWith(port, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 [\s\S]*\r\n\r\n$/)
  const unix = net.connect(path)
  unix.end(GET)
  expect(Buffer.concat(await unix.toArray()).toString()).toMatch(/^HTTP\/1\.1 400 [\s\S]*use https/)
  expect(service.counters.handshakeFailures).toBe(3)
  const behind = await startService({
    ...given,
    listen: [{ port: 0, host: '127.0.0.1' }],
    proxyProtocol: ['127.0.0.1'],
  })
  expect(await endWith(behind.port, LINE + GET)).toMatch(/^HTTP\/1\.1 400 [\s\S]*use https/)
  // Two PROXY headers are another mistake.
  expect(behind.service.counters).toMatchObject({ handshakeFailures: 1, accepted: 0 })
})

const FROM = (address: string) => `PROXY TCP4 ${address} 10.0.0.9 1000 443\r\n`

test('names the client of a PROXY header in a failed handshake', async () => {
  const { port, said, service } = await startService({ tls: [save(certificate())], proxyProtocol: ['127.0.0.1'] })
  await endWith(port, FROM('10.0.0.1') + GET)
  const hello = await clientHello()
  const client = await connect(port)
  client.write(Buffer.concat([Buffer.from(FROM('10.0.0.2')), hello]))
  await client.untilLength(1)
  client.write(Buffer.from([21, 3, 3, 0, 2, 2, 48]))
  await over(client)
  const leaving = await connect(port)
  leaving.write(Buffer.concat([Buffer.from(FROM('10.0.0.3')), Buffer.from('160301', 'hex')]))
  leaving.end()
  await over(leaving)
  expect(said.all).toEqual([
    'TLS handshake with 10.0.0.1 failed: the client sent plain HTTP',
    expect.stringMatching(
      /^TLS handshake with 10\.0\.0\.2 failed: the client refused the certificate: unknown issuer /,
    ),
    'TLS handshake with 10.0.0.3 failed: the client closed the connection (ECONNRESET)',
  ])
  expect(service.counters).toMatchObject({ handshakeFailures: 3 })
})

test('does not count a client that sends nothing after its PROXY header', async () => {
  const { port, said, service } = await startService({
    tls: [save(certificate())],
    proxyProtocol: ['127.0.0.1'],
    limits: { headTimeout: 200 },
  })
  const silent = await connect(port)
  silent.write(FROM('10.0.0.4'))
  await over(silent)
  expect(said.all).toEqual([])
  expect(service.counters).toMatchObject({ handshakeFailures: 0 })
})

test('ends a stalled handshake', async () => {
  const { port } = await startService({ tls: [save(certificate())], limits: { headTimeout: 50 } })
  const client = await connect(port)
  await over(client)
  expect(client.text).toBe('')
})

test('a stalled handshake does not delay a drain', async () => {
  const { service, port } = await startService({ tls: [save(certificate())], admin: ADMIN })
  const stalled = await connect(port)
  // Connections are accepted in order, so the first one has been accepted.
  await connectTls(port)
  await service.drain()
  await over(stalled)
})

test('serves a client whose handshake is in progress when a drain starts', async () => {
  const backend = await Backend.start()
  const { service, port } = await startService({ backends: [{ port: backend.port }], tls: [save(certificate())] })
  // The client's bytes pass a relay that delays them.
  const raw = await connect(port)
  await connectTls(port)
  const drained = service.drain()
  const socket = tls.connect({ socket: raw.socket, ca: certificate().cert, host: 'localhost' })
  raw.socket.removeAllListeners('data')
  await once(socket, 'secureConnect')
  socket.end(GET)
  const peer = await backend.next()
  await peer.ended()
  peer.end(OK)
  expect((await once(socket, 'data')).toString()).toBe(OK)
  await drained
})

test('resumes sessions, even after a change of certificates', async () => {
  const files = save(certificate())
  const backend = await Backend.start()
  const { port, said } = await startService({ backends: [{ port: backend.port }], tls: [files] })
  const sessionOf = async (session?: Buffer) => {
    const peer = await connectTls(port, { rejectUnauthorized: false, ...(session && { session }) })
    const socket = peer.socket as tls.TLSSocket
    const next = session ? undefined : once(socket, 'session')
    const isReused = socket.isSessionReused()
    const ticket = next && ((await next)[0] as Buffer)
    socket.destroy()
    return { isReused, ticket }
  }
  const { ticket } = await sessionOf()
  expect((await sessionOf(ticket)).isReused).toBe(true)
  writeFileSync(files.cert, exact.cert)
  writeFileSync(files.key, exact.key)
  await said.until('using the new ones')
  expect((await sessionOf(ticket)).isReused).toBe(true)
})

test('uses a certificate that is swapped by a link, and keeps open connections', async () => {
  // Like a mounted secret in Kubernetes: the files are links through ..data, which a rename replaces.
  const directory = temporaryDirectory()
  const publish = (name: string, pair: Certificate) => {
    mkdirSync(join(directory, name))
    save(pair, join(directory, name))
    symlinkSync(name, join(directory, '..new'))
    renameSync(join(directory, '..new'), join(directory, '..data'))
  }
  publish('..1', certificate())
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  symlinkSync('..data/cert.pem', files.cert)
  symlinkSync('..data/key.pem', files.key)
  const backend = await Backend.start()
  const { port, said } = await startService({ backends: [{ port: backend.port }], tls: [files] })
  const client = await connectTls(port)
  client.write(GET)
  const peer = await backend.next()
  expect(await namesAt(port)).toBe(LOCAL)
  publish('..2', exact)
  expect(await said.until('certificates')).toBe('certificates changed; using the new ones')
  expect(await namesAt(port)).toBe('DNS:www.a.test')
  peer.end(OK)
  client.end()
  expect(await client.ended()).toBe(OK)
})

test('uses a certificate that changes while the service starts', async () => {
  const names = await NameServer.start()
  names.set('app.test', 'silence')
  const files = save(certificate())
  const path = join(temporaryDirectory(), 'admin.sock')
  const said = new Lines()
  const config = configOf({
    backends: [{ dns: 'app.test', port: 1 }],
    // The watch would check during this time.
    dns: { servers: [names.address], timeout: 2_500 },
    tls: [files],
    admin: { listen: { path }, token: undefined },
  })
  const starting = Service.start(config, { say: said.add, log: () => undefined })
  // The line appears after the certificates were read, before the DNS answers.
  while (!existsSync(path)) await turn()
  save(exact, join(files.cert, '..'))
  const service = await starting
  onTestFinished(() => service.stop())
  await said.until('using the new ones')
  expect(await namesAt(Number(new URL(service.addresses[0]!).port))).toBe('DNS:www.a.test')
})

test('a client of the first listener is served before the last one listens', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  // Each name is looked up, which takes some turns.
  const others = Array.from({ length: 50 }, () => ({ port: 0, host: 'localhost' }))
  const listen = [{ path, tls: true }, ...others]
  const config = configOf({ backends: [await startBackend()], tls: [save(certificate())], listen })
  let isStarted = false
  const starting = Service.start(config, { say: () => undefined, log: () => undefined })
  void starting.then(() => (isStarted = true))
  while (!existsSync(path)) await turn()
  const target = { socketPath: path, ca: certificate().cert, servername: 'localhost' } as object
  const got = await get(target, {}, https.request).finally(() => starting.then((service) => service.stop()))
  expect(got.id).toBe('a')
  expect(isStarted).toBe(true)
})

test('reads only the files of the new config after a reload', async () => {
  const before = save(certificate())
  const after = save(certificate())
  const { service, port, said } = await startService({ tls: [before] })
  await service.reload(configOf({ tls: [after] }))
  save(exact, join(before.cert, '..'))
  // After the second line, a watch of the old files would have noticed.
  for (const [times, pair] of [wildcard, certificate()].entries()) {
    save(pair, join(after.cert, '..'))
    await said.untilCount(times + 1)
  }
  expect(said.all).toEqual(Array(2).fill('certificates changed; using the new ones'))
  expect(await namesAt(port)).toBe(LOCAL)
})

/** A watch that checks a pair often. */
async function watch(files: { cert: string; key: string }) {
  const events = new Lines()
  const [started, certificates] = await FileWatch.load(
    [files.cert, files.key],
    () => Certificates.load([files]),
    {
      changed: (now) => events.add(`changed to ${now.first.cert.equals(exact.cert) ? 'exact' : 'other'}`),
      failed: (error) => events.add(error.message),
    },
    5,
  )
  started.start()
  return { started, events, certificates }
}

test('reports a certificate without its key once, and uses it when the key is there', async () => {
  const files = save(certificate())
  const { started, events } = await watch(files)
  writeFileSync(files.cert, exact.cert.subarray(0, 100))
  await events.untilCount(1)
  writeFileSync(files.cert, exact.cert)
  await events.untilCount(2)
  writeFileSync(files.cert, Buffer.concat([exact.cert, Buffer.from('\n')]))
  writeFileSync(files.cert, exact.cert)
  writeFileSync(files.key, exact.key)
  await events.until('changed')
  started.stop()
  expect(events.all).toEqual([
    expect.stringMatching(/^tls: expected a certificate in PEM, got '.*cert\.pem' \(.*\)$/),
    `tls: expected the key of '${files.cert}', got '${files.key}'`,
    'changed to exact',
  ])
})

test('handles files that disappear and return', async () => {
  const files = save(certificate())
  const { started, events } = await watch(files)
  renameSync(files.key, `${files.key}.away`)
  expect(await events.until('')).toBe(`tls: cannot read '${files.key}': no such file`)
  renameSync(`${files.key}.away`, files.key)
  expect(await events.until('changed')).toBe('changed to other')
  started.stop()
})

test('a stopped watch reports nothing', async () => {
  const files = save(certificate())
  const { started, events } = await watch(files)
  const other = await watch(files)
  started.stop()
  save(exact, join(files.cert, '..'))
  await other.events.until('changed to exact')
  other.started.stop()
  expect(events.all).toEqual([])
})

const PEM = certificate()
const MISTAKES: [
  what: string,
  pair: Certificate,
  expected: (files: { cert: string; key: string }) => RegExp | string,
][] = [
  [
    'another key',
    { cert: PEM.cert, key: exact.key },
    ({ cert, key }) => `tls: expected the key of '${cert}', got '${key}'`,
  ],
  [
    'no certificate',
    { ...PEM, cert: Buffer.from('hello') },
    () => /expected a certificate in PEM, got '.*cert\.pem' \(/,
  ],
  [
    'no key',
    { ...PEM, key: Buffer.from('hello') },
    () => /expected a private key in PEM, without a passphrase, got '.*key\.pem' \(/,
  ],
  ['files swapped', { cert: PEM.key, key: PEM.cert }, () => /expected a certificate in PEM, got '.*cert\.pem' \(/],
  ['an empty file', { ...PEM, cert: Buffer.alloc(0) }, () => /expected a certificate in PEM, got '.*cert\.pem' \(/],
  [
    'DER',
    { ...PEM, cert: Buffer.from(PEM.cert.toString().replace(/-----.*-----/g, ''), 'base64') },
    () => /expected a certificate in PEM, got '.*cert\.pem'/,
  ],
]

test.each(MISTAKES)('reports %s in one line', async (_, pair, expected) => {
  const files = save(pair)
  const io = { say: () => undefined, log: () => undefined }
  const error = await Service.start(configOf({ tls: [save(exact), files] }), io).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ConfigError)
  const { message } = error as Error
  const wanted = expected(files)
  if (typeof wanted === 'string') expect(message).toBe(wanted)
  else expect(message).toMatch(wanted)
  expect(message).not.toContain('\n')
})

test.each([
  ['text', (pem: Buffer) => String(pem)],
  ['bytes', (pem: Buffer) => new Uint8Array(pem)],
])('accepts certificates and keys as PEM %s beside paths', async (_, form) => {
  const pairs = [
    save(certificate()),
    { cert: form(wildcard.cert), key: save(wildcard).key },
    { cert: form(exact.cert), key: form(exact.key) },
  ]
  const { port } = await startService({ tls: pairs })
  expect(await namesAt(port, 'b.test')).toBe('DNS:*.a.test, DNS:b.test')
  expect(await namesAt(port, 'www.a.test')).toBe('DNS:www.a.test')
})

test('names the place of invalid PEM text without showing it', async () => {
  const key = String(exact.key)
  await expect(Certificates.load([{ cert: String(PEM.cert), key }])).rejects.toThrow(
    new ConfigError('tls: expected the key of the text of cert, got the text of key'),
  )
  const { cert } = save(exact)
  await expect(Certificates.load([{ cert, key: key.slice(0, 60) }])).rejects.toThrow(
    /^tls: expected a private key in PEM, without a passphrase, got the text of key \([^\n]*\)$/,
  )
})

test('names a missing file', async () => {
  const files = { ...save(certificate()), key: '/nowhere/key.pem' }
  await expect(Certificates.load([files])).rejects.toThrow(
    new ConfigError("tls: cannot read '/nowhere/key.pem': no such file"),
  )
})

test('serves TLS over a Unix socket', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const backends = [await startBackend()]
  await startService({ backends, tls: [save(certificate())], listen: [{ path }], forwarded: 'x', trust: ['unix'] })
  const socket = tls.connect({ socket: net.connect(path), ca: certificate().cert, host: 'localhost' })
  await once(socket, 'secureConnect')
  socket.end(GET)
  let text = ''
  for await (const chunk of socket) text += chunk
  expect(text).toContain('"x-forwarded-proto":"https"')
})
