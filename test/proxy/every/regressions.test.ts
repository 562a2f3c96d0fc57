import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { BackendSocket } from '../../../src/proxy/tunnel/index.ts'
import { lendBuffer, returnBuffer } from '../../../src/proxy/tunnel/lent-memory.ts'
import { connect } from '../../helpers/net.ts'
import { expectNoWarnings, OK, startProxy, Watch } from '../../helpers/proxy.ts'
import { turn, turns } from '../../helpers/turns.ts'
import { head, host, left, meet, response, serve, start } from './support.ts'

expectNoWarnings()

const NEXT = head('', 'GET /next HTTP/1.1')
const post = (length: number) => head(`Content-Length: ${length}\r\n`, 'POST / HTTP/1.1')

test.each([3, 6, 9])('passes the answer of a server of this process after %i bytes of a body of 9', async (limit) => {
  const server = http.createServer((request, answer) => {
    let size = 0
    request.on('data', (bytes: Buffer) => {
      size += bytes.length
      if (size >= limit && !answer.headersSent) answer.writeHead(413, { 'Content-Length': 0 }).end()
    })
    if (request.method === 'GET') answer.end('next')
  })
  const watch = new Watch()
  const { port } = await startProxy({ requests: 'every', lookup: () => ({ server }) })
  const client = await connect(port)
  client.write(post(9))
  for (const piece of ['abc', 'def', 'ghi']) {
    await turns(5)
    client.write(piece)
  }
  client.write(NEXT)
  await client.until('HTTP/1.1 413 ')
  // An answer after the last byte leaves the connection open.
  if (limit === 9) await client.until('next')
  else await client.ended()
  expect(watch.codes).toEqual([])
})

test('a response keeps its framing fields, even if Connection names them', async () => {
  const { client, peer } = await meet(head())
  await serve(peer, response('Connection: Content-Length, X-A\r\nContent-Length: 2\r\nX-A: 1\r\n', 'hi'))
  expect(await client.until('hi')).toBe(response('Content-Length: 2\r\n', 'hi'))
})

test('a drain closes a client that is being served after its response', async () => {
  const { client, peer, server } = await meet(head())
  await peer.until('\r\n\r\n')
  peer.write(response('Content-Length: 4\r\n', 'ab'))
  await client.until('ab')
  const drained = server.drain()
  await turns(5)
  peer.write('cd')
  expect(await client.ended()).toMatch(/\r\n\r\nabcd$/)
  await drained
})

test('ignores an empty line after a response', async () => {
  const { client, peer, server, watch } = await meet(head())
  await serve(peer, OK)
  await client.until(OK)
  client.end('\r\n')
  expect(await client.ended()).toBe(OK)
  await watch.until('close')
  expect(watch.codes).toEqual([])
  expect(server.counters.badHeads).toBe(0)
})

test('answers a bad head after a HEAD with a body', async () => {
  const { client, peer } = await meet(head('', 'HEAD / HTTP/1.1'))
  await serve(peer, response('Content-Length: 2\r\n'))
  await client.until('\r\n\r\n')
  client.write('bad\r\n\r\n')
  expect(await client.ended()).toMatch(/HTTP\/1\.1 400 Bad Request\r\n[\s\S]*\r\n\r\n400 Bad Request: /)
})

test('closes the backend connection of a refused CONNECT', async () => {
  const { client, peer } = await meet(head('', 'CONNECT a:80 HTTP/1.1'))
  await serve(peer, response('Content-Length: 0\r\n', '', '403 Forbidden'))
  await client.ended()
  await left(peer)
})

test('sends no request on a connection that ended in the same turn, for any method', async () => {
  const { backend, client, peer } = await meet(head())
  await serve(peer, OK)
  await client.until(OK)
  peer.socket.destroy()
  await once(peer.socket, 'close')
  client.received = Buffer.alloc(0)
  client.write(`${post(2)}hi`)
  expect(await serve(backend, OK, 'hi')).toBe(`${post(2)}hi`)
  expect(await client.until(OK)).toBe(OK)
})

test('uses a private connection no longer than its backend keeps it', async () => {
  const { backend, client } = await start({ lookup: () => ({ port: backend.port, host, sendProxy: 1 }) })
  client.write(head())
  const first = await backend.next()
  await first.until('\r\n\r\n')
  first.write(response('Keep-Alive: timeout=1\r\nContent-Length: 2\r\n', 'ok'))
  await client.until('ok')
  client.write(NEXT)
  expect(await serve(backend, OK, NEXT)).toContain(NEXT)
})

test('keeps no connection whose backend answers early and reads no further', async () => {
  const connects = vi.spyOn(BackendSocket.prototype, 'connect')
  onTestFinished(() => connects.mockRestore())
  const { backend, client, peer, server } = await meet(head('Transfer-Encoding: chunked\r\n', 'POST / HTTP/1.1'))
  peer.socket.pause()
  const [connection] = server.active
  const [socket] = connects.mock.contexts as net.Socket[]
  const piece = `2000\r\n${'x'.repeat(0x2000)}\r\n`
  // Until the kernel takes no more.
  while (socket!.writableLength === 0) {
    const sent = connection!.bytesRead + piece.length
    client.write(piece)
    while (connection!.bytesRead < sent) await turn()
  }
  client.write('0\r\n\r\n')
  await turns(5)
  peer.write(OK)
  await client.until(OK)
  client.write(NEXT)
  await serve(backend, OK, NEXT)
  await client.until(OK + OK)
})

test('sends no request on a connection on which a write has failed', async () => {
  const { backend, client } = await start({ lookup: () => ({ connect: open }) })
  let isBroken = false
  const first = new net.Socket({ allowHalfOpen: true })
  first._read = () => undefined
  first._write = (_chunk, _encoding, done) => done(isBroken ? new Error('write EPIPE') : null)
  const sockets = [first]
  const open = () => sockets.shift() ?? net.connect(backend.port, host)
  client.write(`${post(5)}he`)
  await once(first, 'resume')
  await turns(5)
  isBroken = true
  client.write(`llo${NEXT}`)
  await turns(5)
  first.push(OK)
  expect(await serve(backend, OK, NEXT)).toBe(NEXT)
  await client.until(OK + OK)
})

/** Number of buffers that any connection may borrow now. */
function freeBuffers(): number {
  const all: Buffer[] = []
  for (let one = lendBuffer(false); one; one = lendBuffer(false)) all.push(one)
  for (const one of all) returnBuffer(one)
  return all.length
}

test('an idle connection keeps no lent buffer, even if its last read filled one', async () => {
  const before = freeBuffers()
  const { client, peer, watch } = await meet(head())
  const first = response('Content-Length: 65538\r\n', 'ok')
  peer.write(first)
  await client.until('ok')
  peer.write(Buffer.alloc(65_536))
  await client.untilLength(first.length + 65_536)
  await watch.until('end')
  expect(freeBuffers()).toBe(before)
})

test('closes a tunnel to a server of this process that does not read to its end', async () => {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.once('data', () => {
      socket.pause()
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
      server.emit('switched', socket)
    })
  })
  const watch = new Watch()
  const { port } = await startProxy({ requests: 'every', lookup: () => ({ server }) })
  const client = await connect(port)
  client.write(head('Connection: Upgrade\r\nUpgrade: x\r\n'))
  const [socket] = (await once(server, 'switched')) as [net.Socket]
  await client.ended()
  client.end()
  await turns(5)
  socket.destroy()
  await watch.until('close')
  expect(watch.codes).toEqual([])
})
