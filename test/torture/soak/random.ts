/** A seeded generator of random numbers (Marsaglia's xorshift). */
export class Random {
  #state: number

  constructor(seed: number) {
    // Spreads neighbouring seeds. A state of 0 would stay 0.
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 0 || 1
  }

  /** A number from 0 up to, but not including, 1. */
  next(): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) / 2 ** 32
  }

  /** An integer from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /** Like `between`, but evenly spread over the logarithm: 10 to 100 is as likely as 100 to 1000. */
  size(least: number, most: number): number {
    return Math.round(least * (most / least) ** this.next())
  }

  pick<T>(list: readonly T[]): T {
    return list[this.between(0, list.length - 1)]!
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }
}
