import { type AlgorithmName, createAlgorithm } from './algorithm.ts'
import type { Backend } from './backend.ts'
import { type Protocol, speaks } from './protocol.ts'
import { Selection } from './selection.ts'

/** Chooses among the backends that speak the client's protocol. */
export class Selections {
  readonly #create: () => Selection<Backend>
  readonly #h1: Selection<Backend>
  /** The same as `#h1` while all backends speak both protocols. */
  #h2: Selection<Backend>

  constructor(algorithm: AlgorithmName) {
    this.#create = () => new Selection(createAlgorithm(algorithm, Math.random))
    this.#h1 = this.#create()
    this.#h2 = this.#h1
  }

  /** Replaces all backends, in this order. */
  reset(all: Iterable<Backend>): void {
    // An iterator can be read once only.
    const backends = [...all]
    const speaking = (protocol: Protocol) => backends.filter((one) => speaks(one, protocol))
    const [h1, h2] = [speaking('h1'), speaking('h2')]
    const isOne = h1.length === h2.length && h1.every((one, i) => one === h2[i])
    if (isOne) this.#h2 = this.#h1
    else if (this.#h2 === this.#h1) this.#h2 = this.#create()
    this.#h1.reset(h1)
    if (!isOne) this.#h2.reset(h2)
  }

  /** Call it when a backend's availability, weight or load has changed. */
  update(one: Backend): void {
    this.#h1.update(one)
    if (this.#h2 !== this.#h1) this.#h2.update(one)
  }

  /** Chooses a backend for a client, among those not tried yet. */
  choose(protocol: Protocol, key: string, tried: readonly unknown[]): Backend | undefined {
    return (protocol === 'h2' ? this.#h2 : this.#h1).choose(key, tried)
  }
}
