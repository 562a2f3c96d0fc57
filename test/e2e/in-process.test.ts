import { EventEmitter, once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { createServer } from '../../src/index.ts'
import { noise, readAll, sha256 } from '../helpers/bytes.ts'
import { digest, digestOf, echoStepwise, expectPipelined, keepAliveAgent, send } from '../helpers/http.ts'
import { MARK, MODES, proxyTo } from '../helpers/modes.ts'
import { connect, listen, Peer } from '../helpers/net.ts'
import { turn, turns } from '../helpers/turns.ts'

const MIB = 2 ** 20
const host = '127.0.0.1'

// None of these servers listens. All their connections come from badass.
describe.each(MODES)('a server in the same process, $mode', (mode) => {
  test('gets every request of a keep-alive connection', async () => {
    const { proxy, port } = await proxyTo(mode, { server: http.createServer(digest) })
    const agent = keepAliveAgent(1)
    for (const size of [0, 1, 5 * MIB, 3]) {
      const answer = await send(http.request({ port, host, agent, method: 'POST' }), noise(size))
      expect([size, JSON.parse(String(answer.body))]).toEqual([size, digestOf(noise(size))])
      expect(answer.headers[MARK]).toBe(mode.isEvery ? 'was here' : undefined)
    }
    expect(proxy.counters).toMatchObject({ accepted: 1, connected: mode.isEvery ? 4 : 1 })
  })

  test('answers requests that are pipelined with their bodies in one write', async () => {
    const { port } = await proxyTo(mode, { server: http.createServer(digest) })
    await expectPipelined(port)
  })

  test('echoes an upload before it is complete', async () => {
    const server = http.createServer((request, response) => {
      request.pipe(response)
    })
    const { port } = await proxyTo(mode, { server })
    const echoes = await echoStepwise({ port, host }, 10)
    expect(echoes.join('')).toBe('0123456789')
  })

  test('echoes WebSocket messages of 1 byte to 1 MiB, and closes', async () => {
    const server = http.createServer()
    const sockets = new WebSocketServer({ server, perMessageDeflate: true })
    sockets.on('connection', (socket) =>
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
    )
    const { proxy, port } = await proxyTo(mode, { server })
    const clients = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const socket = new WebSocket(`ws://${host}:${port}`)
        onTestFinished(() => socket.terminate())
        await once(socket, 'open')
        return socket
      }),
    )
    await Promise.all(
      clients.map(async (socket, i) => {
        for (const size of [1, 125, 126, 65_536, MIB]) {
          socket.send(noise(size, i))
          expect(sha256((await once(socket, 'message'))[0])).toBe(sha256(noise(size, i)))
        }
        socket.close(4000, 'done')
        const [code, reason] = await once(socket, 'close')
        expect([code, String(reason)]).toEqual([4000, 'done'])
      }),
    )
    await proxy.drain()
    expect(proxy.counters).toMatchObject({ accepted: 10, open: 0 })
  })

  test('notices at once that a client is gone', async () => {
    const server = http.createServer((_, response) => {
      response.on('close', () => server.emit('gone'))
      response.write('begin')
    })
    const { proxy, port } = await proxyTo(mode, { server })
    const gone = once(server, 'gone')
    const request = http.get({ port, host })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    await once(response, 'data')
    request.destroy()
    await gone
    while (proxy.active.size > 0) await turn()
  })

  test.skipIf(mode.isEvery)('can be an HTTP/2 server', async () => {
    const server = http2.createServer((request, response) => {
      readAll(request).then(
        (body) => response.end(JSON.stringify(digestOf(body))),
        () => response.stream.close(),
      )
    })
    const { port } = await proxyTo(mode, { server })
    const session = http2.connect(`http://${host}:${port}`)
    onTestFinished(() => session.destroy())
    const bodies = Array.from({ length: 10 }, (_, i) => noise(i * 50_000, i))
    const answers = await Promise.all(
      bodies.map(async (body) => {
        const stream = session.request({ ':method': 'POST' })
        stream.end(body)
        return JSON.parse(String(await readAll(stream)))
      }),
    )
    expect(answers).toEqual(bodies.map(digestOf))
  })

  test.skipIf(mode.isEvery)('can be a plain net.Server that pipes', async () => {
    const server = net.createServer((socket) => {
      socket.pipe(socket)
    })
    const { proxy, port } = await proxyTo(mode, { server })
    const client = await connect(port)
    const body = noise(MIB)
    const head = Buffer.from('POST / HTTP/1.1\r\nHost: a\r\n\r\n')
    client.write(Buffer.concat([head, body]))
    client.end('last words')
    await client.ended()
    expect(sha256(client.received)).toBe(sha256(Buffer.concat([head, body, Buffer.from('last words')])))
    await client.closed()
    while (proxy.active.size > 0) await turn()
  })

  test('can ignore the end of a connection, which then closes after the client ends', async () => {
    const server = net.createServer((socket) => socket.resume())
    const { proxy, port } = await proxyTo(mode, { server })
    const client = await connect(port)
    client.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    // If the proxy waits for a response, it resets the client.
    await (mode.isEvery ? client.closed() : client.ended())
    while (proxy.active.size > 0) await turn()
  })

  test.skipIf(mode.isEvery)('can start to read late without losing bytes', async () => {
    const taken = new EventEmitter()
    const server = net.createServer({ allowHalfOpen: true }, (socket) => taken.emit('socket', socket))
    const { port } = await proxyTo(mode, { server })
    const client = await connect(port)
    const accepted = once(taken, 'socket') as Promise<[net.Socket]>
    const bytes = Buffer.concat([Buffer.from('POST / HTTP/1.1\r\nHost: a\r\n\r\n'), noise(3 * MIB)])
    client.write(bytes)
    client.end()
    const [socket] = await accepted
    await turns(20)
    const peer = new Peer(socket)
    await peer.ended()
    expect(sha256(peer.received)).toBe(sha256(bytes))
    peer.end('and still an answer')
    expect(await client.ended()).toBe('and still an answer')
  })
})

test('lookup can choose a server of this process for some requests and a backend for others', async () => {
  const server = http.createServer((_, response) => response.end('inside'))
  const port = await listen(http.createServer((_, response) => response.end('outside')))
  const proxy = await listen(createServer((head) => (head.target === '/in' ? { server } : { port, host })))
  for (const [path, body] of [
    ['/in', 'inside'],
    ['/out', 'outside'],
  ]) {
    expect(String((await send(http.get({ port: proxy, host, agent: false, path: path! }))).body)).toBe(body)
  }
})
