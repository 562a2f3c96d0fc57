import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import tls from 'node:tls'
import { expect, test } from 'vitest'
import type { Config } from '../../../src/cli/config/config.ts'
import { Certificates } from '../../../src/cli/service/certificates.ts'
import { Authority } from '../../helpers/authority.ts'
import { Backend, connect, listen, type Peer } from '../../helpers/net.ts'
import { expectNoWarnings, GET } from '../../helpers/proxy.ts'
import { LINE } from '../../helpers/proxy-header.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Certificate, certificate, connectTls, makeCertificate } from '../../helpers/tls.ts'
import { configOf, startService } from './support.ts'

expectNoWarnings()

const ca = new Authority('clients')
const alice = ca.issue('alice')
const other = makeCertificate(['DNS:b.test'])
const former = new Authority('former')
const stranger = new Authority('clients').issue('alice')

const CA = { pem: ca.cert, isRequired: true }
const OPTIONAL = { pem: ca.cert, isRequired: false }
const LOOPBACK = { port: 0, host: '127.0.0.1' }
const BASE: Pick<Config, 'tls' | 'requests'> = { tls: [certificate(), other], requests: 'every' }
const ALICE = clientCertOf(alice)

function clientCertOf({ cert }: Certificate): string {
  return `:${new X509Certificate(cert).raw.toString('base64')}:`
}

/** Starts a backend that answers with the fields of the request, and a service in front of it. */
async function start(given: Partial<Config>) {
  const seen: string[][] = []
  const server = http.createServer((request, response) => {
    seen.push(request.rawHeaders)
    request.resume().on('end', () => {
      response.setHeader('X-Trailers', request.rawTrailers.join())
      response.end(request.rawHeaders.join('\n'))
    })
  })
  const port = await listen(server)
  const config = { ...BASE, backends: [{ port }], ...given }
  return { ...(await startService(config)), config, seen }
}

/** Connects with a certificate. */
function connectAs(port: number, own: Partial<Certificate>, options: tls.ConnectionOptions = {}): Promise<Peer> {
  return connectTls(port, { ...own, rejectUnauthorized: false, ...options })
}

const LAST = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

/** The answer to a request. Empty if the handshake fails. */
async function ask(
  port: number,
  own: Partial<Certificate>,
  options: tls.ConnectionOptions = {},
  request = LAST,
): Promise<string> {
  try {
    const client = await connectAs(port, own, options)
    client.write(request)
    return await client.ended().catch(() => client.text)
  } catch {
    return ''
  }
}

/** Starts TLS on a connection, and sends a request. Resolves when it is closed. */
async function askOver({ socket: raw }: Peer, own: Partial<Certificate>): Promise<void> {
  raw.removeAllListeners('data')
  const socket = tls.connect({ socket: raw, ...own, rejectUnauthorized: false })
  socket.on('error', () => undefined)
  socket.on('end', () => socket.destroy())
  socket.resume()
  socket.write(LAST)
  await new Promise((resolve) => socket.once('close', resolve))
}

/** The values of all fields that could be read as Client-Cert or its chain. */
function certsIn(fields: readonly string[]): string[] {
  return fields.filter((_, i) => i % 2 === 1 && /^client.cert(.chain)?$/i.test(fields[i - 1]!))
}

test.each([
  ['TLSv1.2', 'localhost', CA],
  ['TLSv1.3', 'localhost', CA],
  ['TLSv1.2', 'b.test', OPTIONAL],
  ['TLSv1.3', 'b.test', OPTIONAL],
] as const)('sends the certificate of a client to the backend: %s, %s', async (maxVersion, servername, clientCa) => {
  const { port, seen } = await start({ clientCa })
  expect(await ask(port, alice, { maxVersion, servername })).toContain(ALICE)
  expect(seen.map(certsIn)).toEqual([[ALICE]])
})

