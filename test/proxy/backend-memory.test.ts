import { once } from 'node:events'
import net from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { BackendSocket } from '../../src/proxy/backend-socket.ts'
import { listen } from '../helpers/net.ts'
import { pattern } from '../helpers/pattern.ts'
import { expectNoWarnings } from '../helpers/proxy.ts'

// A file of its own: how much memory is lent is counted for the whole process.

expectNoWarnings()

const host = '127.0.0.1'
/** What a read fills at most before it goes on into the large memory. */
const SHARED = 65_536
/** More sockets than there are large memories. */
const MANY = 20

describe('the memory', () => {
  const open: BackendSocket[] = []
  afterEach(() => {
    for (const socket of open.splice(0)) socket.destroy()
  })

  async function openTo(port: number): Promise<BackendSocket> {
    const socket = new BackendSocket(true)
    open.push(socket)
    socket.on('error', () => undefined)
    socket.pause()
    socket.connect({ port, host })
    await once(socket, 'connect')
    return socket
  }

  /** A server that sends so many bytes to each who connects. `sent`: as many connections as that have all of it in the kernel. */
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

  test('is copied for who takes data: what was given stays as it was', async () => {
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

  test('of its own is lent for more than a little, and to so many at a time', async () => {
    const { port, sent } = await sender(4 * SHARED)
    const sockets: BackendSocket[] = []
    for (let i = 0; i < MANY; i++) sockets.push(await openTo(port))
    await sent(MANY)
    const kinds: string[] = []
    for (const socket of sockets) kinds.push(await borrow(socket))
    expect(kinds).toEqual([...Array(16).fill('lent'), ...Array(MANY - 16).fill('copied')])
    // Those that are closed on leave their place to others, not the memory: somebody may still write it.
    for (const socket of sockets) {
      socket.destroy()
      await once(socket, 'close')
    }
    const next = await openTo(port)
    await sent(MANY + 1)
    expect(await borrow(next)).toBe('lent')
  })

  test('of its own is left once there is no more', async () => {
    const { port, sent } = await sender(3 * SHARED)
    for (let i = 0; i < MANY; i++) {
      const socket = await openTo(port)
      await sent(i + 1)
      // Taken at once, and not paused: the next one gets it.
      await new Promise<void>((resolve) => {
        socket.on('data', () => undefined)
        socket.borrower = { borrow: () => resolve() }
        socket.resume()
      })
    }
  })

  test('of its own is left once what was owed is given back, though nothing more comes', async () => {
    // Of Node 26 the pool takes up to half of what is shared.
    const { port, sent } = await sender((3 / 4) * SHARED)
    for (let i = 0; i < MANY; i++) {
      const socket = await openTo(port)
      await sent(i + 1)
      expect(await borrow(socket)).toBe('lent')
      socket.resume()
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
