import { createHash } from 'node:crypto'

/** What an algorithm needs to know of a backend. */
export interface Candidate {
  readonly id: string
  /** Above 0. */
  readonly weight: number
  /** Open now. */
  readonly connections: number
  /** `seedOf(id)`. */
  readonly seed: Seed
}

/** Chooses one of several candidates, of which there is at least one. `key` is what `hash` goes by. */
export interface Algorithm {
  choose<C extends Candidate>(candidates: readonly C[], key: string): C
}

export type AlgorithmName = 'round-robin' | 'least-connections' | 'random-two' | 'hash'

/** `random` gives numbers from 0 to below 1. */
export function createAlgorithm(name: AlgorithmName, random: () => number): Algorithm {
  switch (name) {
    case 'round-robin':
      return new RoundRobin()
    case 'least-connections':
      return { choose: (candidates) => leastConnections(candidates, random) }
    case 'random-two':
      return { choose: (candidates) => randomTwo(candidates, random) }
    case 'hash':
      // That clients have no key is no reason to send them all to the same backend.
      return { choose: (candidates, key) => rendezvous(candidates, seedOf(key || String(random()))) }
  }
}

/**
 * Smooth weighted round robin. Each candidate gains its weight; the richest is chosen, and pays what all have gained. In
 * as many turns as the weights add up to, each is chosen as often as its weight, and the turns of one are spread out.
 */
export class RoundRobin implements Algorithm {
  /** Those that are not candidates for a while keep what they have, and stay out of the sum. */
  readonly #credits = new WeakMap<Candidate, number>()

  choose<C extends Candidate>(candidates: readonly C[]): C {
    let best = candidates[0]!
    let most = Number.NEGATIVE_INFINITY
    let sum = 0
    for (const candidate of candidates) {
      const credit = (this.#credits.get(candidate) ?? 0) + candidate.weight
      this.#credits.set(candidate, credit)
      sum += candidate.weight
      if (credit <= most) continue
      best = candidate
      most = credit
    }
    this.#credits.set(best, most - sum)
    return best
  }
}

/** The one that would have the fewest connections for its weight with one more; of several, any. */
export function leastConnections<C extends Candidate>(candidates: readonly C[], random: () => number): C {
  let best = candidates[0]!
  let ties = 0
  for (const candidate of candidates) {
    const order = compareLoad(candidate, best)
    ties = order < 0 ? 1 : order === 0 ? ties + 1 : ties
    // The nth of equals replaces the one before with a chance of 1 in n, so that each has the same in the end.
    if (order < 0 || (order === 0 && random() * ties < 1)) best = candidate
  }
  return best
}

/** Two at random, by weight; of them the less loaded (the power of two choices). */
export function randomTwo<C extends Candidate>(candidates: readonly C[], random: () => number): C {
  const first = draw(candidates, random)
  if (candidates.length === 1) return first
  const second = draw(
    candidates.filter((candidate) => candidate !== first),
    random,
  )
  return compareLoad(second, first) < 0 ? second : first
}

/** Negative where `a` would have fewer connections for its weight than `b`. Without a division, so equal is equal. */
function compareLoad(a: Candidate, b: Candidate): number {
  return (a.connections + 1) * b.weight - (b.connections + 1) * a.weight
}

function draw<C extends Candidate>(candidates: readonly C[], random: () => number): C {
  let left = random() * candidates.reduce((sum, { weight }) => sum + weight, 0)
  for (const candidate of candidates) {
    left -= candidate.weight
    if (left < 0) return candidate
  }
  return candidates.at(-1)! // where rounding has taken the sum past the last
}

/**
 * Weighted rendezvous hashing: for each candidate a number that only the key and its id make, from which the highest
 * score, -weight / ln(u), wins. A candidate that leaves takes only its own keys along, one that comes gets all its keys
 * from where they were, and each wins as many keys as its weight.
 */
export function rendezvous<C extends Candidate>(candidates: readonly C[], key: Seed): C {
  let best = candidates[0]!
  let least = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    // The inverse of the score: the least wins, and 0 divides nothing.
    const cost = -Math.log(unit(key, candidate.seed)) / candidate.weight
    // Whatever the order of the candidates, of two equals the same wins.
    if (cost > least || (cost === least && candidate.id >= best.id)) continue
    best = candidate
    least = cost
  }
  return best
}

/** 64 bits that stand for a text. */
export type Seed = readonly [high: number, low: number]

export function seedOf(text: string): Seed {
  const digest = createHash('sha256').update(text).digest()
  return [digest.readInt32LE(0), digest.readInt32LE(4)]
}

/** From 0 to below 1, in 2 ** 53 steps: the seeds are good already, and are only stirred together. */
function unit([keyHigh, keyLow]: Seed, [idHigh, idLow]: Seed): number {
  const once = stir(keyHigh ^ idHigh)
  const low = stir(once ^ keyLow ^ Math.imul(idLow, 0x9e3779b1))
  const high = stir(low + once)
  return ((high >>> 0) * 2 ** 21 + (low >>> 11)) / 2 ** 53
}

/** The finalizer of MurmurHash3: each bit of the input changes about half of the 32 that come out. */
function stir(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
