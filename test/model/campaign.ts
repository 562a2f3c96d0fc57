import fc from 'fast-check'
import { expect, vi } from 'vitest'
import { type ConnectionState, proxyErrorCodes } from '../../src/index.ts'
import { Life } from '../../src/proxy/states.ts'
import { report } from '../helpers/report.ts'
import { Act, acts } from './acts.ts'
import { checkAll } from './invariants.ts'
import type { Network } from './network.ts'
import { type Setup, setup } from './setup.ts'
import { listeners, Stage } from './stage.ts'

/** One run as plain data: what stands in a counter-example, and what is kept of it. */
export interface Case {
  setup: Setup
  acts: string[]
}

/** Runs cases on one kind of network, and counts what they went through. */
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
   * Any commands, so many times or as often as MODEL_RUNS says, from a seed of its own or MODEL_SEED. `ms`: time-outs.
   * Throws with the smallest case that it finds.
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

  /** What is wrong with the first case that fails, if any does. */
  async find(numRuns: number, ms: number[]): Promise<string> {
    const { errorInstance } = await fc.check(this.#property(ms), { numRuns, seed: 1, endOnFailure: true })
    return String(errorInstance)
  }

  #property(ms: number[]): fc.IAsyncProperty<[Setup, Iterable<Act>]> {
    return fc.asyncProperty(setup(ms), acts, (setup, commands) => this.play(setup, commands))
  }

  /** The states and failures that so many runs come by; fewer, by hand, may not. */
  expectReached(): void {
    if (this.#counts.connections < MANY) return
    expect([...this.#reached]).toEqual(expect.arrayContaining([...STATES, ...CODES]))
  }

  /** What was found once, again. */
  async replay({ setup, acts }: Case): Promise<void> {
    await this.play(
      setup,
      acts.map((text) => new Act(text)),
    )
  }

  /** Throws where a promise is not kept, with the case. */
  async play(setup: Setup, commands: Iterable<Act>): Promise<void> {
    const trouble: string[] = []
    const heard = (cause: unknown) => void trouble.push(cause instanceof Error ? `${cause.stack}` : String(cause))
    for (const event of TROUBLE) process.on(event, heard)
    const before = listeners(process)
    const spy = vi.spyOn(Life.prototype, 'enter')
    const stage = new Stage(setup, this.#open(setup))
    try {
      await stage.open()
      await fc.asyncModelRun(() => ({ model: stage, real: stage }), commands)
      await stage.finish()
      const entered = spy.mock.calls.map(([state]) => state)
      checkAll(stage, entered)
      expect([listeners(process), listeners(stage.server)]).toEqual([before, stage.serverListeners])
      if (trouble.length > 0) throw new Error(`the process was told of: ${trouble.join('; ')}`)
      this.#count(stage, entered)
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      throw new Error(`${message}\n  case: ${JSON.stringify({ setup, acts: stage.did } satisfies Case)}`, { cause })
    } finally {
      await stage.dispose()
      spy.mockRestore()
      for (const event of TROUBLE) process.off(event, heard)
    }
  }

  #count({ did, client, backends, seen }: Stage, entered: ConnectionState[]): void {
    this.#counts.connections++
    this.#counts.commands += did.length
    for (const { length } of [client, ...backends]) this.#counts.bytes += length
    for (const what of [...entered, ...seen.flatMap(({ error }) => error?.code ?? [])]) this.#reached.add(what)
  }
}

/** What breaks the process, rather than a connection. */
const TROUBLE = ['uncaughtExceptionMonitor', 'unhandledRejection', 'warning']

const MANY = 3_000
const STATES = ['Routing', 'Connecting', 'AwaitingResponse', 'Modifying', 'Tunnelling', 'HandedOver', 'Replying']
// A client here sends no PROXY header.
const CODES = Object.keys(proxyErrorCodes).filter((code) => !code.includes('PROXY'))
