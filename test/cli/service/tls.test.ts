import { once } from 'node:events'
import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { ConfigError } from '../../../src/cli/config/config.ts'
import { Certificates, CertificateWatch } from '../../../src/cli/service/certificates.ts'
import { Service } from '../../../src/cli/service/service.ts'
import { NameServer } from '../../helpers/dns.ts'
import { Backend, connect, type Peer } from '../../helpers/net.ts'
import { expectNoWarnings, GET, OK } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Certificate, certificate, connectTls, makeCertificate } from '../../helpers/tls.ts'
import { turn } from '../../helpers/turns.ts'
import { ADMIN, configOf, get, Lines, STICKY, startBackend, startService } from './support.ts'

expectNoWarnings()

const exact = makeCertificate(['DNS:www.a.test'])
const wildcard = makeCertificate(['DNS:*.a.test', 'DNS:b.test'])

/** Writes a pair into a directory of its own. */
function save({ cert, key }: Certificate, directory = temporaryDirectory()): { cert: string; key: string } {
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  writeFileSync(files.cert, cert)
  writeFileSync(files.key, key)
  return files
}

/** The names of the certificate that a client gets. */
async function namesAt(port: number, servername?: string): Promise<string | undefined> {
  const name = servername === undefined ? {} : { servername }
  const peer = await connectTls(port, { rejectUnauthorized: false, ...name })
  const { subjectaltname } = (peer.socket as tls.TLSSocket).getPeerCertificate()
  peer.socket.destroy()
  return subjectaltname
}

/** Resolves when the other side has ended the connection, by whichever way. */
async function over(peer: Peer): Promise<void> {
  await peer.ended().catch(() => undefined)
}

const LOCAL = 'DNS:localhost, DNS:backend.test, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1'

test('TLS ends here: the backend gets the bytes, and hears that it was https', async () => {
  const { service, port } = await startService({
    backends: [await startBackend()],
    tls: [save(certificate())],
    forwarded: true,
    sticky: STICKY,
    log: 'text',
  })
  expect(service.addresses).toEqual([`https://127.0.0.1:${port}/`])
  const target = { port, host: '127.0.0.1', ca: certificate().cert } as object
  const got = await get(target, { 'X-Forwarded-Proto': 'http' }, https.request)
  expect(got).toMatchObject({ id: 'a', headers: { 'x-forwarded-proto': 'https', 'x-forwarded-for': '127.0.0.1' } })
  expect(got.cookies).toHaveLength(1)
})

test('each side may end first', async () => {
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
])('a client that asks for %s gets the certificate of %s', async (name, expected) => {
  // The wildcard stands before the name itself, which is closer.
  const pairs = [save(certificate()), save(wildcard), save(exact)]
  const { port } = await startService({ tls: pairs })
  expect(await namesAt(port, name)).toBe(expected)
})

