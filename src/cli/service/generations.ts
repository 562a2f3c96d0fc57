import type { Connection, Counters } from '../../index.ts'
import { addUp } from '../../proxy/index.ts'
import type { Generation } from './generation.ts'

/** The generation in force, and earlier ones that still have open connections. */
export class Generations {
  #current: Generation
  readonly #former = new Set<Generation>()
  /** Counters of earlier generations that have ended. */
  #counted = addUp([])

  constructor(first: Generation) {
    this.#current = first
  }

  get current(): Generation {
    return this.#current
  }

  /** Counters of all generations since the start. */
  get counters(): Counters {
    return addUp([this.#counted, ...this.#all.map(({ proxy }) => proxy.counters)])
  }

  has(connection: Connection): boolean {
    return this.#all.some((one) => one.has(connection))
  }

  /** New clients go to `next` from now on. `ended` is called when no earlier generation has a connection any more. */
  succeed(next: Generation, ended: () => void): void {
    const former = this.#current
    if (former === next) return
    this.#current = next
    this.#former.add(former)
    former.proxy.drainConnections()
    if (next.config.clientCa) this.#endUnasked()
    former.whenIdle(() => {
      this.#counted = addUp([this.#counted, former.proxy.counters])
      this.#former.delete(former)
      if (this.#former.size === 0) ended()
    })
  }

  async drain(ms: number): Promise<void> {
    await Promise.all(this.#all.map(({ proxy }) => proxy.drain(ms)))
  }

  /** Resets all open connections. */
  destroy(): void {
    for (const generation of this.#all) generation.destroy()
  }

  /** Resets connections whose Client-Cert, if they send one, reaches the backend. */
  #endUnasked(): void {
    for (const former of this.#former) if (!former.config.clientCa) former.destroy()
  }

  get #all(): Generation[] {
    return [...this.#former, this.#current]
  }
}
