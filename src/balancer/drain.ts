/** Who drains a backend: its operator by `drain()`, or its health checks by their `drainStatus`. */
export type Drainer = 'operator' | 'check'

/** Whether a backend drains. It does as long as anybody says so. */
export class Drain {
  /** When it began, in ms since 1970. Undefined if there is none. */
  since: number | undefined
  readonly #by = new Set<Drainer>()

  get by(): Drainer[] {
    return [...this.#by]
  }

  /** Returns whether the drain has begun or ended. */
  set(by: Drainer, drains: boolean): boolean {
    if (drains) this.#by.add(by)
    else this.#by.delete(by)
    const isDraining = this.#by.size > 0
    if (isDraining === (this.since !== undefined)) return false
    this.since = isDraining ? Date.now() : undefined
    return true
  }
}
