import { compareLoad } from './least-connections.ts'
import { type Candidate, type Ranking, Tree } from './ranking.ts'

/** Picks two backends at random, by weight, and takes the less loaded one (the power of two choices). */
export class RandomTwo<C extends Candidate> implements Ranking<C> {
  readonly #random: () => number
  readonly #candidates: (C | undefined)[]
  readonly #tree: Tree
  /** The sum of the weights below each node. */
  readonly #sums: Float64Array

  constructor(slots: number, random: () => number) {
    this.#random = random
    this.#tree = new Tree(slots, (node) => {
      this.#sums[node] = this.#sums[2 * node]! + this.#sums[2 * node + 1]!
    })
    const { leaves } = this.#tree
    this.#candidates = new Array<C | undefined>(leaves).fill(undefined)
    this.#sums = new Float64Array(2 * leaves)
  }

  put(slot: number, candidate: C | undefined): void {
    this.#candidates[slot] = candidate
    this.#weigh(slot, candidate?.weight ?? 0)
  }

  next(): C | undefined {
    if (this.#sums[1] === 0) return undefined
    const slot = this.#draw()
    const first = this.#candidates[slot]!
    this.#weigh(slot, 0)
    const second = this.#sums[1] === 0 ? first : this.#candidates[this.#draw()]!
    this.#weigh(slot, first.weight)
    return compareLoad(second, first) < 0 ? second : first
  }

  #weigh(slot: number, weight: number): void {
    const leaf = this.#tree.leaves + slot
    if (this.#sums[leaf] === weight) return
    this.#sums[leaf] = weight
    this.#tree.update(slot)
  }

  #draw(): number {
    let left = this.#random() * this.#sums[1]!
    let node = 1
    while (node < this.#tree.leaves) {
      node *= 2
      if (left < this.#sums[node]! || this.#sums[node + 1] === 0) continue
      left -= this.#sums[node]!
      node++
    }
    return node - this.#tree.leaves
  }
}
