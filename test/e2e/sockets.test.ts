import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { type ClientInfo, createServer, type Dest } from '../../src/index.ts'
import { noise, sha256 } from '../helpers/bytes.ts'
import { backendEndsFirst, clientEndsFirst } from '../helpers/half-close.ts'
import { digest, digestOf, keepAliveAgent, send } from '../helpers/http.ts'
import { MARK, MODES, type Mode } from '../helpers/modes.ts'
import { Backend, connect, deadPort, listen } from '../helpers/net.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { turn } from '../helpers/turns.ts'

const MIB = 2 ** 20
const _GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

type Kind = 'unix' | 'ipv6' | 'ipv4'
const SIDES: { front: Kind; back: Kind }[] = [
  { front: 'unix', back: 'unix' },
  { front: 'unix', back: 'ipv4' },
  { front: 'ipv4', back: 'unix' },
  { front: 'ipv6', back: 'ipv6' },
  { front: 'ipv6', back: 'ipv4' },
  { front: 'ipv4', back: 'ipv6' },
]
const CASES = MODES.flatMap((mode) => SIDES.map((sides) => ({ ...mode, ...sides })))

describe.each(CASES)('$front to $back, $mode', (it) => {
  test('serves requests of a keep-alive client with bodies of 2 MiB', async () => {
    const { proxy, to } = await start(it, http.createServer(digest))
    const agent = keepAliveAgent(1)
    for (const [i, size] of [0, 1, 2 * MIB].entries()) {
      const answer = await send(http.request({ ...httpOptions(to), agent, method: 'POST' }), noise(size))
      expect([size, JSON.parse(String(answer.body))]).toEqual([size, digestOf(noise(size))])
      expect([size, answer.headers[MARK]]).toEqual([
        size,
        it.isMarked && (it.isEvery || i === 0) ? 'was here' : undefined,
      ])
    }
    expect(proxy.counters).toMatchObject({ accepted: 1, connected: it.isEvery ? 3 : 1 })
  })

  test('echoes 1 MiB over a WebSocket and closes it', async () => {
    const backend = http.createServer()
    const server = new WebSocketServer({ server: backend })
    server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
    const { proxy, to } = await start(it, backend)
    const url =
      'path' in to ? `ws+unix:${to.path}:/` : `ws://${net.isIPv6(to.host!) ? `[${to.host}]` : to.host}:${to.port}`
    const socket = new WebSocket(url)
    onTestFinished(() => socket.terminate())
    await once(socket, 'open')
    socket.send(noise(MIB))
    expect(sha256((await once(socket, 'message'))[0])).toBe(sha256(noise(MIB)))
    socket.close(1000)
    await once(socket, 'close')
    await proxy.drain()
  })

  test('passes on the FIN of a client, which gets the whole response', async () => {
    const backend = new Backend()
    const { proxy, to } = await start(it, backend.server)
    const client = await connect(to)
    const peer = await clientEndsFirst(client, backend)
    await Promise.all([client.closed(), peer.closed()])
    while (proxy.active.size > 0) await turn()
  })

  test.skipIf(it.isEvery)('passes on the FIN of a backend, which gets the whole request', async () => {
    const backend = new Backend()
    const { proxy, to } = await start(it, backend.server)
    const client = await connect(to)
    const peer = await backendEndsFirst(client, backend)
    await Promise.all([client.closed(), peer.closed()])
    while (proxy.active.size > 0) await turn()
  })

  test('answers 502 if the backend does not listen', async () => {
    const dest: Dest =
      it.back === 'unix'
        ? { path: join(temporaryDirectory(), 'none') }
        : { port: await deadPort(), host: HOSTS[it.back] }
    const { to } = await startAt(it, dest)
    const answer = await send(http.request({ ...httpOptions(to), method: 'POST' }), noise(MIB))
    expect([answer.status, String(answer.body)]).toEqual([502, '502 Bad Gateway: CONNECT_FAILED\n'])
  })
})

test.each([
  ['ipv4', { transport: 'tcp', remoteAddress: '127.0.0.1', encrypted: false }],
  ['ipv6', { transport: 'tcp', remoteAddress: '::1', encrypted: false }],
  [
    'unix',
    { transport: 'unix', remoteAddress: undefined, remotePort: undefined, localPort: undefined, encrypted: false },
  ],
] as const)('lookup is told who the client is, over %s', async (kind, expected) => {
  const seen: ClientInfo[] = []
  const dest = { port: await listen(http.createServer(digest)), host: '127.0.0.1' }
  const proxy = createServer((_, client) => {
    seen.push(client)
    return dest
  })
  const to = await listenAs(kind, proxy)
  await send(http.get(httpOptions(to)))
  expect(seen).toMatchObject([expected])
  if (kind !== 'unix') expect(seen[0]!.localPort).toBe((to as net.TcpNetConnectOpts).port)
})

test('the proxy connects to localhost if lookup names no host', async () => {
  const port = await listen(http.createServer(digest))
  const answer = await send(http.get({ port: await listen(createServer(() => ({ port }))), host: '127.0.0.1' }))
  expect(answer.status).toBe(200)
})

const HOSTS = { ipv4: '127.0.0.1', ipv6: '::1' }

async function listenAs(kind: Kind, server: net.Server): Promise<net.TcpNetConnectOpts | { path: string }> {
  if (kind !== 'unix') return { port: await listen(server, { port: 0, host: HOSTS[kind] }), host: HOSTS[kind] }
  const path = join(temporaryDirectory(), 's')
  await listen(server, { path })
  return { path }
}

/** Starts a backend and a proxy in front of it. `it` says where each listens. */
async function start(it: Mode & { front: Kind; back: Kind }, backend: net.Server) {
  return startAt(it, (await listenAs(it.back, backend)) as Dest)
}

async function startAt(it: Mode & { front: Kind }, dest: Dest) {
  const proxy = it.create(dest)
  return { proxy, to: await listenAs(it.front, proxy) }
}

function httpOptions(to: net.TcpNetConnectOpts | { path: string }): http.RequestOptions {
  return 'path' in to ? { socketPath: to.path } : { port: to.port, host: to.host! }
}
