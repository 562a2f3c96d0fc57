import { writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Backend, connect, Peer } from '../../helpers/net.ts'
import { expectNoWarnings, GET } from '../../helpers/proxy.ts'
import { LINE } from '../../helpers/proxy-header.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate, connectTls } from '../../helpers/tls.ts'
import { Command } from '../command.ts'
import { configOf, endWith, get, type Started, startBackend, startService } from './support.ts'

expectNoWarnings()

const host = '127.0.0.1'
const LIMITED =
  /^HTTP\/1\.1 429 Too Many Requests\r\n[\s\S]*Retry-After: 1\r\n[\s\S]*\r\n\r\n429 Too Many Requests: too many connections from this address\n$/
const OVER = (client: string) => `max-connections-per-client: ${client} has reached the limit of 2 and gets a 429`

function certificateFiles(): { cert: string; key: string } {
  const directory = temporaryDirectory()
  const files = { cert: join(directory, 'c.pem'), key: join(directory, 'k.pem') }
  writeFileSync(files.cert, certificate().cert)
  writeFileSync(files.key, certificate().key)
  return files
}

function connectFrom(localAddress: string, port: number): Peer {
  const socket = net.connect({ port, host, localAddress })
  onTestFinished(() => void socket.destroy())
  return new Peer(socket)
}

/** Resolves when the service has closed its side of all connections. */
async function untilOpen({ service }: Started, open: number): Promise<void> {
  while (service.counters.open !== open) await new Promise((resolve) => setImmediate(resolve))
}

