import { EventEmitter, once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { createServer } from '../../src/index.ts'
import { noise, readAll, sha256 } from '../helpers/bytes.ts'
import { digest, digestOf, echoStepwise, keepAliveAgent, send } from '../helpers/http.ts'
import { MARK, MODES, proxyTo } from '../helpers/modes.ts'
import { connect, listen, Peer } from '../helpers/net.ts'
import { turn, turns } from '../helpers/turns.ts'

const MIB = 2 ** 20
const host = '127.0.0.1'

// None of these servers listens: all they ever get comes from badass.
describe.each(MODES)('a server in the same process, $mode', (mode) => {
  test('gets every request of a kept-alive connection, and the client its answers, unmodified', async () => {
    const { proxy, port } = await proxyTo(mode, { server: http.createServer(digest) })
    const agent = keepAliveAgent(1)
    for (const size of [0, 1, 5 * MIB, 3]) {
      const answer = await send(http.request({ port, host, agent, method: 'POST' }), noise(size))
      expect([size, JSON.parse(String(answer.body))]).toEqual([size, digestOf(noise(size))])
      expect(answer.headers[MARK]).toBeUndefined()
    }
    expect(proxy.counters).toMatchObject({ accepted: 1, connected: 1 })
  })

  test('gets requests pipelined with their bodies in one write', async () => {
    const { port } = await proxyTo(mode, { server: http.createServer(digest) })
    const bodies = Array.from({ length: 20 }, (_, i) => noise(i * 5_000, i))
    const client = await connect(port)
    const requests = bodies.map((body, i) => [
      Buffer.from(`POST /${i} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n`),
      Buffer.from(i === bodies.length - 1 ? 'Connection: close\r\n\r\n' : '\r\n'),
      body,
    ])
    client.write(Buffer.concat(requests.flat()))
    const answers = [...(await client.ended()).matchAll(/\{.*?\}/g)].map(([json]) => JSON.parse(json))
    expect(answers).toEqual(bodies.map(digestOf))
  })

  test('echoes an upload while it still comes', async () => {
    const server = http.createServer((request, response) => {
      request.pipe(response)
    })
    const { port } = await proxyTo(mode, { server })
    const echoes = await echoStepwise({ port, host }, 10)
    expect(echoes.join('')).toBe('0123456789')
  })

  test('runs ws: messages of 1 byte to 1 MiB, and the close', async () => {
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

  test('sees at once that a client has gone', async () => {
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

  test('may be an HTTP/2 server', async () => {
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

  test('may be a plain net.Server that pipes', async () => {
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

  test('may take the connection without a listener for its end: a client that ends is ended', async () => {
    const server = net.createServer((socket) => socket.resume())
    const { proxy, port } = await proxyTo(mode, { server })
    const client = await connect(port)
    client.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.ended()
    while (proxy.active.size > 0) await turn()
  })

  test('may begin to read late: nothing is lost', async () => {
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

test('lookup may send some to a server in the process, and others on', async () => {
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
