import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import type { Dest } from '../../src/index.ts'
import { noise, sha256 } from '../helpers/bytes.ts'
import { backendEndsFirst, clientEndsFirst } from '../helpers/half-close.ts'
import { digest, digestOf, keepAliveAgent, send } from '../helpers/http.ts'
import { MARK, MODES, type Mode, proxyTo } from '../helpers/modes.ts'
import { Backend, listen, Peer } from '../helpers/net.ts'
import { GET } from '../helpers/proxy.ts'
import { certificate } from '../helpers/tls.ts'

const MIB = 2 ** 20
const host = '127.0.0.1'
const { key, cert } = certificate()
const ca = cert

/** The sides with TLS: client to badass, badass to backend, or both. */
const SIDES = [
  { sides: 'the client', isFront: true, isBack: false },
  { sides: 'the backend', isFront: false, isBack: true },
  { sides: 'both', isFront: true, isBack: true },
]
type Sides = (typeof SIDES)[number]

const CASES = MODES.flatMap((mode) => SIDES.map((sides) => ({ ...mode, ...sides })))

describe.each(CASES)('TLS with $sides, $mode', (it) => {
  test('serves requests of a keep-alive client with bodies of 5 MiB', async () => {
    const { port } = await start(it, digest)
    const agent = it.isFront ? new https.Agent({ keepAlive: true, maxSockets: 1 }) : keepAliveAgent(1)
    onTestFinished(() => agent.destroy())
    for (const [i, size] of [0, 1, 5 * MIB].entries()) {
      const options = { port, host, agent, ca, method: 'POST' }
      const request = it.isFront ? https.request(options) : http.request(options)
      const answer = await send(request, noise(size))
      expect([size, JSON.parse(String(answer.body))]).toEqual([size, digestOf(noise(size))])
      expect([size, answer.headers[MARK]]).toEqual([
        size,
        it.isMarked && (it.isEvery || i === 0) ? 'was here' : undefined,
      ])
    }
  })

  test('passes a response of 5 MiB that ends with the connection', async () => {
    const { port } = await start(it, (_, response) => {
      response.useChunkedEncodingByDefault = false
      response.end(noise(5 * MIB))
    })
    const options = { port, host, ca, agent: false }
    const answer = await send(it.isFront ? https.get(options) : http.get(options))
    expect(sha256(answer.body)).toBe(sha256(noise(5 * MIB)))
  })

  test('echoes 1 MiB over a WebSocket and closes it', async () => {
    const backend = it.isBack ? https.createServer({ key, cert }) : http.createServer()
    const server = new WebSocketServer({ server: backend })
    server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
    const { port } = await start(it, backend)
    const socket = new WebSocket(`${it.isFront ? 'wss' : 'ws'}://localhost:${port}`, { ca, host })
    onTestFinished(() => socket.terminate())
    await once(socket, 'open')
    socket.send(noise(MIB))
    expect(sha256((await once(socket, 'message'))[0])).toBe(sha256(noise(MIB)))
    socket.close(1000, 'done')
    const [code, reason] = await once(socket, 'close')
    expect([code, String(reason)]).toEqual([1000, 'done'])
  })

  test('passes on the FIN of a client, which gets the whole response', async () => {
    const { port, backend } = await startRaw(it)
    const client = await connectTo(port, it)
    await clientEndsFirst(client, backend)
  })

  test.skipIf(it.isEvery)('passes on the FIN of a backend, which gets the whole request', async () => {
    const { port, backend } = await startRaw(it)
    const client = await connectTo(port, it)
    await backendEndsFirst(client, backend)
  })

  test('ends a side whose peer is gone, and drops its last bytes', async () => {
    const { port, backend } = await startRaw(it)
    for (const side of ['client', 'backend']) {
      const client = await connectTo(port, it)
      client.write(GET)
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      peer.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345')
      await client.until('12345')
      const [leaving, other] = side === 'client' ? [client, peer] : [peer, client]
      leaving.socket.destroy()
      // The response was cut short, so a proxy that follows its framing resets the client.
      await other.ended().catch((error: Error) => expect(it.isEvery && side === 'backend', error.message).toBe(true))
      other.end('last words')
      await other.closed()
    }
  })

  test('closes the backend after a client reset, with a reset if its connection has no TLS', async () => {
    const { port, backend } = await startRaw(it)
    const raw = net.connect({ port, host })
    const client = new Peer(it.isFront ? tls.connect({ socket: raw, ca, servername: 'localhost' }) : raw)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    raw.resetAndDestroy()
    if (it.isBack) {
      await peer.ended().catch(() => peer.closed())
    } else {
      await peer.closed()
      expect(peer.error?.code).toBe('ECONNRESET')
    }
  })
})

/** A backend and a proxy in front of it, with TLS on the chosen sides. */
async function start(it: Mode & Sides, backend: http.RequestListener | net.Server) {
  const listener = typeof backend === 'function' ? backend : undefined
  const made = it.isBack ? https.createServer({ key, cert }, listener) : http.createServer(listener)
  const dest: Dest = {
    port: await listen(typeof backend === 'function' ? made : backend),
    host,
    ...(it.isBack && { tls: { ca } }),
  }
  if (!it.isFront) return proxyTo(it, dest)
  return { port: await listen(tls.createServer({ key, cert }, it.listener(dest))) }
}

/** The same with a backend that the test controls byte by byte. */
async function startRaw(it: Mode & Sides) {
  const backend = it.isBack
    ? new Backend((options, accept) => tls.createServer({ ...options, key, cert }, accept))
    : new Backend()
  const { port } = await start(it, backend.server)
  return { port, backend }
}

/** Connects a client that the test controls byte by byte. */
async function connectTo(port: number, it: Sides): Promise<Peer> {
  const half = { allowHalfOpen: true }
  const socket = it.isFront ? tls.connect({ port, host, ca, ...half }) : net.connect({ port, host, ...half })
  onTestFinished(() => {
    socket.destroy()
  })
  const peer = new Peer(socket)
  await once(socket, it.isFront ? 'secureConnect' : 'connect')
  return peer
}
