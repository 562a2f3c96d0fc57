import net from 'node:net'
import { behindProxy } from '../../index.ts'

/** Reads the PROXY headers of accepted sockets: before TLS, and for a limit that counts the clients which they name. */
export class HeaderStage {
  readonly #refused: (socket: net.Socket) => void
  /** Sockets whose header is awaited, with what to do then. */
  readonly #waiting = new Map<net.Socket, () => void>()
  readonly #whenSettled = new Set<() => void>()
  #begin: ((socket: net.Socket) => void) | undefined

  /** `refused` gets sockets whose header was refused. They are reset afterwards. */
  constructor(refused: (socket: net.Socket) => void) {
    this.#refused = refused
  }

  /** Sets the peers that send a header. Undefined: none, so nothing is read. */
  use(proxyProtocol: readonly string[] | undefined, headTimeout: number | undefined): void {
    const next = net.createServer({ allowHalfOpen: true }, (socket) => {
      const done = this.#waiting.get(socket)
      this.#leave(socket)
      done?.()
    })
    const refused = (socket: net.Socket) => {
      this.#leave(socket)
      this.#refused(socket)
    }
    this.#begin = proxyProtocol && behindProxy(next, { proxyProtocol, headTimeout, refused })
  }

  /** Calls `done` when the header is read. */
  take(socket: net.Socket, done: () => void): void {
    if (!this.#begin) return done()
    this.#waiting.set(socket, done)
    socket.once('close', () => this.#leave(socket))
    this.#begin(socket)
  }

  /** Resolves when no header is awaited, or after `ms`. */
  async settled(ms: number): Promise<void> {
    if (this.#waiting.size === 0) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#whenSettled.add(resolve)
      timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
  }

  /** Destroys the sockets that are waiting. */
  destroy(): void {
    for (const socket of this.#waiting.keys()) socket.destroy()
  }

  #leave(socket: net.Socket): void {
    this.#waiting.delete(socket)
    if (this.#waiting.size > 0) return
    for (const tell of this.#whenSettled) tell()
    this.#whenSettled.clear()
  }
}
