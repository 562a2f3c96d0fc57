import fc from 'fast-check'
import { closeIdleBackends } from '../../../../src/index.ts'
import type { ModelBackend } from './backend.ts'
import { checkNow, checkSettled } from './checks.ts'
import type { ModelClient } from './client.ts'
import { REQUEST_KINDS, RESPONSE_KINDS, type RequestName, type ResponseName } from './messages.ts'
import { SHARED } from './network.ts'
import { ROUTES, type Route, WHENS } from './setup.ts'
import type { World } from './world.ts'

/** What each command does. Undefined: it is not possible now. */
type Command = (world: World, words: string[]) => (() => unknown) | undefined

const MOST_CLIENTS = 4
/** The response that fits the request: a 101 for an upgrade, otherwise a plain one. */
const FIT = 'fit'
/** More turns than anything needs that was sent. */
const SETTLED_TURNS = 30

const number = (word: string | undefined) => Number(word ?? Number.POSITIVE_INFINITY)

/** A command for one of the clients that can do it. */
const ofClient =
  (
    can: (client: ModelClient) => boolean,
    run: (client: ModelClient, words: string[], world: World) => unknown,
  ): Command =>
  (world, [index, ...words]) => {
    const clients = world.clients.filter((one) => !one.stream.destroyed && !one.isReset && can(one))
    const client = clients[number(index) % Math.max(1, clients.length)]
    return client && (() => run(client, words, world))
  }

/** A command for one of the backend connections that can do it. */
const ofBackend =
  (
    can: (backend: ModelBackend, world: World) => boolean,
    run: (backend: ModelBackend, words: string[]) => unknown,
  ): Command =>
  (world, [index, ...words]) => {
    const backends = world.backends.filter((one) => !one.stream.destroyed && !one.isGone && can(one, world))
    const backend = backends[number(index) % Math.max(1, backends.length)]
    return backend && (() => run(backend, words))
  }

const always = () => true
const mayAsk = (client: ModelClient) => !client.isOver && !client.responses.isTunnel
const ask = (client: ModelClient, name: string, route: string, when: string) =>
  client.ask(name.replace('-', ' ') as RequestName, route as Route, when)

function answer(backend: ModelBackend, name: string): void {
  const fit = backend.open!.name === 'upgrade' ? 'switch' : 'plain'
  backend.answer(name === FIT ? fit : (name.replace('-', ' ') as ResponseName))
}

/** Whether the engine has it in the pool, and has written nothing that is still under way. */
function isIdle(backend: ModelBackend, { inspector }: World): boolean {
  const { wire, isHeld, isOver } = backend
  if (!wire || isHeld || isOver || !wire.far.isEmpty) return false
  const idle = SHARED.flatMap((place) => inspector.pool?.idleAt(place) ?? [])
  return idle.some(({ stream }) => stream === wire.socket)
}

const COMMANDS: Readonly<Record<string, Command>> = {
  // Commands without one of these between them run in one turn of the event loop.
  turn:
    (world, [count]) =>
    () =>
      world.turns(number(count)),
  settle: (world) => async () => {
    await world.turns(SETTLED_TURNS)
    checkSettled(world)
  },
  connect: (world) => (world.clients.length < MOST_CLIENTS ? () => world.connect() : undefined),
  hook: (world) => (world.waiting.length > 0 ? () => world.waiting.shift()!() : undefined),
  accept: (world) => (world.network.isConnecting ? () => world.network.accept() : undefined),
  refuse: (world) => (world.network.isConnecting ? () => world.network.refuse() : undefined),
  elapse:
    (world, [ms]) =>
    () =>
      world.elapse(number(ms)),
  drain: (world, [ms]) => (world.isDraining ? undefined : () => world.drain(number(ms))),
  leave: (world) => (world.isDraining ? undefined : () => world.leave()),
  forget:
    (world, [place, keep]) =>
    () =>
      closeIdleBackends(world.network.dests[place as 'a' | 'b'], number(keep)),
  ask: ofClient(mayAsk, (client, [name, route, when]) => {
    ask(client, name!, route!, when!)
    client.send(Number.POSITIVE_INFINITY)
  }),
  part: ofClient(mayAsk, (client, [name, route, when, size]) => {
    ask(client, name!, route!, when!)
    client.send(number(size))
  }),
  send: ofClient(
    (client) => !client.isOver && client.sent < client.bytes.length,
    (client, [size]) => client.send(number(size)),
  ),
  raw: ofClient(
    (client) => !client.isOver && client.responses.isTunnel,
    (client, [size]) => client.sendRaw(number(size)),
  ),
  end: ofClient(
    (client) => !client.isOver,
    (client) => client.end(),
  ),
  reset: ofClient(always, (client) => client.reset()),
  pause: ofClient(always, (client) => client.pause(true)),
  resume: ofClient(always, (client) => client.pause(false)),
  hold: ofClient(always, (client) => client.hold(true)),
  release: ofClient(always, (client) => client.hold(false)),
  'give-up': ofClient(
    ({ connection }) => connection?.state === 'Connecting',
    (client) => {
      client.hasGivenUp = true
      client.connection!.giveUp(new Error('given up'))
    },
  ),
  destroy: ofClient(
    ({ connection }) => connection !== undefined,
    (client) => {
      client.isDestroyed = true
      client.connection!.destroy()
    },
  ),
  answer: ofBackend(
    ({ canAnswer }) => canAnswer,
    (backend, [name]) => {
      answer(backend, name!)
      backend.send(Number.POSITIVE_INFINITY)
    },
  ),
  begin: ofBackend(
    ({ canAnswer }) => canAnswer,
    (backend, [name, size]) => {
      answer(backend, name!)
      backend.send(number(size))
    },
  ),
  more: ofBackend(
    ({ outbox, isOver }) => outbox.length > 0 && !isOver,
    (backend, [size]) => backend.send(number(size)),
  ),
  unasked: ofBackend(isIdle, (backend) => backend.unasked()),
  'raw-down': ofBackend(
    ({ isTunnel, isOver }) => isTunnel && !isOver,
    (backend, [size]) => backend.sendRaw(number(size)),
  ),
  'end-down': ofBackend(
    ({ isOver }) => !isOver,
    (backend) => backend.end(),
  ),
  'reset-down': ofBackend(always, (backend) => backend.reset()),
  'pause-down': ofBackend(always, (backend) => void backend.stream.pause()),
  'resume-down': ofBackend(always, (backend) => void backend.stream.resume()),
  'hold-down': ofBackend(
    ({ isSpoiled, port }) => !isSpoiled && port !== undefined,
    (backend) => backend.hold(true),
  ),
  'release-down': ofBackend(always, (backend) => backend.hold(false)),
}

