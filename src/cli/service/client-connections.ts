/** Counts what each client has open, and limits it. */
export class ClientConnections {
  limit = Number.POSITIVE_INFINITY
  /** Only clients that have something open. */
  readonly #open = new Map<string, number>()

  /** Number of clients that have something open. */
  get size(): number {
    return this.#open.size
  }

  /** Counts one more for a client. Returns false if it has reached the limit: then nothing is counted. */
  take(client: string): boolean {
    const open = this.#open.get(client) ?? 0
    if (open >= this.limit) return false
    this.#open.set(client, open + 1)
    return true
  }

  /** Call it once for each `take` that returned true. */
  release(client: string): void {
    const open = this.#open.get(client)! - 1
    if (open > 0) this.#open.set(client, open)
    else this.#open.delete(client)
  }
}
