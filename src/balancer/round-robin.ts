import { type Candidate, type Ranking, Tree } from './ranking.ts'

/** After so many rounds all credits are rebased to small numbers, so that they stay exact. */
const MOST_ROUNDS = 100_000

/**
 * Smooth weighted round robin. In each round every candidate gains its weight; the one with the most credit is chosen
 * and pays the sum of all weights. Over as many rounds as the weights add up to, each is chosen as often as its weight,
 * evenly spread.
 *
 * Credit grows linearly, so the round in which one candidate overtakes another is known in advance. The tree is a
 * kinetic tournament: each node knows until which round its winner stays. A choice recomputes only the nodes that have
 * expired and the path of the winner.
 */
export class RoundRobin<C extends Candidate> implements Ranking<C> {
  /** Credits of candidates that are in no slot. */
  readonly #credits: WeakMap<C, number>
  readonly #candidates: (C | undefined)[]
  /** For each slot: its gain per round, and its credit in round 0. */
  readonly #weights: Float64Array
  readonly #bases: Float64Array
  readonly #tree: Tree
  /** For each node: the winning slot (-1: none), and the first round in which another may win. */
  readonly #winners: Int32Array
  readonly #expiries: Float64Array
  #round = 0
  #sum = 0
  #isSettled = false

  /** `credits` passes from one ranking to the next, so that a changed list of backends does not start over. */
  constructor(slots: number, credits: WeakMap<C, number> = new WeakMap()) {
    this.#credits = credits
    this.#tree = new Tree(slots, (node) => this.#pull(node))
    const { leaves } = this.#tree
    this.#candidates = new Array<C | undefined>(leaves).fill(undefined)
    this.#weights = new Float64Array(leaves)
    this.#bases = new Float64Array(leaves)
    this.#winners = new Int32Array(2 * leaves).fill(-1)
    this.#expiries = new Float64Array(2 * leaves).fill(Number.POSITIVE_INFINITY)
  }

  put(slot: number, candidate: C | undefined): void {
    const before = this.#candidates[slot]
    const weight = candidate?.weight ?? 0
    if (candidate === before && weight === this.#weights[slot]) return
    if (before) this.#credits.set(before, this.#creditOf(slot))
    this.#sum += weight - this.#weights[slot]!
    this.#candidates[slot] = candidate
    this.#weights[slot] = weight
    this.#bases[slot] = candidate ? this.#limit(this.#credits.get(candidate) ?? 0) - weight * this.#round : 0
    this.#winners[this.#tree.leaves + slot] = candidate ? slot : -1
    this.#tree.update(slot)
  }

  next(): C | undefined {
    if (this.#winners[1]! < 0) return undefined
    if (this.#round === MOST_ROUNDS) this.#rebase()
    this.#round++
    this.#refresh(1)
    const slot = this.#winners[1]!
    this.#bases[slot]! -= this.#sum
    this.#tree.update(slot)
    return this.#candidates[slot]
  }

  /** Limits the credits from larger weights: they would keep candidates from their shares for many rounds. */
  settle(): void {
    this.#isSettled = true
    for (let slot = 0; slot < this.#candidates.length; slot++) {
      const credit = this.#creditOf(slot)
      const limited = this.#limit(credit)
      if (limited === credit) continue
      this.#bases[slot]! += limited - credit
      this.#tree.update(slot)
    }
  }

  /** Saves all credits for the next ranking. */
  save(): void {
    for (const [slot, candidate] of this.#candidates.entries()) {
      if (candidate) this.#credits.set(candidate, this.#creditOf(slot))
    }
  }

  /** Until all candidates are there, the sum of their weights is not known. */
  #limit(credit: number): number {
    return this.#isSettled ? Math.max(-this.#sum, Math.min(credit, this.#sum)) : credit
  }

  #creditOf(slot: number): number {
    return this.#bases[slot]! + this.#weights[slot]! * this.#round
  }

  #rebase(): void {
    for (let slot = 0; slot < this.#tree.leaves; slot++) this.#bases[slot] = this.#creditOf(slot)
    for (let node = 1; node < this.#tree.leaves; node++) this.#expiries[node]! -= this.#round
    this.#round = 0
  }

  #refresh(node: number): void {
    if (this.#expiries[node]! > this.#round) return
    this.#refresh(2 * node)
    this.#refresh(2 * node + 1)
    this.#pull(node)
  }

  #pull(node: number): void {
    const left = this.#winners[2 * node]!
    const right = this.#winners[2 * node + 1]!
    let expiry = Math.min(this.#expiries[2 * node]!, this.#expiries[2 * node + 1]!)
    let winner = left < 0 ? right : left
    if (left >= 0 && right >= 0) {
      const lead = this.#creditOf(left) - this.#creditOf(right)
      const gain = this.#weights[left]! - this.#weights[right]!
      // The first one wins a tie.
      winner = lead >= 0 ? left : right
      const isCatchingUp = lead >= 0 ? gain < 0 : gain > 0
      if (isCatchingUp) expiry = Math.min(expiry, this.#round + Math.max(1, Math.floor(Math.abs(lead / gain))))
    }
    this.#winners[node] = winner
    this.#expiries[node] = expiry
  }
}
