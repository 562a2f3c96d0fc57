/** What an algorithm needs to know about a backend. */
export interface Candidate {
  readonly id: string
  /** Above 0. */
  readonly weight: number
  /** Open connections. */
  readonly connections: number
  /** `hash64(id)`. */
  readonly hash: Hash64
}

/** A 64-bit hash. */
export type Hash64 = readonly [high: number, low: number]

/**
 * Candidates in numbered slots, and the order in which they are chosen. Cost grows with the logarithm of their number,
 * except for `hash`, which looks at all.
 */
export interface Ranking<C extends Candidate> {
  /** Puts a candidate into a slot, again when its load or weight has changed, or empties the slot. */
  put(slot: number, candidate: C | undefined): void
  /** Chooses a candidate; undefined if there is none. Only `hash` uses `key`. */
  next(key: string): C | undefined
  /** Called once all candidates are in their slots. */
  settle?(): void
  /** Called before another ranking takes over the same candidates. */
  save?(): void
}

/** A binary tree in an array whose leaves are the slots: node n has the children 2n and 2n + 1, the root is 1. */
export class Tree {
  readonly leaves: number
  readonly #pull: (node: number) => void

  /** `pull` recomputes a node from its children. */
  constructor(slots: number, pull: (node: number) => void) {
    this.leaves = 2 ** Math.ceil(Math.log2(Math.max(2, slots)))
    this.#pull = pull
  }

  /** Recomputes the ancestors of a slot. */
  update(slot: number): void {
    for (let node = (this.leaves + slot) >> 1; node > 0; node >>= 1) this.#pull(node)
  }
}
