import type net from 'node:net'
import { readAll, unshift } from './socket.ts'

/**
 * Notices that the client of a waiting request ends its side. Unread bytes would delay the 'end' of a paused socket, so
 * they are kept here meanwhile. Bytes that arrive later do delay it: then only a reset is noticed.
 */
export class EndWatch {
  readonly #socket: net.Socket
  readonly #left: () => void
  readonly #bytes: Buffer | undefined

  /** `isRead`: somebody else reads the socket. */
  constructor(socket: net.Socket, isRead: boolean, left: () => void) {
    this.#socket = socket
    this.#left = left
    socket.on('end', left)
    if (!isRead) this.#bytes = readAll(socket)
  }

  /** Puts the bytes back. */
  stop(): void {
    this.#socket.off('end', this.#left)
    if (this.#bytes && !this.#socket.readableEnded) unshift(this.#socket, this.#bytes)
  }
}
