import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import http2 from 'node:http2'
import type net from 'node:net'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { handler } from '../../src/index.ts'
import { connect, listen } from '../helpers/net.ts'
import { expectNoWarnings, GET, startProxy } from '../helpers/proxy.ts'
import { certificate, connectTls } from '../helpers/tls.ts'
import { turn } from '../helpers/turns.ts'

expectNoWarnings()

const HOOKS: [name: string, wait: () => void | Promise<void>][] = [
  ['at once', () => undefined],
  ['later', turn],
]

/** Answers with the digest of the body. */
const digest: http.RequestListener = async (request, response) => {
  const hash = createHash('sha256')
  for await (const chunk of request) {
    hash.update(chunk)
    await turn()
  }
  response.end(hash.digest('hex'))
}

describe('a Dest with an http.Server of this process', () => {
  for (const [when, wait] of HOOKS) {
    for (const size of [0, 1, 1000, 1 << 20]) {
      test(`gets a POST of ${size} bytes that is sent with its head; lookup ${when}`, async () => {
        const server = http.createServer(digest)
        const { port } = await startProxy(async () => {
          await wait()
          return { server }
        })
        const body = randomBytes(size)
        const head = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`
        const client = await connect(port)
        client.write(Buffer.concat([Buffer.from(head), body]))
        expect(await client.ended()).toContain(createHash('sha256').update(body).digest('hex'))
      })
    }
  }

  test('ends a stalled request after a listening event', async () => {
    const server = http.createServer({ requestTimeout: 300, headersTimeout: 200, connectionsCheckingInterval: 50 })
    onTestFinished(() => void server.close())
    server.emit('listening')
    const { port } = await startProxy(() => ({ server }))
    const body = await connect(port)
    body.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1')
    expect(await body.ended()).toMatch(/^HTTP\/1\.1 408 /)
  })

  test('ends a connection that is silent for longer than its time-out', async () => {
    const server = http.createServer().setTimeout(200)
    const { port } = await startProxy(() => ({ server }))
    const client = await connect(port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1')
    expect(await client.ended()).toBe('')
  })

  test('gets pipelined requests in order', async () => {
    const server = http.createServer((request, response) => response.end(`<${request.url}>`))
    const { port } = await startProxy(() => ({ server }))
    const client = await connect(port)
    const urls = Array.from({ length: 20 }, (_, i) => `/${i}`)
    client.write(urls.map((url) => `GET ${url} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))
    const text = await client.until('</19>')
    expect([...text.matchAll(/<(.*?)>/g)].map(([, url]) => url)).toEqual(urls)
  })

  test('gets an upgrade with the bytes after it', async () => {
    const server = http.createServer()
    server.on('upgrade', (_, socket: net.Socket, first: Buffer) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n')
      socket.write(first)
      socket.pipe(socket)
    })
    const { port } = await startProxy(() => ({ server }))
    const client = await connect(port)
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nframe 1,')
    client.write('frame 2.')
    expect(await client.until('frame 2.')).toMatch(/\r\n\r\nframe 1,frame 2\.$/)
    client.end()
    await client.ended()
  })

  test('does not call modify', async () => {
    const server = http.createServer((_, response) => response.end('plain'))
    const modify = () => {
      throw new Error('modify was asked')
    }
    const { port } = await startProxy({ lookup: () => ({ server }), modify })
    const client = await connect(port)
    client.write(GET)
    expect(await client.until('plain')).toMatch(/^HTTP\/1\.1 200 OK/)
  })

  test('works for an HTTP/2 server', async () => {
    const server = http2.createServer((request, response) => response.end(`${request.method} ${request.url}`))
    for (const [, wait] of HOOKS) {
      const { port } = await startProxy(async () => {
        await wait()
        return { server }
      })
      const session = http2.connect(`http://127.0.0.1:${port}`)
      onTestFinished(() => session.destroy())
      const stream = session.request({ ':path': '/two' }).setEncoding('utf8')
      let body = ''
      for await (const chunk of stream) body += chunk
      expect(body).toBe('GET /two')
      session.close()
    }
  })

  for (const size of [1000, 1 << 20]) {
    test(`behind handler() in a tls.Server, gets a POST of ${size} bytes`, async () => {
      const server = http.createServer(digest)
      const port = await listen(
        tls.createServer(
          certificate(),
          handler(() => ({ server })),
        ),
      )
      const client = await connectTls(port)
      const body = randomBytes(size)
      const head = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`
      client.write(Buffer.concat([Buffer.from(head), body]))
      expect(await client.ended()).toContain(createHash('sha256').update(body).digest('hex'))
    })
  }
})
