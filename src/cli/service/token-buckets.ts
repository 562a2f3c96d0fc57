import { randomFillSync } from 'node:crypto'
import { networkNumber } from '../../ip.ts'
import type { RateSettings } from '../config/index.ts'

/** Places of a set. A client's set follows from its network. */
const WAYS = 16
const SETS = 1 << 16
/** ms. Times are sums of floating-point numbers. */
const TOLERANCE = 1e-3

/**
 * A token bucket for each client, in 16 MiB of memory, however many clients there are.
 *
 * A bucket is one number: the time at which it is full again. A client whose bucket is full needs no place: a missing one
 * is full. So each client occupies a place for as long as the tokens that it took are missing.
 *
 * If all places of a set are occupied, a new client replaces the one whose bucket is closest to full, and starts with the
 * tokens that were left there (the algorithm Space-Saving). The lowest time of a set never decreases, so a client that was
 * replaced finds no more tokens when it comes back than it would have had. Nobody gets tokens by displacing others.
 */
export class TokenBuckets {
  readonly #sets: number
  readonly #high: Uint32Array
  readonly #low: Uint32Array
  readonly #fullAt: Float64Array
  /** Random, so that nobody can choose addresses of one set. */
  readonly #hashes = randomFillSync(new Uint32Array(8 * 256))
  #interval: number
  #burst: number

  /** `sets`: a power of 2. */
  constructor({ requests, per, burst }: RateSettings, sets = SETS) {
    this.#sets = sets
    this.#high = new Uint32Array(sets * WAYS)
    this.#low = new Uint32Array(sets * WAYS)
    this.#fullAt = new Float64Array(sets * WAYS)
    this.#interval = per / requests
    this.#burst = burst
  }

  /** Changes the rate. Clients keep the tokens that they have, up to the new burst. */
  change({ requests, per, burst }: RateSettings, now: number): void {
    const interval = per / requests
    if (interval === this.#interval && burst === this.#burst) return
    for (let place = 0; place < this.#fullAt.length; place++) {
      const missing = (this.#fullAt[place]! - now) / this.#interval
      if (missing > 0) this.#fullAt[place] = now + Math.min(missing, burst) * interval
    }
    this.#interval = interval
    this.#burst = burst
  }

  /** Takes a token of a client, as `networkOf` names it. Returns 0, or the ms until it has one. `now`: ms, monotonic. */
  take(client: string, now: number): number {
    const [high, low] = networkNumber(client)
    const place = this.#find(high, low)
    const fullAt = Math.max(now, this.#fullAt[place]!) + this.#interval
    const wait = fullAt - now - this.#burst * this.#interval
    if (wait > TOLERANCE) return wait
    this.#high[place] = high
    this.#low[place] = low
    this.#fullAt[place] = fullAt
    return 0
  }

  /** The client's place, or the one of its set whose bucket is closest to full. */
  #find(high: number, low: number): number {
    const first = this.#setOf(high, low) * WAYS
    let fullest = first
    for (let place = first; place < first + WAYS; place++) {
      if (this.#low[place] === low && this.#high[place] === high) return place
      if (this.#fullAt[place]! < this.#fullAt[fullest]!) fullest = place
    }
    return fullest
  }

  /** Tabulation hashing: a random number for each value of each byte. */
  #setOf(high: number, low: number): number {
    let hash = 0
    for (let byte = 0; byte < 4; byte++) {
      hash ^= this.#hashes[byte * 256 + ((high >>> (8 * byte)) & 255)]!
      hash ^= this.#hashes[(4 + byte) * 256 + ((low >>> (8 * byte)) & 255)]!
    }
    return hash & (this.#sets - 1)
  }
}
