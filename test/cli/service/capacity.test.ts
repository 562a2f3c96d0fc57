import { writeFileSync } from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Backend, connect, type Peer } from '../../helpers/net.ts'
import { expectNoWarnings, GET, OK } from '../../helpers/proxy.ts'
import { LINE } from '../../helpers/proxy-header.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { certificate, connectTls } from '../../helpers/tls.ts'
import { Command } from '../command.ts'
import { configOf, endWith, get, type Started, startBackend, startService } from './support.ts'

expectNoWarnings()

const FULL = 'max-connections: the limit of 2 is reached; new clients get a 503'

function certificateFiles(): { cert: string; key: string } {
  const directory = temporaryDirectory()
  const files = { cert: join(directory, 'c.pem'), key: join(directory, 'k.pem') }
  writeFileSync(files.cert, certificate().cert)
  writeFileSync(files.key, certificate().key)
  return files
}

/** Two clients whose requests wait at a backend that answers on demand. */
async function fill({ port }: Started, backend: Backend, open = connect): Promise<[client: Peer, peer: Peer][]> {
  const pairs: [Peer, Peer][] = []
  for (let i = 0; i < 2; i++) {
    const client = await open(port)
    client.write(GET)
    pairs.push([client, await backend.next()])
  }
  return pairs
}

test('answers 503 to clients beyond maxConnections at once, and serves the next one when a place is free', async () => {
  const backend = await Backend.start()
  const started = await startService({ backends: [{ port: backend.port }], maxConnections: 2, log: 'text' })
  const [[client, peer]] = (await fill(started, backend)) as [[Peer, Peer]]
  for (let i = 0; i < 3; i++) {
    expect(await endWith(started.port)).toMatch(
      /^HTTP\/1\.1 503 Service Unavailable\r\n[\s\S]*Retry-After: 1\r\n[\s\S]*\r\n\r\n503 Service Unavailable: too many connections\n$/,
    )
  }
  expect(await endWith(started.port, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\n\r\n$/)
  expect(backend.accepted).toBe(2)
  expect(started.said.all).toEqual([FULL])
  expect(started.service.counters).toMatchObject({ accepted: 2, open: 2, turnedAway: 4 })
  peer.end(OK)
  expect(await client.ended()).toBe(OK)
  client.end()
  await started.logged.untilCount(1)
  const next = await connect(started.port)
  next.write(GET)
  await backend.next()
})

test('counts clients over TLS, over a Unix socket and behind a PROXY header', async () => {
  const backend = await Backend.start()
  const secure = await startService({
    backends: [{ port: backend.port }],
    maxConnections: 2,
    tls: [certificateFiles()],
  })
  await fill(secure, backend, (port) => connectTls(port as number))
  const options = { port: secure.port, host: '127.0.0.1', ca: certificate().cert } as object
  expect((await get(options, {}, https.request)).status).toBe(503)
  expect(secure.service.counters).toMatchObject({ turnedAway: 1, handshakeFailures: 0 })

  const path = join(temporaryDirectory(), 'x.sock')
  const announced = await startService({
    listen: [{ port: 0, host: '127.0.0.1' }, { path }],
    backends: [{ port: backend.port }],
    maxConnections: 2,
    proxyProtocol: ['127.0.0.1', 'unix'],
  })
  for (let i = 0; i < 2; i++) {
    const client = await connect(announced.port)
    client.write(LINE + GET)
    await backend.next()
  }
  expect(await endWith(announced.port, LINE + GET)).toMatch(/^HTTP\/1\.1 503 /)
  const unix = net.connect(path)
  unix.end(LINE + GET)
  expect(Buffer.concat(await unix.toArray()).toString()).toMatch(/^HTTP\/1\.1 503 /)
})

test('silent refused clients delay neither the others nor the end', async () => {
  const started = await startService({ backends: [await startBackend()], maxConnections: 2 })
  const places = [await connect(started.port), await connect(started.port)]
  // More than are answered at a time. The others are reset.
  const silent = await Promise.all(Array.from({ length: 100 }, () => connect(started.port)))
  const reset = silent.map((one) =>
    one.ended().then(
      () => false,
      () => true,
    ),
  )
  const last = await connect(started.port)
  await expect(last.ended()).rejects.toThrow('ECONNRESET')
  expect(started.service.counters.turnedAway).toBe(101)
  await started.service.drain(0)
  await Promise.all([...reset, ...places.map((one) => one.ended().catch(() => undefined))])
})

test('a reload changes maxConnections and keeps all connections', async () => {
  const backend = await Backend.start()
  const given = { backends: [{ port: backend.port }] }
  const started = await startService(given)
  const [[client, peer]] = (await fill(started, backend)) as [[Peer, Peer]]
  const listen = [{ port: 0, host: '127.0.0.1' }]
  await started.service.reload(configOf({ ...given, listen, maxConnections: 1 }))
  expect(await endWith(started.port)).toMatch(/^HTTP\/1\.1 503 /)
  peer.end(OK)
  expect(await client.ended()).toBe(OK)
  await started.service.reload(configOf({ ...given, listen }))
  const next = await connect(started.port)
  next.write(GET)
  await backend.next()
})

test('workers share maxConnections', async () => {
  const backend = await Backend.start()
  const args = ['--listen', '127.0.0.1:0', '--workers', '2', '--max-connections', '4', `127.0.0.1:${backend.port}`]
  const command = Command.start(...args)
  const port = await command.port()
  await command.said('2 workers serve')
  const answers: string[] = []
  // However the kernel distributes them, most exceed each worker's share.
  await new Promise<void>((resolve) => {
    for (let i = 0; i < 24; i++) {
      const socket = net.connect(port, '127.0.0.1', () => void socket.write(GET))
      onTestFinished(() => void socket.destroy())
      socket.on('error', () => undefined)
      socket.once('data', (bytes) => answers.push(String(bytes)) === 20 && resolve())
    }
  })
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 503 /)
  expect(backend.accepted).toBeLessThanOrEqual(4)
})

test('the idle time-out ends a stalled upload, and a WebSocket whose backend does not read', async () => {
  const backend = await Backend.start()
  const { port, logged } = await startService({
    backends: [{ port: backend.port }],
    limits: { idleTimeout: 1_000 },
    log: 'text',
  })
  const upload = await connect(port)
  upload.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx')
  await expect(upload.ended()).rejects.toThrow('ECONNRESET')
  const socket = await connect(port)
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await backend.next()
  const peer = await backend.next()
  peer.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await socket.until('\r\n\r\n')
  peer.socket.pause()
  // Wait until nothing moves. The kernel's probes would not find a client that vanishes now.
  const full = Buffer.alloc(1 << 20)
  const write = () => void (socket.socket.destroyed || socket.socket.write(full, write))
  write()
  await socket.closed()
  await logged.untilCount(2)
  for (const line of logged.all) expect(line).toMatch(/ IDLE_TIMEOUT(?:,\w+)?$/)
})
