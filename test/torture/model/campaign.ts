import fc from 'fast-check'
import { expect, vi } from 'vitest'
import { type ConnectionState, proxyErrorCodes } from '../../../src/index.ts'
import { StateMachine } from '../../../src/proxy/states.ts'
import { report } from '../../helpers/report.ts'
import { Act, acts } from './acts.ts'
import { checkAll } from './invariants.ts'
import type { Network } from './network.ts'
import { type Setup, setup } from './setup.ts'
import { listeners, Stage } from './stage.ts'
import { failedWith, Trouble } from './trouble.ts'

/** One run as plain data, as in a counter-example and in cases.ts. */
export interface Case {
  setup: Setup
  acts: string[]
}

/** Runs cases on one kind of network, and counts the states and errors that they reach. */
export class Campaign {
  readonly #name: string
  readonly #open: (setup: Setup) => Network
  readonly #counts = { connections: 0, commands: 0, bytes: 0 }
  readonly #reached = new Set<string>()

  /** `open` makes a network for each run. */
  constructor(name: string, open: (setup: Setup) => Network) {
    this.#name = name
    this.#open = open
  }

  /**
   * Runs random cases (MODEL_RUNS sets how many, MODEL_SEED the seed). `ms` are the possible time-outs. Throws with the
   * smallest failing case.
   */
  async run(numRuns: number, ms: number[]): Promise<void> {
    const { MODEL_RUNS, MODEL_SEED } = process.env
    const seed = Number(MODEL_SEED ?? Date.now() % 2 ** 31)
    report('model: seed', `${this.#name} ${seed}`)
    await fc.assert(this.#property(ms), { numRuns: Number(MODEL_RUNS ?? numRuns), seed })
    const { connections, commands, bytes } = this.#counts
    const figures = `${connections} connections, ${commands} commands, ${(bytes / 1e6).toFixed(0)} MB, 0 violations`
    report(`model: ${this.#name}`, figures)
  }

  /** Returns the error of the first case that fails, if any. */
  async find(numRuns: number, ms: number[]): Promise<string> {
    const { errorInstance } = await fc.check(this.#property(ms), { numRuns, seed: 1, endOnFailure: true })
    return String(errorInstance)
  }

  #property(ms: number[]): fc.IAsyncProperty<[Setup, Iterable<Act>]> {
    return fc.asyncProperty(setup(ms), acts, (setup, commands) => this.play(setup, commands))
  }

  /** Checks that the runs reach every state and error. A shorter run by hand may not. */
  expectReached(): void {
    if (this.#counts.connections < MANY) return
    expect([...this.#reached]).toEqual(expect.arrayContaining([...STATES, ...CODES]))
  }

  /** Runs a stored case. */
  async replay({ setup, acts }: Case): Promise<void> {
    await this.play(
      setup,
      acts.map((text) => new Act(text)),
    )
  }

  /** Throws with the case if an invariant is broken. */
  async play(setup: Setup, commands: Iterable<Act>): Promise<void> {
    const trouble = new Trouble()
    const before = listeners(process)
    const spy = vi.spyOn(StateMachine.prototype, 'enter')
    const stage = new Stage(setup, this.#open(setup))
    try {
      await stage.open()
      await fc.asyncModelRun(() => ({ model: stage, real: stage }), commands)
      await stage.finish()
      const entered = spy.mock.calls.map(([state]) => state)
      checkAll(stage, entered)
      expect([listeners(process), listeners(stage.server)]).toEqual([before, stage.serverListeners])
      trouble.check()
      this.#count(stage, entered)
    } catch (cause) {
      throw failedWith(cause, { setup, acts: stage.did } satisfies Case)
    } finally {
      await stage.dispose()
      spy.mockRestore()
      trouble.stop()
    }
  }

  #count({ did, client, backends, seen }: Stage, entered: ConnectionState[]): void {
    this.#counts.connections++
    this.#counts.commands += did.length
    for (const { length } of [client, ...backends]) this.#counts.bytes += length
    for (const what of [...entered, ...seen.flatMap(({ error }) => error?.code ?? [])]) this.#reached.add(what)
  }
}

const MANY = 3_000
const STATES = ['Routing', 'Connecting', 'AwaitingResponse', 'Modifying', 'Tunnelling', 'HandedOver', 'Replying']
/** Errors that only `requests: 'every'` has. */
const OF_EVERY = [
  'BAD_REQUEST_BODY',
  'BAD_RESPONSE_BODY',
  'UNASKED_UPGRADE',
  'REQUEST_BODY_TIMEOUT',
  'REQUEST_SEND_TIMEOUT',
  'RESPONSE_BODY_TIMEOUT',
]
/** Clients send no PROXY header here, and have no TLS. */
const ELSEWHERE = [/PROXY/, /^HTTP2_EXPECTED$/]
const CODES = Object.keys(proxyErrorCodes).filter(
  (code) => !OF_EVERY.includes(code) && !ELSEWHERE.some((one) => one.test(code)),
)
