import { type Candidate, type Ranking, Tree } from './ranking.ts'

/** Picks the backend with the lowest (connections + 1) / weight, at random among equals. */
export class LeastConnections<C extends Candidate> implements Ranking<C> {
  readonly #random: () => number
  readonly #candidates: (C | undefined)[]
  readonly #tree: Tree
  /** For each node: a slot with the least load (-1: empty), and how many slots have that load. */
  readonly #least: Int32Array
  readonly #counts: Int32Array

  constructor(slots: number, random: () => number) {
    this.#random = random
    this.#tree = new Tree(slots, (node) => this.#pull(node))
    const { leaves } = this.#tree
    this.#candidates = new Array<C | undefined>(leaves).fill(undefined)
    this.#least = new Int32Array(2 * leaves).fill(-1)
    this.#counts = new Int32Array(2 * leaves)
  }

  put(slot: number, candidate: C | undefined): void {
    const leaf = this.#tree.leaves + slot
    if (!candidate && this.#least[leaf]! < 0) return
    this.#candidates[slot] = candidate
    this.#least[leaf] = candidate ? slot : -1
    this.#counts[leaf] = candidate ? 1 : 0
    this.#tree.update(slot)
  }

  next(): C | undefined {
    if (this.#least[1]! < 0) return undefined
    let nth = Math.floor(this.#random() * this.#counts[1]!)
    let node = 1
    while (node < this.#tree.leaves) {
      const order = this.#compare(2 * node, 2 * node + 1)
      const isLeft = order < 0 || (order === 0 && nth < this.#counts[2 * node]!)
      if (order === 0 && !isLeft) nth -= this.#counts[2 * node]!
      node = isLeft ? 2 * node : 2 * node + 1
    }
    return this.#candidates[node - this.#tree.leaves]
  }

  #pull(node: number): void {
    const [left, right] = [2 * node, 2 * node + 1]
    const order = this.#compare(left, right)
    this.#least[node] = this.#least[order <= 0 ? left : right]!
    this.#counts[node] = (order <= 0 ? this.#counts[left]! : 0) + (order >= 0 ? this.#counts[right]! : 0)
  }

  #compare(one: number, other: number): number {
    const [left, right] = [this.#least[one]!, this.#least[other]!]
    // If both are empty the left one wins, with a count of 0.
    if (right < 0) return -1
    return left < 0 ? 1 : compareLoad(this.#candidates[left]!, this.#candidates[right]!)
  }
}

/**
 * Compares loads: negative if `a` is less loaded than `b`. It multiplies instead of dividing, so equal loads compare as
 * equal.
 */
export function compareLoad(a: Candidate, b: Candidate): number {
  return (a.connections + 1) * b.weight - (b.connections + 1) * a.weight
}
