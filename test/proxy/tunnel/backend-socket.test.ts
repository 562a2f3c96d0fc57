import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { handler } from '../../../src/index.ts'
import { drops, lendsMemory, readOn } from '../../../src/proxy/tunnel/backend-socket.ts'
import { lengthOf, stable } from '../../helpers/flood.ts'
import { connect, listen, type Peer } from '../../helpers/net.ts'
import { pattern } from '../../helpers/pattern.ts'
import { expectNoWarnings, startProxy } from '../../helpers/proxy.ts'
import { certificate, connectTls } from '../../helpers/tls.ts'

expectNoWarnings()

const host = '127.0.0.1'
/** Size of the shared read buffer. */
const SHARED = 65_536
/** More than the shared buffer holds, and less than a lent one. */
const PIECE = 3 * SHARED

test('drops writes after a failed write, and slows down an endless writer', async () => {
  const socket = new net.Socket()
  const calls: string[] = []
  expect(drops(socket, 1, () => calls.push('early'))).toBe(false)
  readOn(socket, () => calls.push('failed'))(new Error('EPIPE'))
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  expect(drops(socket, 1 << 24, () => calls.push('dropped'))).toBe(true)
  expect(drops(socket, 1, () => calls.push('slowly'))).toBe(true)
  expect(calls).toEqual(['failed', 'dropped'])
  vi.advanceTimersByTime(1_000)
  expect(calls).toEqual(['failed', 'dropped', 'slowly'])
  socket.destroy()
})

/** A backend that answers the target `/SEED` with the bytes of that seed, and closes. */
async function patternBackend(length: number): Promise<number> {
  return listen(
    net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', (head) => {
        const seed = Number(/^GET \/(\d+) /.exec(head.toString('latin1'))?.[1])
        const bytes = pattern(seed, length)
        let sent = 0
        const more = () => {
          if (sent === length) return socket.end()
          const piece = bytes.subarray(sent, sent + PIECE)
          sent += piece.length
          return socket.write(piece, () => setImmediate(more))
        }
        more()
      })
    }),
  )
}

async function expectPattern(client: net.Socket, seed: number, length: number, pauses = 0): Promise<void> {
  const pieces: Buffer[] = []
  client.on('data', (piece: Buffer) => {
    pieces.push(piece)
    if (pieces.length % 16 !== 0 || pauses-- <= 0) return
    client.pause()
    setImmediate(() => client.resume())
  })
  client.resume()
  await once(client, 'end')
  // Compare with equals, so that a failure does not print megabytes.
  expect(Buffer.concat(pieces).equals(pattern(seed, length))).toBe(true)
}

describe('through the proxy', () => {
  /** More bytes than the kernel buffers for a client that does not read. */
  const LENGTH = 24 << 20
  const LAGGING = 8

  /** Clients that requested different bytes and lag as much as possible. */
  async function startLagging(): Promise<{ port: number; clients: Peer[] }> {
    const backend = await patternBackend(LENGTH)
    const { port } = await startProxy(() => ({ port: backend, host }))
    const clients = await Promise.all(Array.from({ length: LAGGING }, () => connect(port)))
    for (const [seed, { socket }] of clients.entries()) {
      socket.removeAllListeners('data').pause()
      socket.write(`GET /${seed} HTTP/1.1\r\nHost: a\r\n\r\n`)
    }
    await stable(() => clients.reduce((sum, { socket }) => sum + socket.readableLength, 0))
    return { port, clients }
  }

  test('gives many lagging clients their own bytes', async () => {
    const { clients } = await startLagging()
    await Promise.all(clients.map(({ socket }, seed) => expectPattern(socket, seed, LENGTH, 40)))
  })

  test('gives the others their own bytes after a client resets', async () => {
    const { port, clients } = await startLagging()
    const got = clients.map(async ({ socket }, seed) => {
      if (seed % 2 === 0) socket.resetAndDestroy()
      else await expectPattern(socket, seed, LENGTH, 40)
    })
    await Promise.all(got)
    const late = await connect(port)
    late.socket.removeAllListeners('data')
    late.write('GET /99 HTTP/1.1\r\nHost: a\r\n\r\n')
    await expectPattern(late.socket, 99, LENGTH)
  })

  test('gives a lagging TLS client all bytes', async () => {
    const backend = await patternBackend(LENGTH)
    const proxied = handler(() => ({ port: backend, host }))
    const port = await listen(tls.createServer(certificate(), proxied))
    const clients = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const { socket } = await connectTls(port)
        return socket.removeAllListeners('data')
      }),
    )
    for (const [seed, client] of clients.entries()) client.write(`GET /${seed} HTTP/1.1\r\nHost: a\r\n\r\n`)
    await Promise.all(clients.map((client, seed) => expectPattern(client, seed, LENGTH, 30)))
  })
})

test('reads a backend to its end if it sends exactly the shared buffer`s size', async () => {
  const server = net.createServer((socket) => socket.once('data', () => socket.end(pattern(1, SHARED))))
  const backend = await listen(server)
  const { port } = await startProxy(() => ({ port: backend, host }))
  const client = await connect(port)
  client.socket.removeAllListeners('data')
  const length = lengthOf(client.socket)
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  expect(await length).toBe(SHARED)
})

test('uses onread on Node only, because other runtimes break its contract', () => {
  const node = { name: 'node' }
  const { versions } = process
  expect(lendsMemory(versions, node, {})).toBe(true)
  expect(lendsMemory({ ...versions, bun: '1.4.5' }, node, {})).toBe(false)
  expect(lendsMemory({ ...versions, deno: '2.9.6' }, node, {})).toBe(false)
  expect(lendsMemory(versions, node, { Deno: {} })).toBe(false)
  expect(lendsMemory(versions, { name: 'other' }, {})).toBe(false)
})
