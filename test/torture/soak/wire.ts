import net from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { BrokenOff } from './judge.ts'

/** The totals over all client connections; `sent` and `received` are in bytes. */
export interface Traffic {
  connections: number
  open: number
  sent: number
  received: number
}

/** ms without a byte after which a connection counts as hung. No request takes that long. */
const STALL_MS = 60_000

/** Opens a connection and counts it. */
export function openSocket(port: number, traffic: Traffic): net.Socket {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  traffic.connections++
  traffic.open++
  socket.setTimeout(STALL_MS, () => socket.destroy(new Error(`no byte for ${STALL_MS / 1000} s`)))
  socket.once('close', () => {
    traffic.open--
    traffic.sent += socket.bytesWritten
    traffic.received += socket.bytesRead
  })
  return socket
}

/** Whether the error means that the other side broke an accepted connection. */
export function isBreak({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ECONNRESET' || code === 'EPIPE'
}

/** A socket with awaited reads and writes. Unread bytes wait in the kernel, as with a slow client. */
export class Wire {
  readonly #socket: net.Socket
  readonly #wakes = new Set<() => void>()
  #error: Error | undefined

  constructor(socket: net.Socket) {
    this.#socket = socket
    for (const event of ['readable', 'end', 'drain', 'close'] as const) socket.on(event, () => this.#wake())
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // Any other error (hung, or refused) is a fault.
      this.#error = isBreak(error) ? new BrokenOff(error.code) : error
      this.#wake()
    })
  }

  /** The next bytes, or undefined after the FIN. @throws {BrokenOff} on a reset */
  async read(): Promise<Buffer | undefined> {
    for (;;) {
      const chunk = this.#socket.read() as Buffer | null
      if (chunk !== null) return chunk
      if (this.#error) throw this.#error
      if (this.#socket.readableEnded) return undefined
      if (this.#socket.destroyed) throw new BrokenOff('closed')
      await this.#woken()
    }
  }

  /** Resolves when there is room for more bytes. @throws {BrokenOff} on a reset */
  async write(bytes: Buffer | string): Promise<void> {
    if (!this.#socket.destroyed) this.#socket.write(bytes)
    for (;;) {
      if (this.#error) throw this.#error
      if (this.#socket.destroyed) throw new BrokenOff('closed')
      if (!this.#socket.writableNeedDrain) break
      await this.#woken()
    }
    // The kernel accepts much at once. Handle pending events, such as a reset, before the next write.
    await turn()
  }

  /** Sends a FIN after the written bytes. */
  end(): void {
    this.#socket.end()
  }

  reset(): void {
    this.#socket.resetAndDestroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => this.#wakes.add(resolve))
  }

  #wake(): void {
    for (const wake of this.#wakes) wake()
    this.#wakes.clear()
  }
}
