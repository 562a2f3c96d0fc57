import fc from 'fast-check'

/** The Content-Length of 'put' and 'length': much more or much less than what follows them. */
const BODY_BYTES = 5_000

/** The client's heads. The bytes after them are not chunks. */
export const REQUESTS = {
  get: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  post: 'POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-Long: '.concat(
    'x'.repeat(300),
    '\r\n\r\n',
  ),
  put: `PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`,
  head: 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
  upgrade: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  http2: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  bad: 'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
  large: `GET / HTTP/1.1\r\nHost: a\r\nX-Large: ${'x'.repeat(1000)}\r\n\r\n`,
} as const

/** An invalid request line, and a head longer than MAX_HEAD_BYTES. */
export const REFUSED: readonly string[] = ['bad', 'large']

export const MAX_HEAD_BYTES = 1000

/** A backend's interim and final heads. The bytes after them are not chunks. */
export const RESPONSES = {
  plain: ['', 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n'],
  interim: ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  length: ['', `HTTP/1.1 200 OK\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`],
  chunked: ['', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  switch: ['', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
  garbage: ['HTTP/1.1 100 Continue\r\n\r\n', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
  large: ['', `HTTP/1.1 200 OK\r\nX-Large: ${'x'.repeat(1000)}\r\n\r\n`],
} as const

const WHENS = ['now', 'soon', 'later'] as const
const PLACES = ['open', 'routed', 'connecting', 'connected', 'error', 'lookup', 'connect', 'modify', 'errback'] as const

/** When a hook returns: at once, in a turn, or when the test lets it. */
type When = (typeof WHENS)[number]
type Plan<What extends string> = `${When} ${What}`

type LookupPlan = Plan<'dest' | 'response' | 'nothing' | 'throws' | 'junk'>
type ModifyPlan = Plan<'edits' | 'leaves' | 'throws'>
type ErrbackPlan = Plan<'dest' | 'response' | 'readable' | 'breaking' | 'nothing' | 'throws' | 'junk'>

/**
 * The backend of a Dest.
 *   open     accepts
 *   late     accepts or refuses when the test lets it
 *   refuses  a closed port
 *   throws   connect() throws
 *   over     connect() returns a stream that has ended
 *   other    accepts, over another transport: a stream that is not a socket, or a Unix socket
 *   own      accepts, through connect() with a socket that is still connecting
 *   server   a server of this process
 */
export type DestKind = 'open' | 'late' | 'refuses' | 'throws' | 'over' | 'other' | 'own' | 'server'

export type Timeout = 'headTimeout' | 'connectTimeout' | 'responseHeadTimeout' | 'idleTimeout' | 'halfCloseTimeout'

const OPENINGS = ['none', 'request', 'exchange'] as const

/** The setup of one run with `requests: 'first'`, as plain data. */
export interface Setup {
  request: keyof typeof REQUESTS
  response: keyof typeof RESPONSES
  http2: 'pass' | 'refuse'
  lookup: LookupPlan
  modify: ModifyPlan | null
  /** The results of successive calls. After them it returns nothing. */
  errback: ErrbackPlan[] | null
  /** The backends of successive attempts. After them: open. */
  dests: DestKind[]
  /** ms; 0: none. */
  timeouts: Record<Timeout, number>
  /** What is sent before the commands: nothing, the request, or both heads. */
  opening: (typeof OPENINGS)[number]
  /** The hook or event that destroys the connection. */
  destroyIn: (typeof PLACES)[number] | null
  /** Number of bytes that each direction of a connection in memory buffers. */
  capacity: number
  /** The end of the run: both sides end and read everything, or the connection is destroyed. */
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
    fc.constantFrom('dest', 'dest', 'dest', 'response', 'readable', 'breaking', 'nothing', 'throws', 'junk'),
  )
  .map(([when, what]) => `${when} ${what}` as ErrbackPlan)

/** `ms` are the possible time-outs. */
export const setup = (ms: number[]): fc.Arbitrary<Setup> => {
  const time = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constantFrom(...ms))
  return fc.record({
    request: often<Setup['request']>('get', 'post', 'put', 'head', 'upgrade', 'http2', 'bad', 'large'),
    response: often<Setup['response']>('plain', 'interim', 'length', 'chunked', 'switch', 'garbage', 'large'),
    http2: often<Setup['http2']>('pass', 'refuse'),
    lookup: plan('dest', 'response', 'nothing', 'throws', 'junk'),
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
