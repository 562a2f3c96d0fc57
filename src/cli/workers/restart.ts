/** ms that a worker has to live: one that ends sooner may do so again. */
const YOUNG_MS = 10_000
/** ms before the next one is started after one, and after many, that ended young. */
const MIN_MS = 100
const MAX_MS = 10_000

/** How long to wait before a worker is replaced. */
export class Restarts {
  /** By the worker's number, how many in a row have ended young. */
  readonly #young = new Map<number, number>()

  /** ms, for one that lived so long. */
  delayAfter(number: number, lifeMs: number): number {
    const young = lifeMs < YOUNG_MS ? (this.#young.get(number) ?? 0) + 1 : 0
    this.#young.set(number, young)
    return young === 0 ? 0 : Math.min(MAX_MS, MIN_MS * 2 ** (young - 1))
  }
}
