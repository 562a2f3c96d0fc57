import { once } from 'node:events'
import net from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { BackendSocket } from '../../../src/proxy/tunnel/backend-socket.ts'
import { lendBuffer, returnBuffer } from '../../../src/proxy/tunnel/lent-memory.ts'
import { stable } from '../../helpers/flood.ts'
import { connect, listen } from '../../helpers/net.ts'
import { pattern } from '../../helpers/pattern.ts'
import { expectNoWarnings, GET, startProxy } from '../../helpers/proxy.ts'
import { turn } from '../../helpers/turns.ts'

// A separate file, because lent buffers are counted per process.

expectNoWarnings()

const host = '127.0.0.1'
/** Size of the shared read buffer. */
const SHARED = 65_536
/** More sockets than there are lent buffers. */
const MANY = 20

describe('the read buffer', () => {
  const open: BackendSocket[] = []
  afterEach(() => {
    for (const socket of open.splice(0)) socket.destroy()
  })

  async function openTo(port: number): Promise<BackendSocket> {
    const socket = new BackendSocket(true, true)
    open.push(socket)
    socket.on('error', () => undefined)
    socket.pause()
    socket.connect({ port, host })
    await once(socket, 'connect')
    return socket
  }

  /** A server that sends `bytes` to each client. `sent`: when that many connections have all of it in the kernel. */
  async function sender(length: number): Promise<{ port: number; sent(count?: number): Promise<void> }> {
    let accepted = 0
    let done = 0
    let wake: () => void = () => undefined
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.write(pattern(accepted++, length), () => {
        done++
        wake()
      })
    })
    const port = await listen(server)
    const sent = async (count = 1) => {
      while (done < count) await new Promise<void>((resolve) => (wake = resolve))
    }
    return { port, sent }
  }

  test('is copied for data listeners, so that chunks stay unchanged', async () => {
    const { port, sent } = await sender(2 * SHARED)
    const sockets = [await openTo(port), await openTo(port)]
    await sent(2)
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

  /** Reads more than the shared buffer holds, up to the first lent buffer, and stays paused. */
  async function borrow(socket: BackendSocket, keepsUp = false): Promise<'copied' | (() => void)> {
    let copied = 0
    return new Promise((resolve) => {
      const borrow = (_: Buffer, done: () => void) => {
        socket.pause()
        resolve(done)
      }
      socket.borrower = { borrow, keepsUp }
      socket.on('data', ({ length }: Buffer) => {
        copied += length
        if (copied < 4 * SHARED) return
        socket.pause()
        resolve('copied')
      })
      socket.resume()
    })
  }

  test('is lent to a few slow borrowers and to more that keep up, up to a limit', async () => {
    const { port, sent } = await sender(4 * SHARED)
    const loans: (() => void)[] = []
    const lend = async (count: number, keepsUp: boolean) => {
      let lent = 0
      for (let i = 0; i < count; i++) {
        const socket = await openTo(port)
        await sent(open.length)
        const loan = await borrow(socket, keepsUp)
        if (loan === 'copied') continue
        loans.push(loan)
        lent++
      }
      return lent
    }
    expect(await lend(20, false)).toBe(16)
    expect(await lend(40, true)).toBe(32)
    // The borrower keeps the buffer of a closed socket, and may still write it.
    const closed = open.splice(0)
    for (const socket of closed) socket.destroy()
    await Promise.all(closed.map((socket) => once(socket, 'close')))
    const next = await openTo(port)
    await sent(61)
    expect(await borrow(next, true)).toBe('copied')
    for (const done of loans) done()
    const last = await openTo(port)
    await sent(62)
    const done = await borrow(last)
    expect(done).not.toBe('copied')
    if (done !== 'copied') done()
  })

  test('is the shared one again after the last large read', async () => {
    const { port, sent } = await sender(3 * SHARED)
    for (let i = 0; i < MANY; i++) {
      const socket = await openTo(port)
      await sent(i + 1)
      // The borrower finishes at once without a pause, so the next read gets the buffer.
      await new Promise<void>((resolve) => {
        socket.on('data', () => undefined)
        socket.borrower = {
          keepsUp: false,
          borrow: (_, done) => {
            done()
            resolve()
          },
        }
        socket.resume()
      })
    }
  })

  test('is the shared one again after the buffer returned, even without another read', async () => {
    // In Node 26 the pool holds up to half of the shared buffer.
    const { port, sent } = await sender((3 / 4) * SHARED)
    for (let i = 0; i < MANY; i++) {
      const socket = await openTo(port)
      await sent(i + 1)
      const done = await borrow(socket)
      if (done === 'copied') throw new Error('no buffer was left')
      done()
      socket.resume()
    }
  })

  test('is not lent without a borrower, and all bytes are emitted as data', async () => {
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

test('leaves buffers for a client that keeps up beside 100 stalled ones', async () => {
  const bytes = Buffer.alloc(16 << 20)
  let accepted = 0
  const backend = await listen(
    net.createServer((socket) => {
      accepted++
      socket.on('error', () => undefined)
      socket.write(bytes)
    }),
  )
  const { port, server } = await startProxy(() => ({ port: backend, host }))
  for (let i = 0; i < 100; i++) {
    const { socket } = await connect(port)
    socket.removeAllListeners('data').pause()
    socket.write(GET)
  }
  await stable(() => accepted + server.counters.bytesWritten)
  expect(accepted).toBe(100)
  expect(lendBuffer(false)).toBe(undefined)
  const taken: Buffer[] = []
  for (let buffer = lendBuffer(true); buffer; buffer = lendBuffer(true)) taken.push(buffer)
  expect(taken).toHaveLength(32)
  for (const buffer of taken) returnBuffer(buffer)
  // The buffers return when the clients are gone.
  for (const connection of server.active) connection.destroy()
  while (server.counters.open > 0) await turn()
  await stable(() => server.counters.open)
  const all = Array.from({ length: 48 }, () => lendBuffer(true))
  expect(all).not.toContain(undefined)
  expect(lendBuffer(true)).toBe(undefined)
  for (const buffer of all) returnBuffer(buffer!)
})
