import fc from 'fast-check'
import { expect } from 'vitest'
import { type ConnectionState, proxyErrorCodes } from '../../../../src/index.ts'
import { report } from '../../../helpers/report.ts'
import { failedWith, Trouble } from '../trouble.ts'
import { checkEnd, checkNow } from './checks.ts'
import { Act, acts } from './commands.ts'
import { type Setup, setups } from './setup.ts'
import { World } from './world.ts'

/** One run as plain data, as in a counter-example and in cases.ts. */
export interface Case {
  setup: Setup
  acts: string[]
}

/** Runs cases, and counts what they reach. */
export class Campaign {
  readonly #counts = { runs: 0, commands: 0, connections: 0, requests: 0, reuses: 0, retries: 0 }
  readonly #reached = new Set<string>()

  /** Runs random cases (MODEL_RUNS sets how many, MODEL_SEED the seed). Throws with the smallest failing case. */
  async run(numRuns: number): Promise<void> {
    const { MODEL_RUNS, MODEL_SEED } = process.env
    const seed = Number(MODEL_SEED ?? Date.now() % 2 ** 31)
    report("model of requests: 'every': seed", String(seed))
    await fc.assert(this.#property(), { numRuns: Number(MODEL_RUNS ?? numRuns), seed })
    const figures = Object.entries(this.#counts).map(([name, count]) => `${count} ${name}`)
    report("model of requests: 'every'", `${figures.join(', ')}, 0 violations`)
  }

  /** Checks that the runs reach every state and error. A shorter run by hand may not. */
  expectReached(): void {
    if (this.#counts.runs >= MANY) expect([...this.#reached]).toEqual(expect.arrayContaining([...STATES, ...CODES]))
  }

  /** Returns the error of the first case that fails, if any. */
  async find(numRuns: number): Promise<string> {
    const { errorInstance } = await fc.check(this.#property(), { numRuns, seed: 1, endOnFailure: true })
    return String(errorInstance)
  }

  #property() {
    return fc.asyncProperty(setups, acts, (setup, commands) => this.play(setup, commands))
  }

  async replay({ setup, acts }: Case): Promise<void> {
    await this.play(
      setup,
      acts.map((text) => new Act(text)),
    )
  }

  /** Throws with the case if an invariant is broken. */
  async play(setup: Setup, commands: Iterable<Act>): Promise<void> {
    const trouble = new Trouble()
    const world = new World(setup)
    try {
      world.connect()
      await fc.asyncModelRun(() => ({ model: world, real: world }), commands)
      await world.finish(() => checkNow(world))
      checkEnd(world)
      trouble.check()
      this.#count(world)
    } catch (cause) {
      throw failedWith(cause, { setup, acts: world.did } satisfies Case)
    } finally {
      world.dispose()
      trouble.stop()
    }
  }

  #count({ did, clients, inspector, server }: World): void {
    const { accepted, requests, reuses, retries } = server.counters
    this.#counts.runs++
    this.#counts.commands += did.length
    this.#counts.connections += accepted
    this.#counts.requests += requests
    this.#counts.reuses += reuses
    this.#counts.retries += retries
    for (const state of [...inspector.states.values()].flat()) this.#reached.add(state)
    for (const { code } of clients.flatMap(({ errors }) => errors)) this.#reached.add(code)
  }
}

const MANY = 6_000
const STATES: ConnectionState[] = [
  ...(['AwaitingHead', 'Routing', 'Connecting', 'AwaitingResponse', 'Modifying'] as const),
  ...(['Responding', 'Tunnelling', 'Replying', 'Closed'] as const),
]
/** No client sends a PROXY header or the preface of HTTP/2, and no errback returns a stream. */
const CODES = Object.keys(proxyErrorCodes).filter((code) => !/PROXY|HTTP2|REPLY/.test(code))
