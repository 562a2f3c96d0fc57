import net from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { BrokenOff } from './judge.ts'

/** What went over all connections of clients, in bytes. */
export interface Traffic {
  connections: number
  open: number
  sent: number
  received: number
}

/** ms without a byte, after which a connection hangs: nothing that is asked for takes as long. */
const STALL_MS = 60_000

/** A connection that is counted. */
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

/** Whether the other side broke a connection off that it had taken. */
export function isBreak({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ECONNRESET' || code === 'EPIPE'
}

/** A socket that is read and written step by step: what is not read waits in the kernel, as with a slow client. */
export class Wire {
  readonly #socket: net.Socket
  readonly #wakes = new Set<() => void>()
  #error: Error | undefined

  constructor(socket: net.Socket) {
    this.#socket = socket
    for (const event of ['readable', 'end', 'drain', 'close'] as const) socket.on(event, () => this.#wake())
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // Else it has hung, or was not let in: nothing accounts for that.
      this.#error = isBreak(error) ? new BrokenOff(error.code) : error
      this.#wake()
    })
  }

  /** The next bytes; undefined after the FIN. @throws {BrokenOff} on a reset */
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

  /** Resolves when there is room for more. @throws {BrokenOff} on a reset */
  async write(bytes: Buffer | string): Promise<void> {
    if (!this.#socket.destroyed) this.#socket.write(bytes)
    for (;;) {
      if (this.#error) throw this.#error
      if (this.#socket.destroyed) throw new BrokenOff('closed')
      if (!this.#socket.writableNeedDrain) break
      await this.#woken()
    }
    // The kernel takes much at once: what has come meanwhile, a reset for one, is seen before more is written.
    await turn()
  }

  /** Sends a FIN after all that was written. */
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
