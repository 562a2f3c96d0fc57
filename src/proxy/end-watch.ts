import type net from 'node:net'
import { bytesOf, toBuffer, unshift } from './socket.ts'

/** Maximum number of bytes that are read while the client is watched. Behind more of them an end goes unnoticed. */
const MAX_BYTES = 65_536

/** Notices that the client of a waiting request ends its side. Unread bytes would hide the end, so they are kept here. */
export class EndWatch {
  readonly #socket: net.Socket
  readonly #left: () => void
  /** Nobody else reads the socket. */
  readonly #isReader: boolean
  readonly #chunks: Buffer[] = []
  #length = 0

  constructor(socket: net.Socket, isReader: boolean, left: () => void) {
    this.#socket = socket
    this.#left = left
    this.#isReader = isReader
    socket.on('end', left)
    if (isReader) socket.on('data', this.#read).resume()
  }

  /** Puts the bytes back, and leaves the socket paused. */
  stop(): void {
    const socket = this.#socket
    socket.off('end', this.#left)
    if (!this.#isReader) return
    socket.off('data', this.#read).pause()
    if (!socket.readableEnded && !socket.destroyed) unshift(socket, ...this.#chunks)
  }

  readonly #read = (chunk: unknown): void => {
    const bytes = bytesOf(chunk, this.#socket)
    if (!bytes) return
    this.#chunks.push(toBuffer(bytes))
    this.#length += bytes.length
    if (this.#length > MAX_BYTES) this.#socket.pause()
  }
}
