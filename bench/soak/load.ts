import { setTimeout as sleep } from 'node:timers/promises'
import { clients } from './clients/index.ts'
import type { History } from './history.ts'
import { judge, type Outcome } from './judge.ts'
import { Random } from './random.ts'
import { type Counts, noCounts } from './results.ts'
import { type Client, type Scene, Visit } from './visit.ts'
import type { Traffic } from './wire.ts'

export interface Target {
  port: number
  history: History
  backends: readonly string[]
}

/** All clients, and the account of what came of them. */
export class Load {
  readonly traffic: Traffic = { connections: 0, open: 0, sent: 0, received: 0 }
  readonly exchanges: Record<string, Counts> = {}
  readonly #target: Target
  readonly #complain: (what: string) => void
  #isOver = false
  #done: Promise<unknown> = Promise.resolve()

  constructor(target: Target, complain: (what: string) => void) {
    this.#target = target
    this.#complain = complain
  }

  start(seed: number, kinds: readonly Client[] = clients): void {
    const all: Promise<void>[] = []
    for (const client of kinds) {
      const counts = noCounts()
      this.exchanges[client.name] = counts
      for (let i = 0; i < client.count; i++) all.push(this.#live(client, counts, new Random(seed * 1000 + all.length)))
    }
    this.#done = Promise.all(all)
  }

  /** Resolves when the last visits are over: each has its end. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#done
  }

  /** One client: it comes again and again. */
  async #live(client: Client, counts: Counts, random: Random): Promise<void> {
    const { port, history } = this.#target
    const did = (outcome: Outcome) => void counts[outcome]++
    const scene: Scene = {
      port,
      traffic: this.traffic,
      random,
      isOver: () => this.#isOver,
      did,
      wasUp: (backend, from, to) => history.wasUp(backend, from, to),
    }
    // Not all at the same time.
    await sleep(random.between(0, 500))
    while (!this.#isOver) {
      const visit = new Visit(scene)
      try {
        await client.run(visit)
      } catch (error) {
        this.#judge(client, visit, error, did)
      } finally {
        await visit.close()
      }
      await sleep(random.between(0, 300))
    }
  }

  #judge({ name }: Client, visit: Visit, error: unknown, did: (outcome: Outcome) => void): void {
    const { history, backends } = this.#target
    const verdict = judge(visit.failure(error), history, backends)
    if (typeof verdict === 'string') did(verdict)
    else this.#complain(`${name}: ${verdict.fault}`)
  }
}
