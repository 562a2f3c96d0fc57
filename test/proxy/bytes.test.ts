import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { ProxyOptions } from '../../src/index.ts'
import { Backend, connect } from '../helpers/net.ts'
import { expectNoWarnings, GET, OK, startProxy } from '../helpers/proxy.ts'
import { turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'
const MIB = 1 << 20

const slowly = () => turns(20)

/** Setups between which neither side can see a difference. */
const MODES: [name: string, options: (port: number) => ProxyOptions][] = [
  ['plain', (port) => ({ lookup: () => ({ port, host }) })],
  [
    'a slow lookup',
    (port) => ({
      lookup: async () => {
        await slowly()
        return { port, host }
      },
    }),
  ],
  ['a response that is awaited', (port) => ({ lookup: () => ({ port, host }), responseHeadTimeout: 60_000 })],
  ['modify', (port) => ({ lookup: () => ({ port, host }), modify: () => undefined })],
  ['slow hooks', (port) => ({ lookup: () => slowly().then(() => ({ port, host })), modify: slowly })],
]

for (const [mode, options] of MODES) {
  describe(`with ${mode}`, () => {
    async function meet(first: string | Buffer) {
      const backend = await Backend.start()
      const { port, server } = await startProxy(options(backend.port))
      const client = await connect(port)
      client.write(first)
      return { client, peer: await backend.next(), server, backend }
    }

    for (const size of [1, 1000, 65_536, MIB]) {
      test(`a body of ${size} bytes that is sent at once with the head arrives once and in order`, async () => {
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

    test('a body that follows in many pieces', async () => {
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

    test('pipelined requests, and their responses', async () => {
      const requests = Array.from({ length: 50 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join('')
      const { client, peer } = await meet(requests)
      expect((await peer.untilLength(requests.length)).toString()).toBe(requests)
      const responses = Array.from({ length: 50 }, (_, i) => `HTTP/1.1 200 OK\r\nX: ${i}\r\n\r\n`).join('')
      peer.write(responses)
      expect((await client.untilLength(responses.length)).toString()).toBe(responses)
    })

    test('frames behind the request, and behind its 101', async () => {
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

    test('bytes that are no HTTP any more, both ways at once', async () => {
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

test('a head that comes one byte at a time is one head', async () => {
  const backend = await Backend.start()
  const { port } = await startProxy(() => ({ port: backend.port, host }))
  const client = await connect(port)
  for (const byte of `${GET}rest`) await client.flush(byte)
  expect(await (await backend.next()).until('rest')).toBe(`${GET}rest`)
})

test('an empty line before the request is dropped', async () => {
  const backend = await Backend.start()
  const { port } = await startProxy(() => ({ port: backend.port, host }))
  const client = await connect(port)
  client.write(`\r\n${GET}rest`)
  expect(await (await backend.next()).until('rest')).toBe(`${GET}rest`)
})

test('not a byte of a refused head reaches a backend, nor what came with it', async () => {
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
