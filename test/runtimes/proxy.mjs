import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import tls from 'node:tls'
import { createServer, handler } from '../../dist/index.js'
import { check, onceOver } from './checks.mjs'
import {
  ask,
  backend,
  connect,
  download,
  exchange,
  get,
  host,
  listen,
  makeCertificate,
  SIZE,
  send,
  upload,
} from './wire.mjs'

const modify = (head) => void head.set('X-Modified', 'yes')
const SEVERAL = 8

for (const isModified of [false, true]) {
  const mode = isModified ? 'with modify' : 'without modify'
  const options = isModified ? { expected: /\r\nX-Modified: yes\r\n/ } : {}
  const start = async (dest = {}) => {
    const lookup = (head, client) => {
      head.set('X-Client', client.remoteAddress)
      return { port, host, ...dest }
    }
    const port = await listen(backend())
    return listen(createServer(isModified ? { lookup, modify } : { lookup }))
  }

  await check(`proxy: 100 MB down, ${mode}`, async () => download(await start(), SIZE, options))
  await check(`proxy: 100 MB down to a client that stops now and then, ${mode}`, async () =>
    download(await start(), SIZE, { ...options, isSlow: true }),
  )
  await check(`proxy: 100 MB down on ${SEVERAL} connections at once, ${mode}`, async () => {
    const port = await start()
    const one = (_, i) => download(port, SIZE / SEVERAL, { ...options, isSlow: i % 2 === 0 })
    await Promise.all(Array.from({ length: SEVERAL }, one))
  })
  await check(`proxy: 100 MB up, ${mode}`, async () => upload(await start(), SIZE))
  await check(`proxy: 100 MB up on ${SEVERAL} connections at once, ${mode}`, async () => {
    const port = await start()
    await Promise.all(Array.from({ length: SEVERAL }, () => upload(port, SIZE / SEVERAL)))
  })
  await check(`proxy: 100 MB both ways at once, ${mode}`, async () => exchange(await start(), SIZE))
  await check(`proxy: 100 MB down, with a PROXY header to the backend, ${mode}`, async () => {
    const port = await listen(
      net.createServer((socket) => {
        socket.once('data', (bytes) => {
          assert.match(bytes.toString('latin1'), /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nGET /)
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${SIZE}\r\n\r\n`)
          void send(socket, SIZE).then(() => socket.end())
        })
      }),
    )
    const lookup = () => ({ port, host, sendProxy: 1 })
    await download(await listen(createServer(isModified ? { lookup, modify } : { lookup })), SIZE, options)
  })
}

await check('proxy: the client is known', async () => {
  const port = await listen(backend())
  const lookup = (head, client) => {
    head.set('X-Client', client.remoteAddress)
    return { port, host }
  }
  assert.match(await ask(await listen(createServer({ lookup })), get('/3')), /\r\nX-Saw: X-Client: 127\.0\.0\.1\r\n/)
})

await check('proxy: over Unix sockets, 100 MB down', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'badass-'))
  onceOver(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'backend.sock')
  await listen(backend(), { path })
  const front = join(directory, 'front.sock')
  await listen(
    createServer(() => ({ path })),
    { path: front },
  )
  await download({ path: front }, SIZE)
})

await check('proxy: TLS on both sides, 100 MB down and up', async () => {
  const { key, cert } = makeCertificate()
  const port = await listen(backend((serve) => tls.createServer({ key, cert }, serve)))
  const proxied = handler({ lookup: () => ({ port, host, tls: { ca: cert, servername: 'localhost' } }), modify })
  const front = {
    port: await listen(tls.createServer({ key, cert }, proxied)),
    host,
    ca: cert,
    servername: 'localhost',
  }
  await download(front, SIZE, { expected: /\r\nX-Modified: yes\r\n/, isSlow: true })
  await upload(front, SIZE)
})

await check('proxy: a stream of the user, 100 MB down', async () => {
  const port = await listen(backend())
  await download(await listen(createServer(() => ({ connect: () => net.connect(port, host) }))), SIZE)
})

await check('proxy: an http.Server behind { server } gets the request', async () => {
  const server = http.createServer((request, response) => {
    let length = 0
    request.on('data', (piece) => (length += piece.length))
    request.on('end', () => response.end(`${request.method} ${request.url} ${length} ${request.headers['x-a']}`))
  })
  const lookup = (head) => {
    head.set('X-A', 'b')
    return { server }
  }
  const port = await listen(createServer({ lookup }))
  const request = 'POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello'
  assert.match(await ask(port, request), /^HTTP\/1.1 200 OK\r\n[\s\S]*POST \/x 5 b/)
})

await check('proxy: Node clients and servers of HTTP on both sides', async () => {
  const server = http.createServer((request, response) => request.pipe(response))
  const port = await listen(server)
  const front = await listen(createServer({ lookup: () => ({ port, host }), modify }))
  const body = Buffer.alloc(1_000_000, 'x')
  const response = await fetch(`http://${host}:${front}/`, { method: 'POST', body })
  assert.equal(response.headers.get('x-modified'), 'yes')
  assert(Buffer.from(await response.arrayBuffer()).equals(body))
})

await check('proxy: errors are answered', async () => {
  const dead = await listen(net.createServer().once('connection', (socket) => socket.destroy()))
  const answer = async (options, request = get('/')) =>
    (await ask(await listen(createServer(options)), request)).slice(9, 12)
  assert.equal(await answer({ lookup: () => undefined }), '503')
  assert.equal(await answer({ lookup: () => Promise.reject(new Error('no')) }), '503')
  assert.equal(await answer({ lookup: () => ({ port: 1, host }) }), '502')
  assert.equal(await answer({ lookup: () => ({ port: dead, host }), modify }), '502')
  assert.equal(await answer({ lookup: () => undefined }, 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'), '400')
  const own = () => Readable.from(['HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n'])
  assert.equal(await answer({ lookup: () => ({ port: 1, host }), errback: own }), '418')
  assert.equal(await answer({ lookup: () => undefined, headTimeout: 50 }, 'GET / HT'), '408')
})

await check('proxy: an end goes through while the other side still sends', async () => {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.resume()
    socket.on('end', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  })
  const port = await listen(server)
  const front = await listen(createServer(() => ({ port, host })))
  const client = await connect({ port: front, host, allowHalfOpen: true })
  client.socket.end(get('/'))
  assert.match(await client.rest(), /ok$/)
})

for (const [side, other] of [
  ['client', 'backend'],
  ['backend', 'client'],
]) {
  await check(`proxy: when the ${side} goes, so does the ${other}`, async () => {
    const server = net.createServer()
    const port = await listen(server)
    const proxy = createServer(() => ({ port, host }))
    const client = await connect(await listen(proxy))
    client.socket.write(get('/'))
    const [socket] = await once(server, 'connection')
    socket.on('error', () => undefined)
    await once(socket, 'data')
    const ends = { client: client.socket, backend: socket }
    const closed = once(ends[other].resume(), 'close')
    ends[side].destroy()
    await closed
    while (proxy.counters.open > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  })
}