/** A command for fast-check. Counter-examples show it as text: `ask 0 get a now`. */
export class Act implements fc.AsyncCommand<World, World> {
  readonly text: string
  readonly #command: Command
  readonly #words: string[]

  constructor(text: string) {
    const [name, ...words] = text.split(' ')
    const command = COMMANDS[name!]
    if (!command) throw new Error(`no command: ${text}`)
    this.text = text
    this.#command = command
    this.#words = words
  }

  check(world: Readonly<World>): boolean {
    return this.#command(world as World, this.#words) !== undefined
  }

  async run(_: World, world: World): Promise<void> {
    world.did.push(this.text)
    await this.#command(world, this.#words)!()
    checkNow(world)
  }

  toString(): string {
    return this.text
  }
}

const index = fc.nat({ max: 3 })
const size = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 1_000 }), fc.constant(200_000))
const often = <T>(value: T, weight: number, all: readonly T[]) =>
  fc.oneof({ weight, arbitrary: fc.constant(value) }, { weight: 10, arbitrary: fc.constantFrom(...all) })
const words = (names: object) => Object.keys(names).map((name) => name.replace(' ', '-'))
const request = often('get', 10, words(REQUEST_KINDS))
const response = often(FIT, 25, words(RESPONSE_KINDS))
const route = often('a', 30, [...ROUTES])
const when = often('now', 20, [...WHENS])

const text = (...parts: (string | fc.Arbitrary<unknown>)[]): fc.Arbitrary<Act> =>
  fc
    .tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)))
    .map((all) => new Act(all.join(' ')))

const WEIGHTS: [weight: number, command: fc.Arbitrary<Act>][] = [
  [24, text('turn', fc.integer({ min: 1, max: 8 }))],
  [4, text('settle')],
  [6, text('connect')],
  [24, text('ask', index, request, route, when)],
  [8, text('part', index, request, route, when, size)],
  [8, text('send', index, size)],
  [30, text('answer', index, response)],
  [8, text('begin', index, response, size)],
  [10, text('more', index, size)],
  [3, text('raw', index, size)],
  [3, text('raw-down', index, size)],
  [8, text('hook')],
  [4, text('accept')],
  [1, text('refuse')],
  [4, text('end', index)],
  [1, text('reset', index)],
  [3, text(fc.constantFrom('pause', 'resume', 'resume'), index)],
  [3, text(fc.constantFrom('hold', 'release'), index)],
  [4, text('end-down', index)],
  [2, text('reset-down', index)],
  [3, text('unasked', index)],
  [3, text(fc.constantFrom('pause-down', 'resume-down', 'resume-down'), index)],
  [3, text(fc.constantFrom('hold-down', 'release-down'), index)],
  [4, text('elapse', fc.constantFrom(5, 9, 10, 11, 50, 1_000, 6_000))],
  [1, text('give-up', index)],
  [1, text('forget', fc.constantFrom('a', 'b'), fc.nat({ max: 1 }))],
  [1, fc.oneof(text('destroy', index), text('leave'), text('drain', fc.constantFrom(0, 10, 2_000)))],
]

/** Random commands in random order. */
export const acts: fc.Arbitrary<Iterable<Act>> = fc.commands(
  [fc.oneof(...WEIGHTS.map(([weight, arbitrary]) => ({ weight, arbitrary })))],
  { maxCommands: 120, size: 'max' },
) as fc.Arbitrary<Iterable<Act>>
