import type { Connection } from '../proxy/index.ts'

/** Bytes that a connection has moved. */
export interface Bytes {
  readonly read: number
  readonly written: number
}

/** The open connections of a backend, and the bytes that they have moved. */
export class Traffic {
  /** `since`: what the connection moved before, for other exchanges. */
  readonly #open = new Map<Connection, { isConnected: boolean; since: Bytes }>()
  /** Bytes of closed connections. */
  #bytesRead = 0
  #bytesWritten = 0
  #total = 0

  get open(): number {
    return this.#open.size
  }

  /** Connections established so far. */
  get total(): number {
    return this.#total
  }

  get bytes(): Bytes {
    let [read, written] = [this.#bytesRead, this.#bytesWritten]
    for (const [connection, { isConnected, since }] of this.#open) {
      if (!isConnected) continue
      read += connection.bytesRead - since.read
      written += connection.bytesWritten - since.written
    }
    return { read, written }
  }

  routed(connection: Connection, since: Bytes): void {
    this.#open.set(connection, { isConnected: false, since })
  }

  connected(connection: Connection): void {
    const open = this.#open.get(connection)
    if (open) open.isConnected = true
    this.#total++
  }

  /** Returns whether it was open. */
  closed(connection: Connection): boolean {
    // A connection that never got here exchanged its bytes elsewhere.
    const open = this.#open.get(connection)
    if (open?.isConnected) {
      this.#bytesRead += connection.bytesRead - open.since.read
      this.#bytesWritten += connection.bytesWritten - open.since.written
    }
    return this.#open.delete(connection)
  }

  /** Resets all connections and returns how many there were. */
  reset(): number {
    const open = [...this.#open.keys()]
    for (const connection of open) connection.destroy()
    return open.length
  }

  /** Makes connections that are still connecting try another backend. No bytes have been sent yet. */
  abandonConnects(why: Error): void {
    for (const [connection, { isConnected }] of [...this.#open]) if (!isConnected) connection.giveUp(why)
  }
}
