import net from 'node:net'
import { Duplex, PassThrough, Readable, Stream, Transform } from 'node:stream'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type Dest, isExhausted, ProxyError } from '../../src/proxy/index.ts'
import { messageOf, show } from '../../src/show.ts'
import { connect, listen } from '../helpers/net.ts'
import { deferred, thenable } from '../helpers/promises.ts'
import { expectNoCrashes, GET, OK, startProxy, Watch } from '../helpers/proxy.ts'
import { turns } from '../helpers/turns.ts'

expectNoCrashes()

const host = '127.0.0.1'

/** A backend that answers at once, whatever comes. */
async function startBackend(): Promise<number> {
  return listen(
    net.createServer(
      (socket) =>
        void socket
          .on('error', () => undefined)
          .resume()
          .end(OK),
    ),
  )
}

function fail(): never {
  throw new Error('of a getter')
}

function revoked<T extends object>(target: T): T {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

function errorWith(properties: PropertyDescriptorMap): Error {
  return Object.defineProperties(new Error('odd'), properties)
}

function responseWith(properties: PropertyDescriptorMap): Response {
  return Object.defineProperties(new Response('odd'), properties)
}

function responseFrom(reader: object): Response {
  return responseWith({ body: { value: { getReader: () => ({ cancel: fail, ...reader }), cancel: fail } } })
}

/** Errors that Node cannot show: it reads the stack of a stream's error. */
const ODD_ERRORS: [name: string, make: () => Error][] = [
  ['an Error whose message is a symbol', () => errorWith({ message: { value: Symbol('message') } })],
  ['an Error whose message has no prototype', () => errorWith({ message: { value: Object.create(null) } })],
  ['an Error whose message throws', () => errorWith({ message: { get: fail } })],
  ['an Error whose stack throws', () => errorWith({ stack: { get: fail } })],
]

/** Functions that make values that throw when they are read, shown or compared. */
const VALUES: [name: string, make: () => unknown][] = [
  ['nothing', () => undefined],
  ['null', () => null],
  ['a string', () => 'text'],
  ['a number', () => Number.NaN],
  ['a bigint', () => 1n],
  ['a symbol', () => Symbol('odd')],
  ['a function', () => () => undefined],
  ['an object without a prototype', () => Object.create(null)],
  ['an Error', () => new Error('plain')],
  ['an Error whose code has no prototype', () => errorWith({ code: { value: Object.create(null) } })],
  [
    'an Error of OpenSSL whose code has no prototype',
    () => errorWith({ library: { value: 'a' }, reason: { value: 'b' }, code: { value: Object.create(null) } }),
  ],
  ['an Error whose stack is an object', () => errorWith({ stack: { value: {} } })],
  [
    'an Error whose name, code and message throw',
    () => errorWith({ message: { get: fail }, code: { get: fail }, name: { get: fail } }),
  ],
  ['an Error whose toString throws', () => errorWith({ toString: { value: fail } })],
  ['an Error whose inspect throws', () => errorWith({ [inspect.custom]: { value: fail } })],
  ...ODD_ERRORS,
  [
    'an AggregateError whose errors throw',
    () => Object.defineProperty(new AggregateError([]), 'errors', { get: fail }),
  ],
  [
    'an AggregateError of itself',
    () => {
      const error = new AggregateError([])
      error.errors.push(Symbol('odd'))
      return error
    },
  ],
  ['an object whose inspect throws', () => ({ [inspect.custom]: fail })],
  ['an object whose toString and toJSON throw', () => ({ toString: fail, toJSON: fail, [Symbol.toPrimitive]: fail })],
  ['an object whose then throws', () => Object.defineProperty({}, 'then', { get: fail })],
  [
    'an object whose every property throws',
    () => new Proxy({}, { get: fail, has: fail, ownKeys: fail, getPrototypeOf: fail, getOwnPropertyDescriptor: fail }),
  ],
  ['a revoked Proxy', () => revoked({})],
  ['a revoked Proxy of an Error', () => revoked(new Error('revoked'))],
  ['a revoked Proxy of a function', () => revoked(() => undefined)],
  ['a revoked Proxy of a stream', () => revoked(new PassThrough())],
  ['a Dest whose port throws', () => Object.defineProperty({}, 'port', { get: fail })],
  [
    'a Dest whose tls throws',
    () => ({
      port: 1,
      host,
      get tls() {
        return fail()
      },
    }),
  ],
  ['a Dest whose connect is a revoked Proxy', () => ({ connect: revoked(() => undefined) })],
  ['a Dest whose host is a symbol', () => ({ port: 1, host: Symbol('host') })],
  ['a Dest whose host is an array', () => ({ port: 1, host: [host] })],
  ['a Dest whose host has no prototype', () => ({ port: 1, host: Object.create(null) })],
  ['a Dest whose sendProxy is a symbol', () => ({ port: 1, host, sendProxy: Symbol('sendProxy') })],
  ['a Dest whose sendProxy is a revoked Proxy', () => ({ port: 1, host, sendProxy: revoked({}) })],
  ['a Dest whose server name is a number', () => ({ port: 1, host, tls: { servername: 5 } })],
  ['a Dest whose server name is a symbol', () => ({ port: 1, host, tls: { servername: Symbol('name') } })],
  ['a Dest whose tls is odd', () => ({ port: 1, host, tls: revoked({}) })],
  ...['status', 'statusText', 'headers', 'body', 'bodyUsed'].map((name): [string, () => unknown] => [
    `a Response whose ${name} throws`,
    () => responseWith({ [name]: { get: fail } }),
  ]),
  ['a Response whose statusText is a symbol', () => responseWith({ statusText: { value: Symbol('odd') } })],
  ['a Response whose headers are odd', () => responseWith({ headers: { value: revoked({}) } })],
  [
    'a Response whose headers throw',
    () => responseWith({ headers: { value: { [Symbol.iterator]: fail, getSetCookie: fail } } }),
  ],
  [
    'a Response whose headers are symbols',
    () =>
      responseWith({ headers: { value: { [Symbol.iterator]: () => [Symbol('odd')].values(), getSetCookie: fail } } }),
  ],
  ['a Response whose body is odd', () => responseWith({ body: { value: revoked({}) } })],
  ['a Response whose getReader throws', () => responseWith({ body: { value: { getReader: fail, cancel: fail } } })],
  ['a Response whose reader cannot read', () => responseFrom({})],
  ['a Response whose read throws', () => responseFrom({ read: fail })],
  ['a Response whose read returns nothing', () => responseFrom({ read: async () => undefined })],
  ['a Response whose read returns a symbol', () => responseFrom({ read: async () => ({ value: Symbol('odd') }) })],
  ['a Response whose read returns a revoked Proxy', () => responseFrom({ read: async () => ({ value: revoked({}) }) })],
  [
    'a Response whose read rejects with a revoked Proxy',
    () => responseFrom({ read: () => Promise.reject(revoked({})) }),
  ],
  ...ODD_ERRORS.map(([name, make]): [string, () => unknown] => [
    `a Response whose read rejects with ${name}`,
    () => responseFrom({ read: () => Promise.reject(make()) }),
  ]),
  ['a revoked Proxy of a Response', () => revoked(new Response('odd'))],
  ['a thenable that throws', () => thenable(fail)],
  [
    'a thenable that settles twice',
    () =>
      thenable((done, failed) => {
        done(undefined)
        failed(new Error('second'))
        done('third')
      }),
  ],
  ['a thenable that rejects with a revoked Proxy', () => thenable((_, failed) => failed(revoked({})))],
  [
    'a thenable of itself',
    () => {
      const self: Promise<unknown> = thenable((done) => done(undefined))
      return self
    },
  ],
  [
    'a thenable that settles, and then throws',
    () =>
      thenable((done) => {
        done(undefined)
        fail()
      }),
  ],
]

type Hook = 'lookup' | 'modify' | 'errback' | 'connect'
type Way = 'throws' | 'rejects with' | 'returns' | 'promises'
const HOOKS: Hook[] = ['lookup', 'modify', 'errback', 'connect']
const WAYS: Way[] = ['throws', 'rejects with', 'returns', 'promises']

function act(way: Way, value: unknown): unknown {
  if (way === 'throws') throw value
  if (way === 'rejects with') return Promise.reject(value)
  return way === 'promises' ? Promise.resolve().then(() => value) : value
}

/** Sends a request, and resolves when the connection is closed. */
async function talk(port: number): Promise<void> {
  const client = net.connect(port, host).on('error', () => undefined)
  client.resume().end(GET)
  await new Promise((resolve) => client.on('close', resolve))
}

describe.each(['first', 'every'] as const)(
  'an odd value from a hook ends its connection only, requests: %s',
  (requests) => {
    for (const hook of HOOKS) {
      for (const way of WAYS) {
        test(`${hook} ${way} each of ${VALUES.length} values`, async () => {
          const backend = await startBackend()
          let make: () => unknown = () => undefined
          const odd = () => act(way, make()) as never
          const { port, server } = await startProxy<Dest>({
            requests,
            lookup: () => {
              if (hook === 'lookup') return odd()
              if (hook === 'modify') return { port: backend, host }
              return { connect: hook === 'connect' ? odd : () => Promise.reject(new Error('down')) }
            },
            modify: () => (hook === 'modify' ? odd() : undefined),
            ...(hook === 'errback' && { errback: odd }),
          })
          for (const [name, next] of VALUES) {
            make = next
            const watch = new Watch()
            await talk(port)
            await watch.until('close')
            const failed = way === 'throws' || way === 'rejects with'
            const expected = {
              lookup: 'LOOKUP_FAILED',
              modify: 'MODIFY_FAILED',
              errback: 'ERRBACK_FAILED',
              connect: 'CONNECT_FAILED',
            }
            if (failed) expect(watch.codes, name).toContain(expected[hook])
            else if (hook !== 'modify') expect(watch.codes.length, name).toBeGreaterThan(0)
            for (const { error } of watch.all('error')) expect(error.message, name).toContain(error.code)
            expect(server.active.size, name).toBe(0)
          }
          await turns(3)
        })
      }
    }

    test('and is printed safely if nobody listens', async () => {
      for (const [, make] of VALUES) {
        const odd = () => {
          throw make()
        }
        for (const lookup of [odd, () => ({ connect: odd })])
          await talk((await startProxy<Dest>({ requests, lookup })).port)
      }
      await turns(3)
    })
  },
)

test('the functions that describe a value never throw', () => {
  for (const [name, make] of VALUES) {
    expect(typeof show(make()), name).toBe('string')
    expect(typeof messageOf(make()), name).toBe('string')
    expect(typeof isExhausted(make()), name).toBe('boolean')
    expect(new ProxyError('LOOKUP_FAILED', 'lookup', make()).message, name).toMatch(/^LOOKUP_FAILED: /)
  }
})

type Done = (error: Error) => void

const failing = (options: object) => new Duplex({ read: () => undefined, write: accept, ...options })

/** Streams that fail with an error, each in another way. */
const STREAMS: [name: string, make: (error: Error) => Duplex][] = [
  ['whose read throws', (error) => failing({ read: () => raise(error) })],
  ['whose read rejects', (error) => failing({ read: () => Promise.reject(error) })],
  ['whose write throws', (error) => failing({ write: () => raise(error) })],
  ['whose write rejects', (error) => failing({ write: () => Promise.reject(error) })],
  ['whose write fails', (error) => failing({ write: (_: unknown, __: unknown, done: Done) => done(error) })],
  [
    'whose write fails later',
    (error) => failing({ write: (_: unknown, __: unknown, done: Done) => setImmediate(done, error) }),
  ],
  ['whose writev throws', (error) => failing({ write: undefined, writev: () => raise(error) })],
  ['whose transform throws', (error) => new Transform({ transform: () => raise(error) })],
  ['whose transform rejects', (error) => new Transform({ transform: () => Promise.reject(error) })],
  ['whose flush rejects', (error) => new Transform({ transform: accept, flush: () => Promise.reject(error) })],
  ['whose final throws', (error) => failing({ final: () => raise(error) })],
  ['whose final rejects', (error) => failing({ final: () => Promise.reject(error) })],
  ['whose final fails', (error) => failing({ final: (done: Done) => done(error) })],
  ['whose destroy throws', (error) => failing({ write: () => raise(new Error('first')), destroy: () => raise(error) })],
  [
    'whose destroy fails',
    (error) => failing({ write: () => raise(new Error('first')), destroy: (_: unknown, done: Done) => done(error) }),
  ],
  ['whose construct throws', (error) => failing({ construct: () => raise(error) })],
  ['whose construct fails', (error) => failing({ construct: (done: Done) => done(error) })],
  ['whose construct fails later', (error) => failing({ construct: (done: Done) => setImmediate(done, error) })],
  [
    'of a generator that throws',
    (error) =>
      Duplex.from(async function* () {
        yield await Promise.reject(error)
      }),
  ],
]

function raise(error: Error): never {
  throw error
}

function accept(_: unknown, __: unknown, done: () => void): void {
  done()
}

describe.each(['first', 'every'] as const)('a stream of a hook ends its connection only, requests: %s', (requests) => {
  test.each(STREAMS)('one %s', async (_, make) => {
    for (const [name, odd] of [...ODD_ERRORS, ['an Error', () => new Error('plain')] as const]) {
      const { port, server } = await startProxy<Dest>({ requests, lookup: () => ({ connect: () => make(odd()) }) })
      const watch = new Watch()
      await talk(port)
      await watch.until('close')
      expect(watch.codes, name).toHaveLength(1)
      expect(server.active.size, name).toBe(0)
    }
  })

  test.each<[name: string, make: (error: Error) => Readable]>([
    ['whose read throws', (error) => new Readable({ read: () => raise(error) })],
    ['whose read rejects', (error) => new Readable({ read: (() => Promise.reject(error)) as () => void })],
    [
      'of a generator that throws',
      (error) =>
        Readable.from(
          (async function* () {
            yield await Promise.reject(error)
          })(),
        ),
    ],
  ])('a Readable of errback %s', async (_, make) => {
    for (const [name, odd] of ODD_ERRORS) {
      const errback = () => make(odd())
      const { port } = await startProxy<Dest>({ requests, lookup: () => undefined, errback })
      const watch = new Watch()
      await talk(port)
      await watch.until('close')
      expect(watch.codes, name).toEqual(['NO_DESTINATION', 'REPLY_FAILED'])
    }
  })
})

test('reads each property of a Dest once', async () => {
  const backend = await startBackend()
  for (const second of [fail, () => 'other', () => revoked({})]) {
    const once = (value: unknown): PropertyDescriptor => {
      let reads = 0
      return { get: () => (reads++ === 0 ? value : second()), enumerable: true }
    }
    const DESTS: PropertyDescriptorMap[] = [
      { port: once(backend), host: once(host), tls: once(undefined), sendProxy: once(undefined) },
      { connect: once(() => net.connect(backend, host)), tls: once(false), sendProxy: once(1) },
      { server: once(net.createServer((socket) => void socket.resume().end(OK))) },
    ]
    for (const properties of DESTS) {
      const watch = new Watch()
      const dest = Object.defineProperties({}, properties) as Dest
      const { port } = await startProxy<Dest>({ lookup: () => dest, modify: () => undefined, connectTimeout: 5000 })
      const client = await connect(port)
      client.end(GET)
      expect(await client.ended()).toBe(OK)
      await watch.until('close')
      expect(watch.codes).toEqual([])
      expect(watch.all('connected')[0]!.dest).toBe(dest)
    }
  }
})

describe('an odd stream ends its connection only, and is reported', () => {
  const taking = { read() {}, write: (_chunk: unknown, _encoding: string, done: () => void) => done() }
  const METHODS = ['on', 'once', 'off', 'pipe', 'pause', 'resume', 'destroy', 'write', 'end', 'cork', 'uncork'] as const
  const STREAMS: [name: string, make: () => unknown][] = [
    ...METHODS.map((name): [string, () => unknown] => [
      `without ${name}()`,
      () => Object.assign(new Duplex(taking), { [name]: undefined }),
    ]),
    ...METHODS.filter((name) => !['on', 'once', 'off'].includes(name)).map((name): [string, () => unknown] => [
      `whose ${name}() throws`,
      () =>
        Object.assign(
          new Duplex(taking).on('error', () => undefined),
          { [name]: fail },
        ),
    ]),
    ['whose _write throws', () => new Duplex({ read() {}, write: fail })],
    ['whose _writev throws', () => new Duplex({ read() {}, writev: fail })],
    ['whose _read throws', () => new Duplex({ ...taking, read: fail })],
    ['whose _final throws', () => new Duplex({ ...taking, final: fail })],
    ['whose _destroy throws', () => new Duplex({ ...taking, destroy: fail })],
    ['whose _construct throws', () => new Duplex({ ...taking, construct: fail })],
    ['of the oldest kind', () => new Stream()],
    ['that is frozen', () => Object.freeze(new Duplex(taking))],
    [
      'that emits symbols',
      () =>
        new Duplex({
          ...taking,
          readableObjectMode: true,
          read() {
            this.push(Symbol('odd'))
          },
        }),
    ],
    [
      'that emits revoked Proxies',
      () =>
        new Duplex({
          ...taking,
          readableObjectMode: true,
          read() {
            this.push(revoked({}))
          },
        }),
    ],
  ]
  for (const [name, make] of STREAMS) {
    for (const way of ['connect', 'connect, later', 'errback'] as const) {
      test(`${way} gives one ${name}`, async () => {
        const watch = new Watch()
        const opened = deferred<void>()
        const give = () => {
          opened.resolve()
          return make() as Duplex
        }
        const { port, server } = await startProxy<Dest>({
          lookup: () =>
            way === 'errback' ? undefined : { connect: () => (way === 'connect' ? give() : opened.promise.then(give)) },
          ...(way === 'errback' && { errback: give as () => Readable }),
        })
        if (way === 'connect, later') opened.resolve()
        const client = net.connect(port, host).on('error', () => undefined)
        client.resume().end(GET)
        await opened.promise
        await turns(10)
        for (const connection of server.active) connection.destroy()
        await watch.until('close')
        expect(watch.all('close')).toHaveLength(1)
        expect(watch.codes.length).toBeGreaterThan(0)
      })
    }
  }
})
