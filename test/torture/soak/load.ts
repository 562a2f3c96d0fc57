import { setTimeout as sleep } from 'node:timers/promises'
import { clients } from './clients/index.ts'
import type { History } from './history.ts'
import { type Counts, judge, noCounts, type Outcome } from './judge.ts'
import { Random } from './random.ts'
import { type Client, type Scene, Visit } from './visit.ts'
import type { Traffic } from './wire.ts'

export interface Target {
  port: number
  requests?: 'first' | 'every'
  history: History
  backends: readonly string[]
}

/** Runs all clients and counts how their exchanges end. */
export class Load {
  readonly traffic: Traffic = { connections: 0, open: 0, sent: 0, received: 0 }
  readonly exchanges: Record<string, Counts> = {}
  readonly #target: Target
  readonly #complain: (fault: string) => void
  #isOver = false
  #done: Promise<unknown> = Promise.resolve()

  constructor(target: Target, complain: (fault: string) => void) {
    this.#target = target
    this.#complain = complain
  }

  start(seed: number, kinds: readonly Client[] = clients): void {
    const all: Promise<void>[] = []
    for (const client of kinds) {
      const counts = noCounts()
      this.exchanges[client.name] = counts
      for (let i = 0; i < client.count; i++)
        all.push(this.#repeat(client, counts, new Random(seed * 1000 + all.length)))
    }
    this.#done = Promise.all(all)
  }

  /** Resolves when the last visit has ended. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#done
  }

  /** One client, again and again. */
  async #repeat(client: Client, counts: Counts, random: Random): Promise<void> {
    const { port, requests = 'first', history, backends } = this.#target
    const did = (outcome: Outcome) => void counts[outcome]++
    const scene: Scene = {
      port,
      requests,
      traffic: this.traffic,
      random,
      isOver: () => this.#isOver,
      did,
      wasUp: (backend, from, to) => history.wasUp(backend, from, to),
    }
    // Spreads the first connections over half a second.
    await sleep(random.between(0, 500))
    while (!this.#isOver) {
      const visit = new Visit(scene)
      try {
        await client.run(visit)
      } catch (error) {
        const verdict = judge(visit.failure(error), history, backends)
        if (typeof verdict === 'string') did(verdict)
        else this.#complain(`${client.name}: ${verdict.fault}`)
      } finally {
        await visit.close()
      }
      await sleep(random.between(0, 300))
    }
  }
}
