import type net from 'node:net'
import type { Duplex } from 'node:stream'
import type { Head } from '../parser/index.ts'
import { planInterim } from './plan.ts'

/** Passes interim response heads to a client. The backend waits while the client does not read them. */
export class InterimHeads {
  readonly #client: net.Socket
  readonly #backend: Duplex
  #drained: (() => void) | undefined

  constructor(client: net.Socket, backend: Duplex) {
    this.#client = client
    this.#backend = backend
  }

  pass(head: Head, sent: (length: number) => void): void {
    planInterim(head)
    const bytes = head.bytes()
    sent(bytes.length)
    if (this.#client.write(bytes)) return
    this.#backend.pause()
    if (this.#drained) return
    this.#drained = () => this.#backend.resume()
    this.#client.on('drain', this.#drained)
  }

  /** Leaves the backend to others: it is not resumed from now on. */
  stop(): void {
    if (this.#drained) this.#client.off('drain', this.#drained)
  }
}
