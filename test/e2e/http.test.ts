import assert from 'node:assert'
import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { noise, readAll, sha256, slices } from '../helpers/bytes.ts'
import {
  answerOf,
  digest,
  digestOf,
  echoStepwise,
  expectPipelined,
  keepAliveAgent,
  send,
  serve,
} from '../helpers/http.ts'
import { MARK, MODES } from '../helpers/modes.ts'
import { connect } from '../helpers/net.ts'
import { turn } from '../helpers/turns.ts'

const MIB = 2 ** 20

describe.each(MODES)("Node's http, $mode", (mode) => {
  test('sends all requests of a keep-alive connection to the backend of the first', async () => {
    const { proxy, port } = await serve(mode, (request, response) => {
      response.setHeader('X-Port', request.socket.remotePort!)
      response.end(`${request.method} ${request.url}`)
    })
    const agent = keepAliveAgent(1)
    const answers = []
    for (const path of ['/first', '/second?a=1', '/third']) {
      answers.push(await send(http.get({ port, path, agent, host: '127.0.0.1' })))
    }

    expect(answers.map(({ body }) => body.toString())).toEqual(['GET /first', 'GET /second?a=1', 'GET /third'])
    expect(new Set(answers.map(({ headers }) => headers['x-port'])).size).toBe(1)
    expect(proxy.counters).toMatchObject({ accepted: 1, connected: mode.isEvery ? 3 : 1 })
    const mark = mode.isMarked ? 'was here' : undefined
    const later = mode.isEvery ? mark : undefined
    expect(answers.map(({ headers }) => headers[MARK])).toEqual([mark, later, later])
  })

  test.each([0, 1, 16_384, 65_537, 5 * MIB])(
    'delivers a body of %i bytes with a Content-Length, and chunked',
    async (length) => {
      const { port } = await serve(mode, digest)
      const agent = keepAliveAgent(1)
      const body = noise(length)
      const options = { port, agent, host: '127.0.0.1', method: 'POST' }

      const sized = await send(http.request({ ...options, headers: { 'Content-Length': length } }), body)
      const chunked = await send(
        http.request({ ...options, headers: { 'Transfer-Encoding': 'chunked' } }),
        Readable.from(slices(body, 10_007)),
      )

      expect(JSON.parse(sized.body.toString())).toEqual(digestOf(body))
      expect(JSON.parse(chunked.body.toString())).toEqual(digestOf(body))
    },
  )

  test('delivers a response of 5 MiB with a Content-Length, chunked, and ended by its connection', async () => {
    const body = noise(5 * MIB)
    const { port } = await serve(mode, (request, response) => {
      if (request.url === '/sized') response.setHeader('Content-Length', body.length)
      if (request.url === '/closed') response.useChunkedEncodingByDefault = response.shouldKeepAlive = false
      if (request.url === '/sized') response.end(body)
      else Readable.from(slices(body, 10_007)).pipe(response)
    })
    for (const path of ['/sized', '/chunked', '/closed']) {
      const answer = await send(http.get({ port, path, host: '127.0.0.1' }))
      expect([path, sha256(answer.body)]).toEqual([path, sha256(body)])
      expect([path, answer.headers['transfer-encoding']]).toEqual([path, path === '/chunked' ? 'chunked' : undefined])
    }
  })

  test('lets a backend echo an upload before it is complete', async () => {
    const { port } = await serve(mode, (request, response) => {
      request.pipe(response)
    })
    const echoes = await echoStepwise({ port, host: '127.0.0.1' }, 20)
    expect(echoes).toEqual(Array.from({ length: 20 }, (_, i) => String(i)))
  })

  test('continues a connection after responses without a body (HEAD, 204, 304)', async () => {
    const { proxy, port } = await serve(mode, (request, response) => {
      const status = Number(request.url!.slice(1))
      response.writeHead(status, status === 204 ? {} : { 'Content-Length': 5, ETag: '"x"' })
      response.end(status === 200 ? 'hello' : undefined)
    })
    const options = { port, agent: keepAliveAgent(1), host: '127.0.0.1' }
    const head = await send(http.request({ ...options, path: '/200', method: 'HEAD' }))
    const noContent = await send(http.get({ ...options, path: '/204' }))
    const notModified = await send(http.get({ ...options, path: '/304' }))
    const whole = await send(http.get({ ...options, path: '/200' }))

    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0])
    expect([noContent.status, noContent.body.length]).toEqual([204, 0])
    expect([notModified.status, notModified.headers['content-length'], notModified.body.length]).toEqual([304, '5', 0])
    expect(whole.body.toString()).toBe('hello')
    expect(proxy.counters.accepted).toBe(1)
  })

  test('passes trailers both ways', async () => {
    const { port } = await serve(mode, (request, response) => {
      response.writeHead(200, { Trailer: 'X-Digest' })
      response.write('body')
      readAll(request).then((body) => {
        response.addTrailers({ 'X-Digest': sha256(body), 'X-Theirs': request.trailers['x-mine'] ?? 'none' })
        response.end()
      }, assert.ifError)
    })
    const headers = { 'Transfer-Encoding': 'chunked', Trailer: 'X-Mine' }
    const request = http.request({ port, host: '127.0.0.1', method: 'PUT', headers })
    request.addTrailers({ 'X-Mine': 'yes' })
    const answer = await send(request, 'upload')
    expect(answer.trailers).toEqual({ 'x-digest': sha256('upload'), 'x-theirs': 'yes' })
  })

  test('answers requests in order that are pipelined with their bodies in one write', async () => {
    const { port } = await serve(mode, digest)
    await expectPipelined(port)
  })

  test('gives each of 200 concurrent requests over 20 connections its own answer', async () => {
    const { proxy, port } = await serve(mode, digest)
    const agent = keepAliveAgent(20)
    const bodies = Array.from({ length: 200 }, (_, i) => noise((i * 7_919) % 100_000, i))
    const answers = await Promise.all(
      bodies.map((body) => send(http.request({ port, agent, host: '127.0.0.1', method: 'POST' }), body)),
    )
    expect(answers.map(({ body }) => JSON.parse(body.toString()))).toEqual(bodies.map(digestOf))
    expect(proxy.counters.accepted).toBe(20)
  })

  test('passes 100 and 103 unmodified before the final response, which is modified', async () => {
    const server = http.createServer().on('checkContinue', (request, response) => {
      response.writeContinue()
      readAll(request).then((body) => {
        response.writeEarlyHints({ link: '</a.css>; rel=preload' })
        response.end(body)
      }, assert.ifError)
    })
    const { port } = await serve(mode, server)
    const headers = { Expect: '100-continue' }
    const request = http.request({ port, host: '127.0.0.1', method: 'POST', headers })
    const seen: [number, unknown][] = []
    request.on('information', ({ statusCode, headers }) => seen.push([statusCode, headers[MARK]]))
    request.on('continue', () => request.end('after the 100'))
    request.flushHeaders()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const answer = await answerOf(response)
    expect(answer.body.toString()).toBe('after the 100')
    expect(answer.headers[MARK]).toBe(mode.isMarked ? 'was here' : undefined)
    expect(seen).toEqual([
      [100, undefined],
      [103, undefined],
    ])
  })

  test('opens a tunnel after an upgrade and keeps the bytes behind either head', async () => {
    const server = http.createServer().on('upgrade', (request, socket, head) => {
      const { upgrade } = request.headers
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\nready${head}`)
      socket.pipe(socket)
    })
    const { port } = await serve(mode, server)
    const client = await connect(port)
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n+early')
    expect(await client.until('ready+early')).toMatch(/^HTTP\/1\.1 101 /)
    const blob = noise(MIB)
    const before = client.received.length
    client.write(blob)
    const all = await client.untilLength(before + blob.length)
    expect(sha256(all.subarray(before))).toBe(sha256(blob))
    client.end()
    await client.ended()
  })

  test("lets the client emit 'upgrade' with the bytes behind the 101", async () => {
    const server = http.createServer().on('upgrade', (_, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nfirst bytes')
      socket.pipe(socket)
    })
    const { port } = await serve(mode, server)
    const headers = { Connection: 'Upgrade', Upgrade: 'x' }
    const request = http.get({ port, host: '127.0.0.1', headers })
    const [response, socket, head] = (await once(request, 'upgrade')) as [http.IncomingMessage, net.Socket, Buffer]
    expect(head.toString()).toBe('first bytes')
    expect(response.headers[MARK]).toBe(mode.isMarked ? 'was here' : undefined)
    socket.end('last words')
    expect((await readAll(socket)).toString()).toBe('last words')
  })

  test('opens a tunnel after CONNECT', async () => {
    const server = http.createServer().on('connect', (request, socket) => {
      socket.write(`HTTP/1.1 200 Connected\r\n\r\nto ${request.url}`)
      socket.pipe(socket)
    })
    const { port } = await serve(mode, server)
    const headers = { Host: 'elsewhere.test:443' }
    const request = http.request({ port, host: '127.0.0.1', method: 'CONNECT', path: 'elsewhere.test:443', headers })
    request.end()
    const [response, socket, head] = (await once(request, 'connect')) as [http.IncomingMessage, net.Socket, Buffer]
    expect(response.statusCode).toBe(200)
    expect(head.toString()).toBe('to elsewhere.test:443')
    socket.end('through')
    expect((await readAll(socket)).toString()).toBe('through')
  })

  test('aborts a request at the backend when the client aborts it', async () => {
    const server = http.createServer((_, response) => {
      response.on('close', () => server.emit('gone'))
      response.write('begin')
    })
    const { proxy, port } = await serve(mode, server)
    const gone = once(server, 'gone')
    const request = http.get({ port, host: '127.0.0.1' })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    await once(response, 'data')
    request.destroy()
    await gone
    while (proxy.active.size > 0) await turn()
  })

  test('breaks off a response at the client when the backend breaks it off', async () => {
    const { port } = await serve(mode, (_, response) => {
      response.writeHead(200, { 'Content-Length': 100 })
      response.write('begin', () => response.socket!.resetAndDestroy())
    })
    const request = http.get({ port, host: '127.0.0.1' })
    request.on('error', () => undefined) // newer Nodes also emit it on the request after its response has started
    const broken = (async () => answerOf(((await once(request, 'response')) as [http.IncomingMessage])[0]))()
    await expect(broken).rejects.toMatchObject({ code: 'ECONNRESET' })
  })
})
