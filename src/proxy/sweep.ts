/** ms between two checks. */
const SWEEP_MS = 500

/** Time-outs from this length in ms may be late. A check of all connections is cheaper than a timer for each. */
export const COARSE_MS = 10_000

/** A time-out that a `Sweep` checks. */
export interface Swept {
  /** Called at each check. Returns false if no time-out is running. */
  check(now: number): boolean
}

/**
 * Checks the long time-outs of a server twice a second. To start, restart or end one costs nothing: the first check after
 * that sets the deadline, and a later one finds that it has passed. A time-out is never early, and at most two checks late.
 */
export class Sweep {
  readonly #all = new Set<Swept>()
  #timer: NodeJS.Timeout | undefined

  add(one: Swept): void {
    this.#all.add(one)
    this.#timer ??= setTimeout(() => this.#check(), SWEEP_MS)
  }

  delete(one: Swept): void {
    if (this.#all.delete(one)) this.#stopIfEmpty()
  }

  #check(): void {
    // Deno may still call a timer that was cleared.
    if (!this.#timer) return
    // First, because the function of a time-out may throw.
    this.#timer.refresh()
    const now = performance.now()
    for (const one of this.#all) if (!one.check(now)) this.#all.delete(one)
    this.#stopIfEmpty()
  }

  #stopIfEmpty(): void {
    if (this.#all.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
