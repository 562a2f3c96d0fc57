import fc from 'fast-check'

/** The client's head. */
export const REQUESTS = {
  get: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  post: 'POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-Long: '.concat(
    'x'.repeat(300),
    '\r\n\r\n',
  ),
  head: 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
  upgrade: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  http2: 'PRI * HTTP/2.0\r\n\r\n',
  bad: 'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
  large: `GET / HTTP/1.1\r\nHost: a\r\nX-Large: ${'x'.repeat(1000)}\r\n\r\n`,
} as const

/** What no request line starts with, and what is longer than MAX_HEAD_BYTES. */
export const REFUSED: readonly string[] = ['bad', 'large']

export const MAX_HEAD_BYTES = 1000

/** A backend's heads: the interim ones, and the final one. */
export const RESPONSES = {
  plain: ['', 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n'],
  interim: ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  switch: ['', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
  garbage: ['HTTP/1.1 100 Continue\r\n\r\n', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
  large: ['', `HTTP/1.1 200 OK\r\nX-Large: ${'x'.repeat(1000)}\r\n\r\n`],
} as const

const WHENS = ['now', 'soon', 'later'] as const
const PLACES = ['open', 'routed', 'connected', 'error', 'lookup', 'connect', 'modify', 'errback'] as const

/** When a hook answers: at once, in a turn, or when it is told to. */
type When = (typeof WHENS)[number]
type Plan<What extends string> = `${When} ${What}`

type LookupPlan = Plan<'dest' | 'nothing' | 'throws' | 'junk'>
type ModifyPlan = Plan<'edits' | 'leaves' | 'throws'>
type ErrbackPlan = Plan<'dest' | 'readable' | 'breaking' | 'nothing' | 'throws' | 'junk'>

/**
 * What a Dest leads to.
 *   open     a backend that accepts
 *   late     one that accepts, or refuses, when it is told to
 *   refuses  nobody listens
 *   throws   connect() throws
 *   over     connect() returns a stream that is over
 *   other    as open, but reached in another way: no socket in memory; a Unix socket among the real ones
 *   own      as open, by a connect() of its own that is given a socket which still connects
 *   server   a server of this process
 */
export type DestKind = 'open' | 'late' | 'refuses' | 'throws' | 'over' | 'other' | 'own' | 'server'

export type Timeout = 'headTimeout' | 'connectTimeout' | 'responseHeadTimeout' | 'idleTimeout' | 'halfCloseTimeout'

const OPENINGS = ['none', 'request', 'exchange'] as const

/** How one run is set up: plain data, as is what is then done. */
export interface Setup {
  request: keyof typeof REQUESTS
  response: keyof typeof RESPONSES
  lookup: LookupPlan
  modify: ModifyPlan | null
  /** One for each call; after them it returns nothing. */
  errback: ErrbackPlan[] | null
  /** One for each attempt; after them: open. */
  dests: DestKind[]
  /** ms; 0: none. */
  timeouts: Record<Timeout, number>
  /** What is done before any command: nothing, a request is sent, or both heads are. */
  opening: (typeof OPENINGS)[number]
  /** The connection is destroyed from inside of that hook or event. */
  destroyIn: (typeof PLACES)[number] | null
  /** Bytes that each direction of a connection in memory holds. */
  capacity: number
  /** What comes in the end: both sides end and read all; or the connection is ended. */
  finale: 'clean' | 'destroy' | 'drain'
}

const plan = <What extends string>(first: What, ...whats: What[]): fc.Arbitrary<Plan<What>> =>
  fc
    .tuple(
      fc.oneof({ weight: 4, arbitrary: fc.constant(WHENS[0]) }, fc.constantFrom(...WHENS)),
      fc.oneof({ weight: 5, arbitrary: fc.constant(first) }, fc.constantFrom(first, ...whats)),
    )
    .map(([when, what]) => `${when} ${what}` as const)

const often = <T>(value: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: others.length, arbitrary: fc.constant(value) }, fc.constantFrom(value, ...others))

const errbackPlan = fc
  .tuple(
    fc.constantFrom(...WHENS),
    fc.constantFrom('dest', 'dest', 'dest', 'readable', 'breaking', 'nothing', 'throws', 'junk'),
  )
  .map(([when, what]) => `${when} ${what}` as ErrbackPlan)

/** `ms`: the time-outs to choose from. */
export const setup = (ms: number[]): fc.Arbitrary<Setup> => {
  const time = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constantFrom(...ms))
  return fc.record({
    request: often<Setup['request']>('get', 'post', 'head', 'upgrade', 'http2', 'bad', 'large'),
    response: often<Setup['response']>('plain', 'interim', 'switch', 'garbage', 'large'),
    lookup: plan('dest', 'nothing', 'throws', 'junk'),
    modify: fc.option(plan('edits', 'leaves', 'throws'), { freq: 2 }),
    errback: fc.option(fc.array(errbackPlan, { minLength: 1, maxLength: 3 }), { freq: 3 }),
    dests: fc.array(
      fc.constantFrom<DestKind>('open', 'open', 'late', 'refuses', 'throws', 'over', 'other', 'own', 'server'),
      {
        maxLength: 3,
      },
    ),
    timeouts: fc.record({
      headTimeout: time,
      connectTimeout: fc.constantFrom(0, ...ms),
      responseHeadTimeout: time,
      idleTimeout: time,
      halfCloseTimeout: time,
    }),
    opening: fc.constantFrom(...OPENINGS),
    destroyIn: fc.oneof({ weight: 12, arbitrary: fc.constant(null) }, fc.constantFrom(...PLACES)),
    capacity: fc.constantFrom(65_536, 1, 1_000_000),
    finale: often<Setup['finale']>('clean', 'clean', 'destroy', 'drain'),
  })
}
