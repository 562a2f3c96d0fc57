import fc from 'fast-check'
import type { End } from './end.ts'
import type { Stage } from './stage.ts'

/** What each command does, by its first words. The last word may be a number. Undefined: not possible now. */
interface Command {
  isPossible(stage: Stage): boolean
  run(stage: Stage, amount: number): unknown
}

const COMMANDS: Record<string, Command> = {
  // Commands without one of these between them run in one turn of the event loop.
  turn: { isPossible: () => true, run: (stage, count) => stage.turns(count) },
  hook: { isPossible: (stage) => stage.waiting.length > 0, run: (stage) => stage.waiting.shift()!() },
  accept: { isPossible: (stage) => stage.network.isConnecting, run: (stage) => stage.network.accept() },
  refuse: { isPossible: (stage) => stage.network.isConnecting, run: (stage) => stage.network.refuse() },
  elapse: { isPossible: (stage) => stage.network.canElapse(stage), run: (stage, ms) => stage.elapse(ms) },
  destroy: { isPossible: (stage) => stage.connection !== undefined, run: (stage) => stage.destroy() },
  drain: { isPossible: (stage) => !stage.isDraining, run: (stage, ms) => stage.drain(ms) },
  'readable push': { isPossible: hasReadable, run: (stage, size) => stage.pushReadable(size) },
  'readable end': { isPossible: hasReadable, run: (stage) => stage.endReadable() },
  'readable break': { isPossible: hasReadable, run: (stage) => stage.breakReadable() },
  ...deedsOf('client', (stage) => stage.client),
  ...deedsOf('backend', (stage) => stage.backend),
}

function hasReadable({ readable }: Stage): boolean {
  return readable !== undefined && !readable.stream.destroyed && !readable.hasEnded
}

function deedsOf(who: string, end: (stage: Stage) => End | undefined): Record<string, Command> {
  const command = (can: (end: End) => boolean, run: (end: End, amount: number) => unknown): Command => ({
    isPossible: (stage) => {
      const one = end(stage)
      return one !== undefined && can(one)
    },
    run: (stage, amount) => run(end(stage)!, amount),
  })
  const isThere = ({ stream, isGone }: End) => !stream.destroyed && !isGone
  return {
    [`${who} send`]: command(
      (one) => !one.isOver,
      (one, size) => one.send(size),
    ),
    [`${who} end`]: command(
      (one) => !one.isOver,
      (one) => one.end(),
    ),
    [`${who} reset`]: command(isThere, (one) => one.reset()),
    [`${who} close`]: command(isThere, (one) => one.close()),
    [`${who} pause`]: command(isThere, (one) => one.stream.pause()),
    [`${who} resume`]: command(isThere, (one) => one.stream.resume()),
    // The bytes arrive later.
    [`${who} hold`]: command(
      (one) => one.port !== undefined,
      (one) => one.hold(true),
    ),
    [`${who} release`]: command(
      (one) => one.port !== undefined,
      (one) => one.hold(false),
    ),
  }
}

/** A command for fast-check. Counter-examples show it as text: `client send 100`. */
export class Act implements fc.AsyncCommand<Stage, Stage> {
  readonly text: string
  readonly #command: Command
  readonly #amount: number

  constructor(text: string) {
    const [, name, amount] = /^(.*?)(?: (\d+))?$/.exec(text)!
    const command = COMMANDS[name!]
    if (!command) throw new Error(`no command: ${text}`)
    this.text = text
    this.#command = command
    this.#amount = Number(amount ?? Number.POSITIVE_INFINITY)
  }

  check(stage: Readonly<Stage>): boolean {
    return this.#command.isPossible(stage as Stage)
  }

  async run(_: Stage, stage: Stage): Promise<void> {
    stage.did.push(this.text)
    await this.#command.run(stage, this.#amount)
  }

  toString(): string {
    return this.text
  }
}

const size = fc.oneof(
  { weight: 10, arbitrary: fc.integer({ min: 1, max: 40 }) },
  { weight: 10, arbitrary: fc.integer({ min: 1, max: 2_000 }) },
  { weight: 20, arbitrary: fc.integer({ min: 2_000, max: 200_000 }) },
  // More than the kernel buffers for a peer that does not read.
  { weight: 1, arbitrary: fc.integer({ min: 6_000_000, max: 10_000_000 }) },
)

const numbered = (name: string, amount: fc.Arbitrary<number>) => amount.map((n) => new Act(`${name} ${n}`))
const plain = (...names: string[]) => fc.constantFrom(...names).map((name) => new Act(name))

/** Random commands in random order. */
export const acts: fc.Arbitrary<Iterable<Act>> = fc.commands(
  [
    fc.oneof(
      // Most runs should last for a while.
      { weight: 30, arbitrary: numbered('turn', fc.integer({ min: 1, max: 6 })) },
      { weight: 24, arbitrary: numbered('client send', size) },
      { weight: 24, arbitrary: numbered('backend send', size) },
      { weight: 12, arbitrary: plain('client pause', 'client resume', 'backend pause', 'backend resume') },
      { weight: 12, arbitrary: plain('client hold', 'client release', 'backend hold', 'backend release') },
      { weight: 6, arbitrary: plain('client end', 'backend end') },
      { weight: 6, arbitrary: plain('client reset', 'backend reset', 'client close', 'backend close') },
      { weight: 10, arbitrary: plain('hook') },
      { weight: 9, arbitrary: plain('accept', 'accept', 'refuse') },
      { weight: 6, arbitrary: numbered('elapse', fc.constantFrom(5, 9, 10, 11, 50, 1_000, 6_000)) },
      { weight: 6, arbitrary: fc.oneof(numbered('readable push', size), plain('readable end', 'readable break')) },
      { weight: 2, arbitrary: fc.oneof(plain('destroy', 'drain'), numbered('drain', fc.constantFrom(0, 10, 100))) },
    ),
  ],
  { maxCommands: 60, size: 'max' },
) as fc.Arbitrary<Iterable<Act>>
