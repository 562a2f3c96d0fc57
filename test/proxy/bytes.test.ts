import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Backend, connect } from '../helpers/net.ts'
import { expectNoWarnings, GET, OK, startProxy } from '../helpers/proxy.ts'
import { SETUPS } from './setups.ts'

expectNoWarnings()

const host = '127.0.0.1'
const MIB = 1 << 20

for (const [name, options] of SETUPS) {
  describe(`with ${name}`, () => {
    async function meet(first: string | Buffer) {
      const backend = await Backend.start()
      const { port, server } = await startProxy(options(backend.port))
      const client = await connect(port)
      client.write(first)
      return { client, peer: await backend.next(), server, backend }
    }

    for (const size of [1, 1000, 65_536, MIB]) {
      test(`passes a body of ${size} bytes that is sent with the head`, async () => {
        const body = randomBytes(size)
        const request = Buffer.concat([
          Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`),
          body,
        ])
        const { client, peer, server, backend } = await meet(request)
        client.end()
        await peer.ended()
        expect(peer.received.equals(request)).toBe(true)
        const response = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`), body])
        peer.write(response)
        peer.end()
        await client.ended()
        expect(client.received.equals(response)).toBe(true)
        expect(server.counters).toMatchObject({ bytesRead: request.length, bytesWritten: response.length })
        expect(backend.accepted).toBe(1)
      })
    }

    test('passes a body that follows in many pieces', async () => {
      const { client, peer } = await meet('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
      let sent = ''
      for (let i = 0; i < 200; i++) {
        const piece = `5\r\n${String(i).padStart(5)}\r\n`
        sent += piece
        await client.flush(piece)
      }
      client.end('0\r\n\r\n')
      const text = await peer.ended()
      expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toBe(`${sent}0\r\n\r\n`)
    })

    test('passes pipelined requests and their responses', async () => {
      const requests = Array.from({ length: 50 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join('')
      const { client, peer } = await meet(requests)
      expect((await peer.untilLength(requests.length)).toString()).toBe(requests)
      const responses = Array.from({ length: 50 }, (_, i) => `HTTP/1.1 200 OK\r\nX: ${i}\r\n\r\n`).join('')
      peer.write(responses)
      expect((await client.untilLength(responses.length)).toString()).toBe(responses)
    })

    test('passes frames after the request and after its 101', async () => {
      const upgrade = 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'
      const { client, peer } = await meet(`${upgrade}\x81\x00early`)
      expect(await peer.until('early')).toBe(`${upgrade}\x81\x00early`)
      const switched = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'
      peer.write(`${switched}\x81\x05hello`)
      expect(await client.until('hello')).toBe(`${switched}\x81\x05hello`)
      client.write('\x82\x00ping')
      await peer.until('ping')
      peer.write('\x82\x00pong')
      await client.until('pong')
    })

    test('passes bytes of another protocol in both directions at once', async () => {
      const { client, peer } = await meet(GET)
      await peer.until('\r\n\r\n')
      peer.write(OK)
      await client.until('ok')
      const [up, down] = [randomBytes(3 * MIB), randomBytes(3 * MIB)]
      client.write(up)
      peer.write(down)
      await Promise.all([peer.untilLength(GET.length + up.length), client.untilLength(OK.length + down.length)])
      expect(peer.received.subarray(GET.length).equals(up)).toBe(true)
      expect(client.received.subarray(OK.length).equals(down)).toBe(true)
    })
  })
}

test('reads a head that arrives byte by byte', async () => {
  const backend = await Backend.start()
  const { port } = await startProxy(() => ({ port: backend.port, host }))
  const client = await connect(port)
  for (const byte of `${GET}rest`) await client.flush(byte)
  expect(await (await backend.next()).until('rest')).toBe(`${GET}rest`)
})

test('drops an empty line before the request', async () => {
  const backend = await Backend.start()
  const { port } = await startProxy(() => ({ port: backend.port, host }))
  const client = await connect(port)
  client.write(`\r\n${GET}rest`)
  expect(await (await backend.next()).until('rest')).toBe(`${GET}rest`)
})

test('sends no byte of a refused head to a backend, nor the bytes after it', async () => {
  const backend = await Backend.start()
  const { port } = await startProxy(() => ({ port: backend.port, host }))
  for (const head of [
    'GET / HTTP/1.1\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n',
  ]) {
    const client = await connect(port)
    client.write(`${head}${GET}`)
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
  }
  expect(backend.accepted).toBe(0)
})
