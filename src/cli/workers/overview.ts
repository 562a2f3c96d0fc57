import { type AdminStatus, type BackendDetails, type Controls, NoAnswer, type Workers } from '../admin/index.ts'
import { type CertificateStatus, mergeCertificates } from '../certificate-status.ts'
import { show } from '../config/index.ts'
import { mergeRecent, type RequestLists } from '../recent-requests.ts'
import type { Fleet } from './fleet.ts'
import type { Action } from './messages.ts'

const NO_ANSWER = 'no worker answered within a second'

/** Shows all workers to the admin page as one service. */
export class Overview implements Controls, Workers {
  /** Ids of draining backends. Workers that start later drain them too. */
  readonly drained = new Set<string>()
  /** Weights that operators have set, by the ids of their backends. Workers that start later get them too. */
  readonly weights = new Map<string, number>()
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
    await this.#fleet.report()
  }

  async metrics(): Promise<string> {
    // The library takes time to load, so only a scrape loads it.
    const { joinMetrics, processMetrics } = await import('../admin/process.ts')
    // Leaving workers are left out: a replacement has the same label.
    const [own, others] = await Promise.all([
      processMetrics('primary'),
      this.#fleet.askAll(this.#fleet.members, 'metrics'),
    ])
    return joinMetrics([own, ...others])
  }

  async drain(id: string): Promise<void> {
    await this.#check(id)
    this.drained.add(id)
    await this.#act({ action: 'drain', id })
  }

  async ready(id: string): Promise<void> {
    await this.#check(id)
    this.drained.delete(id)
    await this.#act({ action: 'ready', id })
  }

  async kill(id: string): Promise<number> {
    await this.#check(id)
    return this.#act({ action: 'kill', id })
  }

  /** The certificates that the workers use. */
  async certificates(): Promise<CertificateStatus[]> {
    return mergeCertificates(await this.#fleet.askAll(this.#fleet.members, 'certificates'))
  }

  /** The slowest and the failed requests of all workers, also of those that are leaving. */
  async recent(): Promise<RequestLists> {
    return mergeRecent(await this.#fleet.askAll(this.#fleet.configured, 'recent'))
  }

  async setWeight(id: string, weight: number | undefined): Promise<void> {
    await this.#check(id)
    if (weight === undefined) this.weights.delete(id)
    else this.weights.set(id, weight)
    await this.#act({ action: 'setWeight', id, weight })
  }

  /** @throws {RangeError} if no worker has a backend with this id; {NoAnswer} if none of them answers */
  async details(id: string): Promise<BackendDetails> {
    const answers = await this.#fleet.askAll(this.#fleet.configured, 'details', id)
    const found = answers.filter((answer) => answer !== null)
    if (!found[0]) throw answers.length === 0 && this.#has(id) ? new NoAnswer(NO_ANSWER) : unknown(id)
    const checks = found.flatMap((one) => one.checks)
    const transitions = found.flatMap((one) => one.transitions)
    return { id, pool: found[0].pool, checks: checks.sort(newestFirst), transitions: transitions.sort(newestFirst) }
  }

  /** After a reload: forgets what the workers have forgotten, as a backend was removed or has another address. */
  async prune(): Promise<void> {
    // What an operator does meanwhile is not in the reports yet.
    const [drained, weights] = [[...this.drained], [...this.weights]]
    await this.refresh()
    const backends = new Map(this.backends.map((one) => [one.id, one]))
    for (const id of drained) if (!backends.get(id)?.drainedBy.includes('operator')) this.drained.delete(id)
    for (const [id, weight] of weights) {
      if (backends.get(id)?.weight !== weight && this.weights.get(id) === weight) this.weights.delete(id)
    }
  }

  /** @throws {RangeError} if no backend has this id */
  async #check(id: string): Promise<void> {
    await this.refresh()
    if (!this.#has(id)) throw unknown(id)
  }

  #has(id: string): boolean {
    return this.backends.some((backend) => backend.id === id)
  }

  /** @throws {NoAnswer} if there are workers, and none answers */
  async #act(action: Action): Promise<number> {
    const counts = await this.#fleet.act(action)
    if (counts.length === 0 && this.#fleet.configured.length > 0)
      throw new NoAnswer(`${NO_ANSWER}; each does it when it runs again`)
    return counts.reduce((sum, count) => sum + count, 0)
  }
}

function unknown(id: string): RangeError {
  return new RangeError(`id: expected the id of a backend, got ${show(id)}`)
}

function newestFirst(one: { at: number }, other: { at: number }): number {
  return other.at - one.at
}
