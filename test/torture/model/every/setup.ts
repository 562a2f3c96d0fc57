import fc from 'fast-check'

/** When a hook returns: at once, in a turn, or when the test lets it. 'watching' ends if the client does. */
export const WHENS = ['now', 'soon', 'later', 'watching'] as const
type When = (typeof WHENS)[number]

/**
 * What lookup returns for a request.
 *   a, b    backends whose connections are shared
 *   once    a, with `retry: false`
 *   late    a shared backend that accepts or refuses when the test lets it
 *   dead    a closed port
 *   own     a `connect` function, whose connections are private
 *   proxy   a, with a PROXY header: private
 *   server  a server of this process: private, and its bytes take no turn of the event loop
 */
export const ROUTES = [
  'a',
  'b',
  'once',
  'late',
  'dead',
  'own',
  'proxy',
  'server',
  'response',
  'nothing',
  'throws',
] as const
export type Route = (typeof ROUTES)[number]

const ERRBACKS = ['a', 'b', 'dead', 'response', 'nothing', 'throws'] as const
type ErrbackPlan = `${When} ${(typeof ERRBACKS)[number]}`
type ModifyPlan = `${When} ${'edits' | 'leaves' | 'throws'}`

/** When backends answer: when the test lets them, or by themselves once the head or the whole request has come. */
export type Answers = 'later' | 'early' | 'at once'

const TIMEOUTS = [
  'headTimeout',
  'keepAliveTimeout',
  'bodyTimeout',
  'responseHeadTimeout',
  'connectTimeout',
  'idleTimeout',
  'halfCloseTimeout',
] as const
export type TimeoutName = (typeof TIMEOUTS)[number]

const LIMITS = { maxIdle: [0, 1, 2], maxIdleTotal: [0, 1, 2], maxRequests: [1, 2], idleLifetime: [0, 20] } as const
type LimitName = keyof typeof LIMITS

/** The setup of one run with `requests: 'every'`, as plain data. */
export interface Setup {
  modify: ModifyPlan | null
  /** The results of successive calls. After them it returns nothing. */
  errback: ErrbackPlan[] | null
  /** ms; others: none. */
  timeouts: Partial<Record<TimeoutName, number>>
  /** Others: none, and 600 s for idleLifetime. */
  pool: Partial<Record<LimitName, number>>
  /** Number of bytes that each direction of a connection buffers. */
  capacity: number
  answers: Answers
  /** The end of the run: the clients end, or the server drains. */
  finale: 'clean' | 'drain'
}

/** Every time-out of the engine, off unless the setup sets it. */
export function timeoutsOf({ timeouts }: Setup): Record<TimeoutName, number> {
  return { ...(Object.fromEntries(TIMEOUTS.map((name) => [name, 0])) as Record<TimeoutName, number>), ...timeouts }
}

const often = <T>(weight: number, value: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: other })

const plan = <What extends string>(...whats: What[]) =>
  fc
    .tuple(fc.constantFrom(...WHENS), fc.constantFrom(...whats))
    .map(([when, what]): `${When} ${What}` => `${when} ${what}`)

const some = <K extends string>(names: readonly K[], value: (name: K) => fc.Arbitrary<number>) =>
  often(
    1,
    {} as Partial<Record<K, number>>,
    fc
      .tuple(...names.map((name) => fc.option(value(name), { freq: 2 }).map((ms) => [name, ms] as const)))
      .map((entries) => Object.fromEntries(entries.filter(([, ms]) => ms !== null)) as Partial<Record<K, number>>),
  )

export const setups: fc.Arbitrary<Setup> = fc.record({
  modify: often(2, null, plan('edits', 'leaves', 'edits', 'throws') as fc.Arbitrary<ModifyPlan | null>),
  errback: often(
    2,
    null,
    fc.array(plan(...ERRBACKS), { minLength: 1, maxLength: 4 }) as fc.Arbitrary<ErrbackPlan[] | null>,
  ),
  timeouts: some(TIMEOUTS, () => fc.constantFrom(10, 50, 1_000)),
  pool: some(Object.keys(LIMITS) as LimitName[], (name) => fc.constantFrom<number>(...LIMITS[name])),
  capacity: fc.constantFrom(65_536, 1, 1_000_000),
  answers: often<Answers>(3, 'later', fc.constantFrom<Answers>('early', 'at once')),
  finale: often<Setup['finale']>(3, 'clean', fc.constant('drain')),
})
