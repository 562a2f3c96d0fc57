import { writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { Backend, connect, Peer } from '../../helpers/net.ts'
import { expectNoWarnings, GET } from '../../helpers/proxy.ts'
import { block, LINE } from '../../helpers/proxy-header.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate } from '../../helpers/tls.ts'
import { configOf, type Got, get, startBackend, startService } from './support.ts'

expectNoWarnings()

const host = '127.0.0.1'
const half: net.SocketConstructorOpts = { allowHalfOpen: true }

function certificateFiles(): { cert: string; key: string } {
  const directory = temporaryDirectory()
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
  writeFileSync(files.cert, certificate().cert)
  writeFileSync(files.key, certificate().key)
  return files
}

/** Opens a socket and sends a header. */
function announced(to: net.NetConnectOpts, header: Buffer | string): net.Socket {
  const socket = net.connect({ ...to, ...half })
  onTestFinished(() => void socket.destroy())
  socket.write(header)
  return socket
}

/** Sends a request over a socket, over TLS if `isSecure`. */
async function getOver(socket: net.Socket, isSecure: boolean): Promise<Got> {
  const over = isSecure ? tls.connect({ socket, ca: certificate().cert, servername: 'localhost' }) : socket
  const create = (options: http.RequestOptions) =>
    http.request({ ...options, agent: undefined, createConnection: () => over })
  return get({}, { 'X-Forwarded-For': '9.9.9.9' }, create as typeof http.request)
}

/** Sends a header and a request. */
async function ask(to: net.NetConnectOpts, header: Buffer | string, isSecure = false): Promise<Got> {
  return getOver(announced(to, header), isSecure)
}

async function reset(client: Peer): Promise<void> {
  await client.closed()
  expect(client.text).toBe('')
}

test.each([
  [false, 'version 1', LINE],
  [false, 'version 2', block()],
  [true, 'version 1', LINE],
  [true, 'version 2', block()],
])('gives backends and the log the client of the header: TLS %s, %s', async (isSecure, _, header) => {
  const { port, logged, service } = await startService({
    backends: [await startBackend()],
    tls: isSecure ? [certificateFiles()] : [],
    proxyProtocol: [host],
    forwarded: 'x',
    log: 'text',
  })
  const { headers } = await ask({ port, host }, header, isSecure)
  expect(headers).toMatchObject({
    'x-forwarded-for': '192.0.2.1',
    'x-forwarded-proto': isSecure ? 'https' : 'http',
  })
  expect(await logged.until('GET /')).toContain(' 192.0.2.1:5000 "GET / HTTP/1.1" ')
  expect(service.counters).toMatchObject({ accepted: 1, badHeads: 0 })
})

test('uses the client of the header for --trust and the key', async () => {
  const backends = await Promise.all(['a', 'b', 'c'].map((id) => startBackend(id)))
  const { port } = await startService({
    backends,
    proxyProtocol: [host],
    forwarded: 'x',
    trust: ['192.0.2.1'],
    algorithm: 'hash',
  })
  const line = (address: string) => LINE.replace('192.0.2.1', address)
  const trusted = await ask({ port, host }, LINE)
  expect(trusted.headers['x-forwarded-for']).toBe('9.9.9.9, 192.0.2.1')
  const ids = new Map<string, Set<string>>()
  for (let i = 2; i < 12; i++) {
    const address = `192.0.2.${i}`
    for (let j = 0; j < 2; j++) {
      const { id, headers } = await ask({ port, host }, line(address))
      expect(headers['x-forwarded-for']).toBe(address)
      ids.set(address, (ids.get(address) ?? new Set()).add(id))
    }
  }
  expect([...ids.values()].every(({ size }) => size === 1)).toBe(true)
  expect(new Set([...ids.values()].flatMap((one) => [...one])).size).toBeGreaterThan(1)
})

test('accepts headers over a Unix socket', async () => {
  const path = join(temporaryDirectory(), 'a.sock')
  await startService({ listen: [{ path }], backends: [await startBackend()], proxyProtocol: ['unix'], forwarded: 'x' })
  expect((await ask({ path }, LINE)).headers['x-forwarded-for']).toBe('192.0.2.1')
})

test.each([false, true])('counts, logs and sometimes prints refused connections: TLS %s', async (isSecure) => {
  const backend = await Backend.start()
  const { port, said, logged, service } = await startService({
    backends: [{ port: backend.port }],
    tls: isSecure ? [certificateFiles()] : [],
    proxyProtocol: [host],
    log: 'text',
  })
  for (const bytes of [GET, LINE.replace('5000', '65536'), '\x16\x03\x01\x02\0']) {
    await reset(new Peer(announced({ port, host }, Buffer.from(bytes, 'latin1'))))
  }
  await logged.untilCount(3)
  expect(logged.all.every((line) => / 127\.0\.0\.1:\d+ - - .* BAD_PROXY_HEADER$/.test(line))).toBe(true)
  expect(said.all).toEqual([
    'refused 127.0.0.1: BAD_PROXY_HEADER: the PROXY header was refused: NOT_PROXY: ' +
      'the first bytes are not those of a PROXY header (at byte 0)',
  ])
  expect(service.counters).toMatchObject({ badHeads: 3, connected: 0, bytesWritten: 0 })
  expect(backend.accepted).toBe(0)
})

test.each([false, true])('refuses an untrusted peer: TLS %s', async (isSecure) => {
  const { port, said, service } = await startService({
    backends: [await startBackend()],
    tls: isSecure ? [certificateFiles()] : [],
    proxyProtocol: ['10.0.0.0/8'],
  })
  await reset(new Peer(announced({ port, host }, LINE)))
  await said.until('refused 127.0.0.1: UNTRUSTED_PROXY: ')
  expect(service.counters.badHeads).toBe(1)
})

test.each([false, true])('refuses a late header: TLS %s', async (isSecure) => {
  const { port, said } = await startService({
    backends: [await startBackend()],
    tls: isSecure ? [certificateFiles()] : [],
    proxyProtocol: [host],
    limits: { headTimeout: 40 },
  })
  await reset(new Peer(announced({ port, host }, 'PROXY ')))
  await said.until('PROXY_HEADER_TIMEOUT')
})

test.each([false, true])('a drain does not wait for clients without a header: TLS %s', async (isSecure) => {
  const { port, service } = await startService({
    backends: [await startBackend()],
    tls: isSecure ? [certificateFiles()] : [],
    proxyProtocol: [host],
  })
  const [silent, partial] = [await connect(port), await connect(port)]
  await partial.flush('PROXY ')
  // A later client has been accepted, so they have been accepted too.
  await ask({ port, host }, LINE, isSecure)
  // Nothing resets them before TLS.
  const over = [silent, partial].map((client) => client.ended().catch(() => undefined))
  await Promise.all([service.drain(), ...over])
})

test('a reload turns it on and off for new connections', async () => {
  const given = { backends: [await startBackend()], tls: [certificateFiles()], forwarded: 'x' as const }
  const { port, service } = await startService(given)
  const plain = { port, host, ca: certificate().cert } as object
  expect((await get(plain, {}, https.request)).headers['x-forwarded-for']).toBe(host)
  const listen = [{ port: 0, host }]
  await service.reload(configOf({ ...given, listen, proxyProtocol: [host] }))
  expect((await ask({ port, host }, LINE, true)).headers['x-forwarded-for']).toBe('192.0.2.1')
  await service.reload(configOf({ ...given, listen }))
  expect((await get(plain, {}, https.request)).headers['x-forwarded-for']).toBe(host)
})

test.each([1, 2] as const)('passes the client on to another badass over TLS, with version %i', async (sendProxy) => {
  const files = certificateFiles()
  const ca = certificate().cert
  const last = await startService({
    backends: [await startBackend()],
    tls: [files],
    proxyProtocol: [host],
    forwarded: 'x',
  })
  const middle = await startService({
    backends: [{ port: last.port, sendProxy, tls: { ca, servername: 'localhost' } }],
    health: { type: 'tcp', interval: 10, timeout: 20_000 },
    tls: [files],
    proxyProtocol: [host],
  })
  const first = await startService({
    backends: [{ port: middle.port, sendProxy, tls: { ca, servername: 'localhost' } }],
    health: { path: '/', interval: 10, timeout: 20_000 },
    tls: [files],
  })
  const socket = net.connect({ port: first.port, host, localAddress: '127.0.0.9' })
  onTestFinished(() => void socket.destroy())
  const { headers } = await getOver(socket, true)
  expect(headers['x-forwarded-for']).toBe('127.0.0.9')
  for (const { service } of [last, middle]) expect(service.counters.badHeads).toBe(0)
  for (const { service } of [middle, first])
    expect(service.pools.backends).toMatchObject([{ state: 'up', failures: 0 }])
})