test('speaks HTTP/1.1 to who asks for a protocol, and nothing to who only knows others', async () => {
  const backend = await Backend.start()
  const { port } = await startService({ backends: [{ port: backend.port }], tls: [save(certificate())] })
  const peer = await connectTls(port, { ALPNProtocols: ['h2', 'http/1.1'] })
  expect((peer.socket as tls.TLSSocket).alpnProtocol).toBe('http/1.1')
  await expect(connectTls(port, { ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol/)
})

test('handshakes that fail are not told of, and harm nobody', async () => {
  const { port, said, logged, service } = await startService({
    backends: [await startBackend()],
    tls: [save(certificate())],
    log: 'text',
  })
  const plain = await connect(port)
  plain.write(GET)
  await over(plain)
  const resetting = await connect(port)
  resetting.reset()
  const ending = await connect(port)
  ending.end()
  await ending.ended()
  await expect(connectTls(port, { ca: exact.cert })).rejects.toThrow('self-signed certificate')
  const target = { port, host: '127.0.0.1', ca: certificate().cert } as object
  expect((await get(target, {}, https.request)).id).toBe('a')
  await logged.untilCount(1)
  expect(logged.all).toHaveLength(1)
  expect(said.all).toEqual([])
  // The one whose issuer was unknown had shaken hands: with TLS 1.3 that is news of the client's.
  expect(service.counters.accepted).toBeLessThanOrEqual(2)
})

test('a handshake that stalls is ended', async () => {
  const { port } = await startService({ tls: [save(certificate())], limits: { headTimeout: 50 } })
  const client = await connect(port)
  await over(client)
  expect(client.text).toBe('')
})

test('a handshake that stalls holds up no drain', async () => {
  const { service, port } = await startService({ tls: [save(certificate())], admin: ADMIN })
  const stalled = await connect(port)
  // Accepted for sure: connections are accepted in order.
  await connectTls(port)
  await service.drain()
  await over(stalled)
})

test('a client whose handshake is under way when a drain begins is served', async () => {
  const backend = await Backend.start()
  const { service, port } = await startService({ backends: [{ port: backend.port }], tls: [save(certificate())] })
  // The client's bytes go through a peer that holds them back.
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

test('a client resumes its session, over a change of certificates too', async () => {
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
  await said.until('the new ones are in use')
  expect((await sessionOf(ticket)).isReused).toBe(true)
})

test('a certificate that is swapped by a link is in use soon after, and what was open stays open', async () => {
  // As Kubernetes mounts a secret: files lead through ..data, which one rename points elsewhere.
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
  expect(await said.until('certificates')).toBe('certificates have changed: the new ones are in use')
  expect(await namesAt(port)).toBe('DNS:www.a.test')
  peer.end(OK)
  client.end()
  expect(await client.ended()).toBe(OK)
})

test('a certificate that changes while the service starts is in use soon after', async () => {
  const names = await NameServer.start()
  names.set('app.test', 'silence')
  const files = save(certificate())
  const path = join(temporaryDirectory(), 'admin.sock')
  const said = new Lines()
  const config = configOf({
    backends: [{ dns: 'app.test', port: 1 }],
    // The watch would look within the time that this takes.
    dns: { servers: [names.address], timeout: 2_500 },
    tls: [files],
    admin: { listen: { path }, token: undefined },
  })
  const starting = Service.start(config, { say: said.add, log: () => undefined })
  // It comes when the certificates have been read, and goes on to wait for the DNS.
  while (!existsSync(path)) await turn()
  save(exact, join(files.cert, '..'))
  const service = await starting
  onTestFinished(() => service.stop())
  await said.until('the new ones are in use')
  expect(await namesAt(Number(new URL(service.addresses[0]!).port))).toBe('DNS:www.a.test')
})

test('after a reload only the files of the new config count', async () => {
  const before = save(certificate())
  const after = save(certificate())
  const { service, port, said } = await startService({ tls: [before] })
  await service.reload(configOf({ tls: [after] }))
  save(exact, join(before.cert, '..'))
  // By the second time, whoever still looked at the others would have.
  for (const [times, pair] of [wildcard, certificate()].entries()) {
    save(pair, join(after.cert, '..'))
    await said.untilCount(times + 1)
  }
  expect(said.all).toEqual(Array(2).fill('certificates have changed: the new ones are in use'))
  expect(await namesAt(port)).toBe(LOCAL)
})

/** A watch on a pair that looks often. */
async function watch(files: { cert: string; key: string }) {
  const events = new Lines()
  const [started, certificates] = await CertificateWatch.load(
    [files],
    {
      changed: (now) => events.add(`changed to ${now.first.cert.equals(exact.cert) ? 'exact' : 'other'}`),
      failed: (error) => events.add(error.message),
    },
    5,
  )
  started.start()
  return { started, events, certificates }
}

test('a certificate whose key has not come yet is told of once, and in use when it has', async () => {
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
    expect.stringMatching(/^tls: got '.*cert\.pem'; takes a certificate in PEM \(.*\)$/),
    `tls: got the key '${files.key}' with '${files.cert}'; takes the certificate's own key`,
    'changed to exact',
  ])
})

test('files that go and come back', async () => {
  const files = save(certificate())
  const { started, events } = await watch(files)
  renameSync(files.key, `${files.key}.away`)
  expect(await events.until('')).toBe(`tls: cannot read '${files.key}': no such file`)
  renameSync(`${files.key}.away`, files.key)
  expect(await events.until('changed')).toBe('changed to other')
  started.stop()
})

test('a watch that was stopped tells nothing more', async () => {
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
    ({ cert, key }) => `tls: got the key '${key}' with '${cert}'; takes the certificate's own key`,
  ],
  ['no certificate', { ...PEM, cert: Buffer.from('hello') }, () => /cert\.pem'; takes a certificate in PEM \(/],
  [
    'no key',
    { ...PEM, key: Buffer.from('hello') },
    () => /key\.pem'; takes a private key in PEM, without a passphrase \(/,
  ],
  ['files swapped', { cert: PEM.key, key: PEM.cert }, () => /cert\.pem'; takes a certificate in PEM \(/],
  ['an empty file', { ...PEM, cert: Buffer.alloc(0) }, () => /cert\.pem'; takes a certificate in PEM \(/],
  [
    'DER',
    { ...PEM, cert: Buffer.from(PEM.cert.toString().replace(/-----.*-----/g, ''), 'base64') },
    () => /cert\.pem'; takes a certificate in PEM/,
  ],
]

test.each(MISTAKES)('%s is a mistake of one line', async (_, pair, expected) => {
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

test('a file that is missing is named', async () => {
  const files = { ...save(certificate()), key: '/nowhere/key.pem' }
  await expect(Certificates.load([files])).rejects.toThrow(
    new ConfigError("tls: cannot read '/nowhere/key.pem': no such file"),
  )
})

test('TLS over a Unix socket', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const backends = [await startBackend()]
  await startService({ backends, tls: [save(certificate())], listen: [{ path }], forwarded: true, trust: ['unix'] })
  const socket = tls.connect({ socket: net.connect(path), ca: certificate().cert, host: 'localhost' })
  await once(socket, 'secureConnect')
  socket.end(GET)
  let text = ''
  for await (const chunk of socket) text += chunk
  expect(text).toContain('"x-forwarded-proto":"https"')
})
