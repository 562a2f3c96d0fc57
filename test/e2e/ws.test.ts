import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import WebSocket, { type ServerOptions, WebSocketServer } from 'ws'
import { noise, readAll, sha256 } from '../helpers/bytes.ts'
import { MARK, MODES, type Mode, proxyTo } from '../helpers/modes.ts'
import { listen } from '../helpers/net.ts'

const SIZES = [1, 125, 126, 65_535, 65_536, 2 ** 20]

describe.each(MODES)('ws, $mode', (mode) => {
  test.each([false, true])('echoes messages of 1 byte to 1 MiB, permessage-deflate: %j', async (perMessageDeflate) => {
    const { url } = await startEcho(mode, { perMessageDeflate: perMessageDeflate && { threshold: 0 } })
    const socket = await open(url, { perMessageDeflate })
    expect(socket.extensions).toBe(perMessageDeflate ? 'permessage-deflate' : '')
    for (const size of SIZES) {
      const bytes = noise(size, size)
      socket.send(bytes)
      const [echo, isBinary] = await once(socket, 'message')
      expect([sha256(echo), isBinary]).toEqual([sha256(bytes), true])
      const text = 'ü'.repeat(size / 2)
      socket.send(text)
      const [echoOfText, isTextBinary] = await once(socket, 'message')
      expect([String(echoOfText) === text, isTextBinary]).toEqual([true, false])
    }
  })

  test('echoes messages of all sizes, sent at once, whole and in order', async () => {
    const { url } = await startEcho(mode)
    const socket = await open(url)
    const messages = Array.from({ length: 60 }, (_, i) => noise(SIZES[i % SIZES.length]!, i))
    const echoes: string[] = []
    const all = new Promise<void>((resolve) => {
      socket.on('message', (data: Buffer) => {
        echoes.push(sha256(data))
        if (echoes.length === messages.length) resolve()
      })
    })
    for (const message of messages) socket.send(message)
    await all
    expect(echoes).toEqual(messages.map(sha256))
  })

  test('delivers a fragmented message whole and answers a ping between its fragments', async () => {
    const { url } = await startEcho(mode)
    const socket = await open(url, { perMessageDeflate: false })
    const message = once(socket, 'message')
    const pong = once(socket, 'pong')
    socket.send('frag', { fin: false })
    socket.send('men', { fin: false })
    socket.ping('between')
    expect(String((await pong)[0])).toBe('between')
    socket.send('ted', { fin: true })
    expect(String((await message)[0])).toBe('fragmented')
  })

  test('passes pings and pongs both ways', async () => {
    const { server, url } = await startEcho(mode)
    const connected = once(server, 'connection') as Promise<[WebSocket]>
    const socket = await open(url)
    const [peer] = await connected
    const [pinged, ponged] = [once(socket, 'ping'), once(peer, 'pong')]
    peer.ping('from the backend')
    expect([String((await pinged)[0]), String((await ponged)[0])]).toEqual(['from the backend', 'from the backend'])
    const back = once(socket, 'pong')
    socket.ping()
    await back
  })

  test.each([
    [1000, ''],
    [1001, 'going away'],
    [4321, 'ünicode'],
  ])('the close code %i goes both ways', async (code, reason) => {
    const { proxy, server, url } = await startEcho(mode)
    for (const side of ['client', 'backend']) {
      const connected = once(server, 'connection') as Promise<[WebSocket]>
      const socket = await open(url)
      const [peer] = await connected
      const [closing, other] = side === 'client' ? [socket, peer] : [peer, socket]
      const closes = Promise.all([once(closing, 'close'), once(other, 'close')])
      closing.close(code, reason)
      for (const [gotCode, gotReason] of await closes) expect([gotCode, String(gotReason)]).toEqual([code, reason])
    }
    await proxy.drain()
    expect(proxy.counters.open).toBe(0)
  })

  test('closes a connection with 1006 at one side when the other breaks it off', async () => {
    const { server, url } = await startEcho(mode)
    for (const side of ['client', 'backend']) {
      const connected = once(server, 'connection') as Promise<[WebSocket]>
      const socket = await open(url)
      const [peer] = await connected
      const [breaking, other] = side === 'client' ? [socket, peer] : [peer, socket]
      const close = once(other, 'close')
      other.on('error', () => undefined)
      breaking.terminate()
      expect((await close)[0]).toBe(1006)
    }
  })

  test('delivers a message sent in one packet with the 101', async () => {
    const server = new WebSocketServer({ noServer: true })
    const backend = http.createServer().on('upgrade', (request, socket: net.Socket, head) => {
      socket.cork()
      server.handleUpgrade(request, socket, head, (peer) => peer.send('hello'))
      socket.uncork()
    })
    const { port } = await proxyTo(mode, { port: await listen(backend), host: '127.0.0.1' })
    const socket = new WebSocket(`ws://127.0.0.1:${port}`)
    const upgraded = once(socket, 'upgrade') as Promise<[http.IncomingMessage]>
    expect(String((await once(socket, 'message'))[0])).toBe('hello')
    expect((await upgraded)[0].headers[MARK]).toBe(mode.isMarked ? 'was here' : undefined)
    socket.terminate()
  })

  test('passes the status and body of a rejected upgrade to the client', async () => {
    const backend = http.createServer().on('upgrade', (_, socket: net.Socket) => {
      socket.end(
        'HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nWWW-Authenticate: Basic\r\nContent-Length: 9\r\n\r\nwho then?',
      )
    })
    const { port } = await proxyTo(mode, { port: await listen(backend), host: '127.0.0.1' })
    const socket = new WebSocket(`ws://127.0.0.1:${port}`)
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, http.IncomingMessage]
    expect([response.statusCode, response.headers['www-authenticate']]).toEqual([401, 'Basic'])
    expect(response.headers[MARK]).toBe(mode.isMarked ? 'was here' : undefined)
    expect(String(await readAll(response))).toBe('who then?')
  })

  test('lets both ends agree on a subprotocol', async () => {
    const { url } = await startEcho(mode, { handleProtocols: (offered) => (offered.has('b') ? 'b' : false) })
    const socket = await open(url, {}, ['a', 'b'])
    expect(socket.protocol).toBe('b')
  })

  test('gives each of 50 concurrent sockets its own echoes', async () => {
    const { proxy, url } = await startEcho(mode)
    const sockets = await Promise.all(Array.from({ length: 50 }, () => open(url)))
    expect(proxy.counters.open).toBe(50)
    await Promise.all(
      sockets.map(async (socket, i) => {
        for (let round = 0; round < 10; round++) {
          const bytes = noise(1 + ((i * 997 + round * 4_999) % 20_000), i * 10 + round)
          socket.send(bytes)
          const [echo] = await once(socket, 'message')
          expect(sha256(echo)).toBe(sha256(bytes))
        }
        const closed = once(socket, 'close')
        socket.close(1000)
        await closed
      }),
    )
    await proxy.drain()
    expect(proxy.counters).toMatchObject({ accepted: 50, connected: 50, open: 0 })
  })
})

/** A WebSocket server that echoes, and a proxy in front of it. */
async function startEcho(mode: Mode, options: ServerOptions = {}) {
  const backend = http.createServer()
  const server = new WebSocketServer({ ...options, server: backend })
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  const { proxy, port } = await proxyTo(mode, { port: await listen(backend), host: '127.0.0.1' })
  return { server, proxy, url: `ws://127.0.0.1:${port}` }
}

async function open(url: string, options: WebSocket.ClientOptions = {}, protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(url, protocols, options)
  onTestFinished(() => socket.terminate())
  await once(socket, 'open')
  return socket
}
