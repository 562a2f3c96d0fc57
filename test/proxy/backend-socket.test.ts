import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { handler } from '../../src/index.ts'
import { BackendSocket } from '../../src/proxy/backend-socket.ts'
import { lengthOf, stable } from '../helpers/flood.ts'
import { connect, listen } from '../helpers/net.ts'
import { expectNoWarnings, startProxy } from '../helpers/proxy.ts'
import { certificate, connectTls } from '../helpers/tls.ts'

expectNoWarnings()

const host = '127.0.0.1'
/** What a read fills at most before it goes on into the large memory. */
const SHARED = 65_536
/** More than the shared memory holds, and less than the large one. */
const PIECE = 3 * SHARED
/** More sockets than there are large memories. */
const MANY = 20

/** Bytes that tell which stream they are of, and where in it: swapped or overwritten ones show. */
function pattern(seed: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(((seed << 24) | (at >> 2)) >>> 0, at)
  return bytes
}

/** A backend that answers the target `/SEED` with the bytes of that seed, to the end. */
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
  // Compared as a whole: a failure is not to print megabytes.
  expect(Buffer.concat(pieces).equals(pattern(seed, length))).toBe(true)
}

describe('through the proxy', () => {
  /** More than the kernel keeps for a client that does not read. */
  const LENGTH = 24 << 20
  const LAGGING = 8

  test('many clients that lag, at once, each get their own bytes', async () => {
    const backend = await patternBackend(LENGTH)
    const { port } = await startProxy(() => ({ port: backend, host }))
    const clients = await Promise.all(Array.from({ length: LAGGING }, () => connect(port)))
    for (const [seed, { socket }] of clients.entries()) {
      socket.removeAllListeners('data').pause()
      socket.write(`GET /${seed} HTTP/1.1\r\nHost: a\r\n\r\n`)
    }
    // All of them lag as far as they can before the first one reads.
    await stable(() => clients.reduce((sum, { socket }) => sum + socket.readableLength, 0))
    await Promise.all(clients.map(({ socket }, seed) => expectPattern(socket, seed, LENGTH, 40)))
  })

  test('what a client breaks off in the middle leaves the others theirs', async () => {
    const backend = await patternBackend(LENGTH)
    const { port } = await startProxy(() => ({ port: backend, host }))
    const clients = await Promise.all(Array.from({ length: LAGGING }, () => connect(port)))
    for (const [seed, { socket }] of clients.entries()) {
      socket.removeAllListeners('data').pause()
      socket.write(`GET /${seed} HTTP/1.1\r\nHost: a\r\n\r\n`)
    }
    await stable(() => clients.reduce((sum, { socket }) => sum + socket.readableLength, 0))
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

  test('a client over TLS gets all, however it lags', async () => {
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

describe('the memory', () => {
  const open: BackendSocket[] = []
  afterEach(() => {
    for (const socket of open.splice(0)) socket.destroy()
  })

  async function openTo(port: number): Promise<BackendSocket> {
    const socket = new BackendSocket({ noDelay: true, keepAlive: false, keepAliveInitialDelay: 0 })
    open.push(socket)
    socket.on('error', () => undefined)
    socket.pause()
    socket.connect({ port, host })
    await once(socket, 'connect')
    return socket
  }

  /** A server that sends so many bytes to each who connects, all of them in the kernel before `sent` resolves. */
  async function sender(length: number): Promise<{ port: number; sent(): Promise<void> }> {
    const sent: Promise<void>[] = []
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined)
      sent.push(new Promise((resolve) => socket.write(pattern(sent.length, length), () => resolve())))
    })
    const port = await listen(server)
    return { port, sent: async () => void (await Promise.all(sent)) }
  }

  test('is copied for who takes data: what was given stays as it was', async () => {
    const { port, sent } = await sender(2 * SHARED)
    const sockets = [await openTo(port), await openTo(port)]
    await sent()
    const got = sockets.map(() => [] as Buffer[])
    await Promise.all(
      sockets.map(
        (socket, index) =>
          new Promise<void>((resolve) => {
            socket.on('data', (piece: Buffer) => {
              got[index]!.push(piece)
              if (Buffer.concat(got[index]!).length === 2 * SHARED) resolve()
            })
            socket.resume()
          }),
      ),
    )
    for (const [index, pieces] of got.entries()) {
      expect(Buffer.concat(pieces).equals(pattern(index, 2 * SHARED))).toBe(true)
    }
  })

  /** Reads a socket that has more to give than the shared memory holds, up to the first loan, and stays paused on it. */
  async function borrow(socket: BackendSocket): Promise<'lent' | 'copied'> {
    let copied = 0
    return new Promise((resolve) => {
      const borrow = () => {
        socket.pause()
        resolve('lent')
      }
      socket.borrower = { borrow }
      socket.on('data', ({ length }: Buffer) => {
        copied += length
        if (copied < 4 * SHARED) return
        socket.pause()
        resolve('copied')
      })
      socket.resume()
    })
  }

  test('of its own is lent to who fills the shared one, and to so many at a time', async () => {
    const { port, sent } = await sender(4 * SHARED)
    const sockets: BackendSocket[] = []
    for (let i = 0; i < MANY; i++) sockets.push(await openTo(port))
    await sent()
    const kinds: string[] = []
    for (const socket of sockets) kinds.push(await borrow(socket))
    expect(kinds).toEqual([...Array(16).fill('lent'), ...Array(MANY - 16).fill('copied')])
    // Those that are closed on leave their place to others, not the memory: somebody may still write it.
    for (const socket of sockets) {
      socket.destroy()
      await once(socket, 'close')
    }
    const next = await openTo(port)
    await sent()
    expect(await borrow(next)).toBe('lent')
  })

  test('of its own is left once there is no more', async () => {
    const { port, sent } = await sender(3 * SHARED)
    for (let i = 0; i < MANY; i++) {
      const socket = await openTo(port)
      await sent()
      // Taken at once, and not paused: the next one gets it.
      await new Promise<void>((resolve) => {
        socket.on('data', () => undefined)
        socket.borrower = { borrow: () => resolve() }
        socket.resume()
      })
    }
  })

  test('is not lent where nobody borrows: all of it comes as data', async () => {
    const { port, sent } = await sender(4 * SHARED)
    const socket = await openTo(port)
    await sent()
    let length = 0
    await new Promise<void>((resolve) => {
      socket.on('data', (piece: Buffer) => {
        expect(piece.length).toBeLessThanOrEqual(SHARED)
        length += piece.length
        if (length === 4 * SHARED) resolve()
      })
      socket.resume()
    })
  })
})

test('a backend that sends just what the shared memory holds, and ends, is heard to its end', async () => {
  const server = net.createServer((socket) => socket.once('data', () => socket.end(pattern(1, SHARED))))
  const backend = await listen(server)
  const { port } = await startProxy(() => ({ port: backend, host }))
  const client = await connect(port)
  client.socket.removeAllListeners('data')
  const length = lengthOf(client.socket)
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  expect(await length).toBe(SHARED)
})