const INVALID: [what: string, own: Partial<Certificate>, reason: string][] = [
  ['of another CA with the same name', stranger, 'UNABLE_TO_\\w+'],
  ['that it signed itself', makeCertificate(), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ['that has expired', ca.issue('bob', { days: -1 }), 'CERT_HAS_EXPIRED'],
  ['for servers', ca.issue('web', { usage: 'serverAuth' }), 'INVALID_PURPOSE'],
]

const CASES = INVALID.flatMap(([what, own, reason]) =>
  (['required', 'optional'] as const).flatMap((mode) =>
    (['TLSv1.2', 'TLSv1.3'] as const).map((version) => [what, mode, version, own, reason] as const),
  ),
)

test.each(CASES)('refuses a certificate %s: %s, %s', async (_, mode, maxVersion, own, reason) => {
  const { port, said, service, seen } = await start({ clientCa: mode === 'required' ? CA : OPTIONAL })
  for (const servername of ['localhost', 'b.test']) expect(await ask(port, own, { maxVersion, servername })).toBe('')
  expect(await said.until('TLS handshake')).toMatch(
    new RegExp(`^TLS handshake with .+ failed: the certificate of the client is not valid \\(${reason}\\)$`),
  )
  expect(said.all).toHaveLength(1)
  expect(service.counters).toMatchObject({ handshakeFailures: 2, accepted: 0 })
  expect(seen).toEqual([])
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)('a client without a certificate: %s', async (maxVersion) => {
  const required = await start({ clientCa: CA })
  for (const servername of ['localhost', 'b.test']) {
    expect(await ask(required.port, {}, { maxVersion, servername })).toBe('')
  }
  expect(await required.said.until('TLS handshake')).toBe(
    'TLS handshake with 127.0.0.1 failed: the client sent no certificate (ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE)',
  )
  expect(required.service.counters).toMatchObject({ handshakeFailures: 2, accepted: 0 })
  const optional = await start({ clientCa: OPTIONAL })
  expect(await ask(optional.port, {}, { maxVersion })).toContain('200 OK')
  expect(optional.seen.map(certsIn)).toEqual([[]])
})

const FORGED = [
  ...['Client-Cert', 'client-cert', 'Client_Cert', 'CLIENT.CERT', 'Client~Cert'],
  ...['Client-Cert-Chain', 'client_cert_chain', 'Client-Cert_Chain', 'client.cert!chain'],
].map((name) => `${name}: :forged:\r\n`)

const forged = (more = '') => `GET / HTTP/1.1\r\nHost: a\r\n${FORGED.join('')}${more}\r\n`

test.each([
  ['with a certificate', alice, [ALICE]],
  ['without one', {}, []],
])('a client %s cannot send one itself, in the first request or later', async (_, own, expected) => {
  const { port, seen } = await start({ clientCa: OPTIONAL, trust: ['127.0.0.1'], forwarded: 'x' })
  const requests = forged() + forged() + forged('Connection: close\r\n')
  expect(await ask(port, own, {}, requests)).not.toContain('forged')
  expect(seen.map(certsIn)).toEqual([expected, expected, expected])
})

test('nor can a client without TLS', async () => {
  const listeners = [LOOPBACK, { ...LOOPBACK, tls: true }]
  const { port, seen } = await start({ clientCa: CA, listen: listeners })
  const client = await connect(port)
  client.write(forged() + forged('Connection: close\r\n'))
  await client.ended()
  expect(seen.map(certsIn)).toEqual([[], []])
})

test.each(['Client-Cert', 'client_cert', 'Client.Cert-Chain'])('nor can a trailer: %s', async (name) => {
  const backend = await Backend.start()
  const { port } = await startService({ ...BASE, backends: [{ port: backend.port }], clientCa: OPTIONAL })
  const client = await connectAs(port, {})
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${name}: :forged:\r\n\r\n`)
  await client.ended().catch(() => undefined)
  const [peer] = await Promise.race([backend.next().then((one) => [one]), client.closed().then(() => [])])
  expect(peer?.text ?? '').not.toContain('forged')
})

test('Connection cannot have it deleted', async () => {
  const { port, seen } = await start({ clientCa: CA })
  const request = (option: string) => `GET / HTTP/1.1\r\nHost: a\r\nConnection: close, ${option}\r\n\r\n`
  for (const option of ['Client-Cert', 'client-cert-chain']) {
    expect(await ask(port, alice, {}, request(option))).toMatch(/^HTTP\/1\.1 400 /)
  }
  expect(await ask(port, alice, {}, request('Client_Cert'))).toMatch(/^HTTP\/1\.1 200 /)
  expect(seen.map(certsIn)).toEqual([[ALICE]])
})

test.each([
  ['CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 501],
  ['GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2\r\n\r\n', 400],
  ['GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, HTTP/2.0\r\n\r\n', 400],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
])('begins no tunnel in which more requests could come: %j', async (request, status) => {
  const backend = await Backend.start()
  const { port } = await startService({ ...BASE, backends: [{ port: backend.port }], clientCa: CA })
  const client = await connectAs(port, alice)
  client.write(request)
  expect(await client.until('\r\n\r\n')).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(backend.accepted).toBe(0)
})

test('a WebSocket passes, with the certificate', async () => {
  const backend = await Backend.start()
  const { port } = await startService({ ...BASE, backends: [{ port: backend.port }], clientCa: CA })
  const client = await connectAs(port, alice)
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  const peer = await backend.next()
  expect(await peer.until('\r\n\r\n')).toContain(`Client-Cert: ${ALICE}\r\n`)
  peer.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello')
  await client.until('hello')
})

/** A session that a client may try to resume. */
async function sessionOf(port: number, own: Partial<Certificate>, maxVersion: tls.SecureVersion): Promise<Buffer> {
  const client = await connectAs(port, own, { maxVersion })
  const socket = client.socket as tls.TLSSocket
  if (maxVersion === 'TLSv1.2') return socket.getSession()!
  return socket.getTLSTicket() ? socket.getSession()! : (await once(socket, 'session'))[0]
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'resumes no session, so that each client is checked: %s',
  async (version) => {
    // The first service asks for no certificate, but has the same keys for tickets after the reload.
    const { port, service, config, seen } = await start({})
    const session = await sessionOf(port, {}, version)
    await service.reload(configOf({ ...config, clientCa: CA }))
    expect(await ask(port, {}, { session, maxVersion: version })).toBe('')
    const verified = await sessionOf(port, alice, version)
    expect(await ask(port, {}, { session: verified, maxVersion: version })).toBe('')
    const client = await connectAs(port, alice, { session: verified, maxVersion: version })
    expect((client.socket as tls.TLSSocket).isSessionReused()).toBe(false)
    expect(seen).toEqual([])
  },
)

test.each([CA, OPTIONAL])('a CA that changes counts for the next handshake; a broken one is not used', async (mode) => {
  const file = join(temporaryDirectory(), 'ca.pem')
  writeFileSync(file, ca.cert)
  const { port, said, seen } = await start({ clientCa: { ...mode, pem: file } })
  const client = await connectAs(port, alice)
  const next = new Authority('next')
  const bob = next.issue('bob')
  writeFileSync(file, 'hello')
  expect(await said.until('cannot be used')).toBe(
    `certificates changed, but cannot be used; keeping the old ones: tlsClientCa: expected certificates in PEM, got '${file}' (no certificate)`,
  )
  expect(await ask(port, bob)).toBe('')
  writeFileSync(file, next.cert)
  await said.until('using the new ones')
  expect(await ask(port, alice)).toBe('')
  expect(await ask(port, bob, { servername: 'b.test' })).toContain('200 OK')
  // An open connection keeps what it was verified with.
  client.write(LAST)
  expect(await client.ended()).toContain('200 OK')
  expect(seen.map(certsIn)).toEqual([[clientCertOf(bob)], [ALICE]])
})

test('several CAs may be in the file', async () => {
  const next = new Authority('next')
  const { port } = await start({ clientCa: { ...CA, pem: Buffer.concat([ca.cert, next.cert]) } })
  for (const own of [alice, next.issue('bob')]) expect(await ask(port, own)).toContain('200 OK')
  expect(await ask(port, stranger)).toBe('')
})

test.each([
  [undefined, alice, CA],
  [undefined, alice, OPTIONAL],
  [{ ...CA, pem: former.cert }, former.issue('bob'), CA],
])('refuses a handshake that began before a reload changed the CA: %#', async (before, own, after) => {
  const { port, service, config, said, seen } = await start(before ? { clientCa: before } : {})
  const raw = await connect(port)
  // Connections are accepted in order, so the first one has been accepted.
  await connectAs(port, own)
  await service.reload(configOf({ ...config, clientCa: after }))
  await askOver(raw, own)
  expect(await said.until('TLS handshake')).toContain('the client CA changed during the handshake')
  expect(seen).toEqual([])
})

test('a reload that turns it on resets the connections whose Client-Cert would reach the backend', async () => {
  const { port, service, config, seen } = await start({ listen: [LOOPBACK, { ...LOOPBACK, tls: true }] })
  const client = await connect(port)
  client.write(GET)
  await client.until('200 OK')
  // Two reloads: connections of the config before the last one are reset too.
  await service.reload(configOf(config))
  const other = await connect(port)
  other.write(GET)
  await other.until('200 OK')
  await service.reload(configOf({ ...config, clientCa: CA }))
  for (const one of [client, other]) {
    if (!one.hasEnded) one.write(forged())
    await one.closed()
  }
  expect(seen.flatMap(certsIn)).toEqual([])
})

test('works behind a PROXY header', async () => {
  const { port, seen, said } = await start({ clientCa: CA, proxyProtocol: ['127.0.0.1'], forwarded: 'x' })
  const behind = async (own: Partial<Certificate>) => {
    const raw = await connect(port)
    raw.write(LINE)
    await askOver(raw, own)
  }
  await behind(alice)
  await behind({})
  expect(seen.map(certsIn)).toEqual([[ALICE]])
  expect(await said.until('TLS handshake')).toContain('the client sent no certificate')
})

test('a client beyond a limit needs a certificate to be told', async () => {
  const { port } = await start({ clientCa: CA, maxConnections: 1 })
  await connect(port)
  expect(await ask(port, {})).toBe('')
  expect(await ask(port, alice)).toMatch(/^HTTP\/1\.1 503 /)
})

test.each([
  ['hello', /^tlsClientCa: expected certificates in PEM, got '.*hello' \(no certificate\)$|cannot read 'hello'/],
  ['-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n', /got other text \([^\n]+\)$/],
  [`${ca.cert}-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n`, /got other text \([^\n]+\)$/],
  ['/nowhere/ca.pem', /^tlsClientCa: cannot read '\/nowhere\/ca.pem': no such file$/],
])('reports a CA that cannot be used in one line: %#', async (pem, expected) => {
  await expect(Certificates.load([certificate()], { clientCa: { ...CA, pem } })).rejects.toThrow(expected)
})
