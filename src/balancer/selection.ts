import type { Algorithm } from './algorithm.ts'
import type { Candidate, Ranking } from './ranking.ts'

export interface Selectable extends Candidate {
  /** Accepts new clients. */
  readonly acceptsNew: boolean
  /** Used only when no other backend is available. */
  readonly isBackup: boolean
}

/** Chooses among backends without looking at all of them for each client. */
export class Selection<C extends Selectable> {
  readonly #algorithm: Algorithm<C>
  #slots: ReadonlyMap<C, number> = new Map()
  #primaries: Ranking<C>
  #backups: Ranking<C>

  constructor(algorithm: Algorithm<C>) {
    this.#algorithm = algorithm
    this.#primaries = algorithm(0)
    this.#backups = algorithm(0)
  }

  /** Replaces all backends, in this order. */
  reset(all: Iterable<C>): void {
    for (const ranking of [this.#primaries, this.#backups]) ranking.save?.()
    this.#slots = new Map([...all].map((one, slot) => [one, slot]))
    this.#primaries = this.#algorithm(this.#slots.size)
    this.#backups = this.#algorithm(this.#slots.size)
    for (const [one, slot] of this.#slots) this.#put(one, slot)
    for (const ranking of [this.#primaries, this.#backups]) ranking.settle?.()
  }

  /** Call it when a backend's availability, weight or load has changed. */
  update(one: C): void {
    const slot = this.#slots.get(one)
    if (slot !== undefined) this.#put(one, slot)
  }

  /** Chooses a backend for a client, among those not tried yet. */
  choose(key: string, tried: readonly unknown[]): C | undefined {
    const skipped = tried.filter((one): one is C => this.#slots.has(one as C))
    for (const one of skipped) this.#put(undefined, this.#slots.get(one)!)
    const chosen = this.#primaries.next(key) ?? this.#backups.next(key)
    for (const one of skipped) this.update(one)
    return chosen
  }

  #put(one: C | undefined, slot: number): void {
    this.#primaries.put(slot, one?.acceptsNew && !one.isBackup ? one : undefined)
    this.#backups.put(slot, one?.acceptsNew && one.isBackup ? one : undefined)
  }
}
