import { createHash } from 'node:crypto'
import type { Candidate, Hash64, Ranking } from './ranking.ts'

/**
 * Weighted rendezvous hashing: the candidate with the highest score -weight / ln(u) wins, where u is a hash of key and
 * id. A candidate that leaves gives up only its own keys, one that joins takes its share from all, and each wins keys
 * in proportion to its weight. Looks at every candidate.
 */
export class Rendezvous<C extends Candidate> implements Ranking<C> {
  readonly #random: () => number
  readonly #candidates: (C | undefined)[] = []

  constructor(random: () => number) {
    this.#random = random
  }

  put(slot: number, candidate: C | undefined): void {
    this.#candidates[slot] = candidate
  }

  next(text: string): C | undefined {
    // Clients without a key are spread at random.
    const key = hash64(text || String(this.#random()))
    let best: C | undefined
    let least = Number.POSITIVE_INFINITY
    for (const candidate of this.#candidates) {
      if (!candidate) continue
      // The inverse of the score: the lowest wins, and nothing is divided by 0.
      const cost = -Math.log(unit(key, candidate.hash)) / candidate.weight
      // Ties go to the lower id, whatever the order of the candidates.
      if (best && (cost > least || (cost === least && candidate.id >= best.id))) continue
      best = candidate
      least = cost
    }
    return best
  }
}

export function hash64(text: string): Hash64 {
  const digest = createHash('sha256').update(text).digest()
  return [digest.readInt32LE(0), digest.readInt32LE(4)]
}

/**
 * A number from 0 (inclusive) to 1 (exclusive) in steps of 2^-53. The inputs are hashes already and only need mixing.
 */
function unit([keyHigh, keyLow]: Hash64, [idHigh, idLow]: Hash64): number {
  const once = mix(keyHigh ^ idHigh)
  const low = mix(once ^ keyLow ^ Math.imul(idLow, 0x9e3779b1))
  const high = mix(low + once)
  return ((high >>> 0) * 2 ** 21 + (low >>> 11)) / 2 ** 53
}

/** The finalizer of MurmurHash3: each input bit changes about half of the 32 output bits. */
function mix(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
