import type { BackendStatus } from '../../index.ts'
import type { Controls, Workers } from '../admin/index.ts'
import { show } from '../config/index.ts'
import type { Fleet } from './fleet.ts'
import type { Action } from './messages.ts'

/** The workers as those see them who look at the admin page: as one. */
export class Overview implements Controls, Workers {
  /** Ids of backends that take no new clients, whichever worker comes to serve. */
  readonly drained = new Set<string>()
  readonly #fleet: Fleet

  constructor(fleet: Fleet) {
    this.#fleet = fleet
  }

  get backends(): BackendStatus[] {
    return this.#fleet.tally.backends
  }

  get count(): number {
    return this.#fleet.serving
  }

  get restarts(): number {
    return this.#fleet.restarts
  }

  async refresh(): Promise<void> {
    await this.#fleet.report(false)
  }

  async metrics(): Promise<string> {
    // Its library takes time to load: not where nobody asks.
    const { joinMetrics, processMetrics } = await import('../admin/process.ts')
    const all = await Promise.all([processMetrics('primary'), this.#fleet.report(true)])
    return joinMetrics(all.flat())
  }

  async drain(id: string): Promise<void> {
    await this.#check(id)
    this.drained.add(id)
    await this.#act('drain', id)
  }

  async ready(id: string): Promise<void> {
    await this.#check(id)
    this.drained.delete(id)
    await this.#act('ready', id)
  }

  async kill(id: string): Promise<number> {
    await this.#check(id)
    return this.#act('kill', id)
  }

  /** Forgets the drains of backends that are gone. */
  async prune(): Promise<void> {
    await this.refresh()
    const known = new Set(this.backends.map(({ id }) => id))
    for (const id of this.drained) if (!known.has(id)) this.drained.delete(id)
  }

  /** @throws {RangeError} on an id that no backend has */
  async #check(id: string): Promise<void> {
    await this.refresh()
    if (this.backends.some((backend) => backend.id === id)) return
    throw new RangeError(`id: got ${show(id)}; takes the id of a backend`)
  }

  async #act(action: Action, id: string): Promise<number> {
    const counts = await this.#fleet.act(action, id)
    return counts.reduce((sum, count) => sum + count, 0)
  }
}
