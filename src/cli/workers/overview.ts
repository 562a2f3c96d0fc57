import type { AdminStatus, Controls, Workers } from '../admin/index.ts'
import { type CertificateStatus, mergeCertificates } from '../certificate-status.ts'
import { show } from '../config/index.ts'
import type { Fleet } from './fleet.ts'
import type { Action } from './messages.ts'

/** Shows all workers to the admin page as one service. */
export class Overview implements Controls, Workers {
  /** Ids of draining backends. Workers that start later drain them too. */
  readonly drained = new Set<string>()
  readonly #fleet: Fleet

  constructor(fleet: Fleet) {
    this.#fleet = fleet
  }

  get backends(): AdminStatus[] {
    return this.#fleet.stats.backends
  }

  get removed(): AdminStatus[] {
    return this.#fleet.stats.removed
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
    // The library takes time to load, so only a scrape loads it.
    const { joinMetrics, processMetrics } = await import('../admin/process.ts')
    const [own, others] = await Promise.all([processMetrics('primary'), this.#fleet.report(true)])
    return joinMetrics([own, ...others])
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

  /** The certificates that the workers use. */
  async certificates(): Promise<CertificateStatus[]> {
    return mergeCertificates(await this.#fleet.askAll(this.#fleet.members, 'certificates'))
  }

  /** Forgets the drains of backends that no longer exist. */
  async prune(): Promise<void> {
    await this.refresh()
    const known = new Set(this.backends.map(({ id }) => id))
    for (const id of this.drained) if (!known.has(id)) this.drained.delete(id)
  }

  /** @throws {RangeError} if no backend has this id */
  async #check(id: string): Promise<void> {
    await this.refresh()
    if (this.backends.some((backend) => backend.id === id)) return
    throw new RangeError(`id: expected the id of a backend, got ${show(id)}`)
  }

  async #act(action: Action, id: string): Promise<number> {
    const counts = await this.#fleet.act(action, id)
    return counts.reduce((sum, count) => sum + count, 0)
  }
}