test('a client over its limit gets a 429, and all others are served', async () => {
  const started = await startService({ backends: [await startBackend()], maxConnectionsPerClient: 2, log: 'text' })
  const { port, service, said } = started
  // They send nothing, and count from accept on.
  const silent = [connectFrom(host, port), connectFrom(host, port)]
  await untilOpen(started, 2)
  for (let i = 0; i < 3; i++) expect(await endWith(port)).toMatch(LIMITED)
  const other = connectFrom('127.0.0.2', port)
  other.write(GET)
  expect(await other.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
  expect(said.all).toEqual([OVER(host)])
  expect(service.counters).toMatchObject({ limitedConnections: 3, limitedRequests: 0, turnedAway: 0 })
  silent[0]!.socket.resetAndDestroy()
  await untilOpen(started, 2)
  expect((await get(port)).status).toBe(200)
})

test('counts clients over TLS before their handshake', async () => {
  const started = await startService({
    backends: [await startBackend()],
    maxConnectionsPerClient: 2,
    tls: [certificateFiles()],
  })
  const { port, service } = started
  const options = { port, host, ca: certificate().cert } as object
  const [secure, silent] = [await connectTls(port), await connect(port)]
  while ((await get(options, {}, https.request)).status !== 429);
  expect(service.counters.handshakeFailures).toBe(0)
  secure.socket.destroy()
  silent.socket.destroy()
  while ((await get(options, {}, https.request)).status !== 200);
})

test.each([false, true])('counts the client of a PROXY header, and not the proxy: TLS %s', async (isSecure) => {
  const started = await startService({
    backends: [await startBackend()],
    maxConnectionsPerClient: 2,
    proxyProtocol: [host],
    tls: isSecure ? [certificateFiles()] : [],
  })
  const { port, service, said } = started
  const ask = (line: string) => {
    const createConnection = () => {
      const socket = net.connect(port, host)
      socket.write(line)
      return socket
    }
    if (!isSecure)
      return get({}, {}, ((options: object) =>
        http.request({ ...options, agent: undefined, createConnection })) as never)
    return get({ ca: certificate().cert } as object, {}, ((options: object) =>
      https.request({ ...options, agent: undefined, socket: createConnection() } as object)) as never)
  }
  // Nothing follows the header: these are clients all the same.
  const held = [connectFrom(host, port), connectFrom(host, port)]
  for (const one of held) await one.flush(LINE)
  while ((await ask(LINE)).status !== 429);
  expect(said.all).toEqual([OVER('192.0.2.1')])
  for (let i = 2; i < 6; i++) expect((await ask(LINE.replace('192.0.2.1', `192.0.2.${i}`))).status).toBe(200)
  for (let i = 0; i < 3; i++) expect((await ask('PROXY UNKNOWN\r\n')).status).toBe(200)
  held[0]!.socket.destroy()
  while ((await ask(LINE)).status !== 200);
  // A header that is refused is reported as without the limit.
  const bad = connectFrom(host, port)
  bad.write(GET)
  await bad.closed()
  expect(service.counters.badHeads).toBe(1)
})

test('a drain and a stop wait for no client whose PROXY header is awaited', async () => {
  const started = await startService({
    backends: [await startBackend()],
    maxConnectionsPerClient: 2,
    proxyProtocol: [host],
  })
  const [silent, partial] = [await connect(started.port), await connect(started.port)]
  await partial.flush('PROXY ')
  const late = await connect(started.port)
  await late.flush('PROXY')
  const over = [silent, partial].map((client) => client.ended().catch(() => undefined))
  const drained = started.service.drain()
  late.write(`${LINE.slice(5)}${GET}`)
  expect(await late.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
  late.end()
  await Promise.all([drained, ...over])
})

test('behind a trusted proxy, requests under way are counted for their clients', async () => {
  const backend = await Backend.start()
  const started = await startService({
    backends: [{ port: backend.port }],
    maxConnectionsPerClient: 2,
    requests: 'every',
    trust: [host],
    log: 'text',
  })
  const { port, service, said, logged } = started
  const ask = async (address: string) => {
    const peer = await connect(port)
    // The left entry is what the client itself has sent.
    peer.write(`GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${Math.random()}, ${address}\r\n\r\n`)
    return peer
  }
  const first = await ask('192.0.2.1')
  const served = await backend.next()
  const second = await ask('192.0.2.1')
  await backend.next()
  const third = await ask('192.0.2.1')
  expect(await third.until('address\n')).toMatch(/^HTTP\/1\.1 429 [\s\S]*Retry-After: 1\r\n/i)
  expect(await logged.until(' 429 ')).toContain('GET / HTTP/1.1')
  expect(said.all).toEqual([OVER('192.0.2.1')])
  await ask('192.0.2.2')
  await backend.next()
  // The answer frees a place, and its connection may ask again.
  served.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  await first.until('\r\n\r\n')
  third.write('GET /again HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n')
  expect(await served.until('/again')).toContain('GET /again')
  // So does a proxy that leaves.
  second.socket.resetAndDestroy()
  await logged.until('CLIENT_RESET')
  await ask('192.0.2.1')
  await backend.next()
  expect(service.counters).toMatchObject({ limitedConnections: 0, limitedRequests: 1 })
})

test('an upgraded connection behind a trusted proxy counts until it closes', async () => {
  const backend = await Backend.start()
  const started = await startService({
    backends: [{ port: backend.port }],
    maxConnectionsPerClient: 1,
    requests: 'every',
    trust: [host],
  })
  const fields = 'Host: a\r\nX-Forwarded-For: 192.0.2.1\r\n'
  const client = await connect(started.port)
  client.write(`GET / HTTP/1.1\r\n${fields}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
  const peer = await backend.next()
  peer.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await client.until('\r\n\r\n')
  expect(await endWith(started.port, `GET / HTTP/1.1\r\n${fields}\r\n`)).toMatch(/^HTTP\/1\.1 429 /)
  client.end()
  await peer.ended()
  peer.end()
  await untilOpen(started, 0)
  const next = await connect(started.port)
  next.write(`GET / HTTP/1.1\r\n${fields}\r\n`)
  await backend.next()
})

test('what is answered without a backend is counted until it is answered', async () => {
  const started = await startService({
    backends: [await startBackend()],
    maxConnectionsPerClient: 1,
    requests: 'every',
    trust: [host],
    redirectHttps: 443,
  })
  const proxy = await connect(started.port)
  for (let i = 0; i < 5; i++) {
    proxy.write(`GET /${i} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n`)
    await proxy.until(`https://a/${i}\r\n`)
  }
  proxy.write('GET / HTTP/1.1\r\nHost: \x01\r\n\r\n')
  expect(await proxy.ended()).not.toContain(' 429 ')
  expect(started.service.counters.limitedRequests).toBe(0)
})

test('a reload between PROXY header and handshake breaks no connection', async () => {
  const files = certificateFiles()
  const given = { backends: [await startBackend()], tls: [files], proxyProtocol: [host] }
  const started = await startService({ ...given, maxConnectionsPerClient: 2 })
  const listen = [{ port: 0, host }]
  for (const next of [given, { ...given, maxConnectionsPerClient: 2 }]) {
    const socket = net.connect(started.port, host)
    onTestFinished(() => void socket.destroy())
    await new Promise<void>((resolve) => socket.write('PROXY ', () => resolve()))
    // It has been accepted when a later one is served.
    const later = net.connect(started.port, host)
    later.write(LINE)
    const overTls = (under: net.Socket) =>
      get({ ca: certificate().cert } as object, {}, ((options: object) =>
        https.request({ ...options, agent: undefined, socket: under } as object)) as never)
    expect((await overTls(later)).status).toBe(200)
    await started.service.reload(configOf({ ...next, listen }))
    socket.write(LINE.slice('PROXY '.length))
    expect((await overTls(socket)).status).toBe(200)
  }
})

test('clients of a Unix socket are not limited', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  await startService({ listen: [{ path }], backends: [await startBackend()], maxConnectionsPerClient: 1 })
  const held = net.connect(path)
  onTestFinished(() => void held.destroy())
  for (let i = 0; i < 3; i++) expect((await get({ socketPath: path })).status).toBe(200)
})

test('a reload changes the limit and keeps all connections', async () => {
  const given = { backends: [await startBackend()] }
  const started = await startService({ ...given, maxConnectionsPerClient: 2 })
  const { port, service } = started
  const listen = [{ port: 0, host }]
  const held = connectFrom(host, port)
  await held.flush('GET /')
  await untilOpen(started, 1)
  expect((await get(port)).status).toBe(200)
  await service.reload(configOf({ ...given, listen, maxConnectionsPerClient: 1 }))
  expect(await endWith(port)).toMatch(LIMITED)
  await service.reload(configOf({ ...given, listen }))
  expect((await get(port)).status).toBe(200)
  held.write(' HTTP/1.1\r\nHost: a\r\n\r\n')
  expect(await held.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
})

test('each worker has its share', async () => {
  const backend = await Backend.start()
  const args = ['--listen', '127.0.0.1:0', '--workers', '2', '--max-connections-per-client', '4']
  const command = Command.start(...args, '--admin', '127.0.0.1:0', `127.0.0.1:${backend.port}`)
  const port = await command.port()
  await command.said('2 workers serve')
  const answers: string[] = []
  await new Promise<void>((resolve) => {
    for (let i = 0; i < 24; i++) {
      const client = connectFrom(host, port)
      client.write(GET)
      client.socket.once('data', (bytes) => answers.push(String(bytes)) === 20 && resolve())
    }
  })
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 429 /)
  expect(backend.accepted).toBeLessThanOrEqual(4)
  const other = connectFrom('127.0.0.2', port)
  other.write(GET)
  let peer = await backend.next()
  while (!peer.text.includes('\r\n\r\n')) peer = await backend.next()
  const [, admin] = /admin page on (\S+)#/.exec(command.stderr)!
  const metrics = await (await fetch(new URL('metrics', admin))).text()
  // However the kernel distributes them: a worker that got fewer than two refused fewer.
  expect(metrics).toMatch(/^badass_connections_limited_total 2[012]$/m)
})
