import net from 'node:net'
import type { ReadableStreamDefaultController, UnderlyingSource } from 'node:stream/web'
import { Response as UndiciResponse } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Dest, ProxyOptions } from '../../src/index.ts'
import { lengthOf, stable } from '../helpers/flood.ts'
import { connect, deadPort } from '../helpers/net.ts'
import { deferred } from '../helpers/promises.ts'
import { answer, ask, expectNoWarnings, GET, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'

expectNoWarnings()

const host = '127.0.0.1'
/** More bytes than the kernel buffers for a client that does not read. */
const SIZE = 1 << 26
const HEAD = GET.replace('GET', 'HEAD')
const OLD = GET.replace('1.1', '1.0')
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

type Make = () => unknown
type To = ReadableStreamDefaultController<unknown>

/** The hooks that may answer, each with a proxy that answers every client with the result of `make`. */
const HOOKS: [hook: string, start: (make: Make, options?: Partial<ProxyOptions>) => Promise<number>][] = [
  ['lookup', async (make, options) => (await startProxy<Dest>({ lookup: make as () => Response, ...options })).port],
  [
    'errback',
    async (make, options) => {
      const port = await deadPort()
      const hooks = { lookup: () => ({ port, host }), errback: make as () => Response }
      return (await startProxy<Dest>({ ...hooks, ...options })).port
    },
  ],
]
const startAnswering = HOOKS[0]![1]

function streaming(source: UnderlyingSource): Response {
  return new Response(new ReadableStream(source))
}

/** A Response with a body that the test writes. */
function writable() {
  const { promise, resolve } = deferred<To>()
  return { make: () => streaming({ start: resolve }), to: promise }
}

/** The text of a chunked body. Throws if it is incomplete. */
function decode(text: string): string {
  const [head, body] = [text.slice(0, text.indexOf('\r\n\r\n')), text.slice(text.indexOf('\r\n\r\n') + 4)]
  expect(head).toMatch(/\r\nTransfer-Encoding: chunked\r\n/)
  let decoded = ''
  for (let at = 0; ; ) {
    const end = body.indexOf('\r\n', at)
    const size = Number.parseInt(body.slice(at, end), 16)
    const data = body.slice(end + 2, end + 2 + size)
    expect(body.slice(end + 2 + size, end + 4 + size)).toBe('\r\n')
    if (size === 0) {
      expect(end + 4).toBe(body.length)
      return decoded
    }
    decoded += data
    at = end + 4 + size
  }
}

const OK_HELLO = 'content-type: text/plain;charset=UTF-8\r\nContent-Length: 5\r\nConnection: close\r\n\r\n'
const EMPTY = 'Content-Length: 0\r\nConnection: close\r\n\r\n'

describe.each(HOOKS)('a Response from %s is the answer', (_hook, start) => {
  const CASES: [name: string, make: Make, expected: string][] = [
    ['with text', () => new Response('hello'), `HTTP/1.1 200 OK\r\n${OK_HELLO}hello`],
    ['in a promise', async () => new Response('hello'), `HTTP/1.1 200 OK\r\n${OK_HELLO}hello`],
    [
      'with a status and fields',
      () => new Response('hello', { status: 401, headers: { 'WWW-Authenticate': 'Basic', 'Content-Type': 'a/b' } }),
      'HTTP/1.1 401 Unauthorized\r\ncontent-type: a/b\r\nwww-authenticate: Basic\r\n' +
        'Content-Length: 5\r\nConnection: close\r\n\r\nhello',
    ],
    [
      'with a status text',
      () => new Response(null, { status: 599, statusText: 'Gone away' }),
      `HTTP/1.1 599 Gone away\r\n${EMPTY}`,
    ],
    ['with a status without a name', () => new Response(null, { status: 599 }), `HTTP/1.1 599 \r\n${EMPTY}`],
    [
      'that redirects',
      () => new Response(null, { status: 308, headers: { Location: '/x' } }),
      `HTTP/1.1 308 Permanent Redirect\r\nlocation: /x\r\n${EMPTY}`,
    ],
    [
      'of Response.redirect()',
      () => Response.redirect('http://b/x', 302),
      `HTTP/1.1 302 Found\r\nlocation: http://b/x\r\n${EMPTY}`,
    ],
    [
      'of Response.json()',
      () => Response.json({ up: true }),
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{"up":true}',
    ],
    [
      'with several cookies',
      () => {
        const response = new Response(null)
        response.headers.append('Set-Cookie', 'a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT')
        response.headers.append('Set-Cookie', 'b=2')
        return response
      },
      `HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT\r\nSet-Cookie: b=2\r\n${EMPTY}`,
    ],
    [
      'without its framing and hop-by-hop fields',
      () => {
        const names = ['Connection', 'Keep-Alive', 'Proxy-Connection', 'Trailer', 'Transfer-Encoding', 'Upgrade']
        const headers = Object.fromEntries(names.map((name) => [name, 'chunked']))
        return new Response('hello', { headers: { ...headers, 'Content-Length': '99', Close: 'x' } })
      },
      `HTTP/1.1 200 OK\r\nclose: x\r\n${OK_HELLO}hello`,
    ],
    [
      'of status 204',
      () => new Response(null, { status: 204 }),
      'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n',
    ],
    [
      'of status 304',
      () => new Response(null, { status: 304, headers: { ETag: '"x"', 'Content-Length': '5' } }),
      'HTTP/1.1 304 Not Modified\r\netag: "x"\r\nConnection: close\r\n\r\n',
    ],
    ['of status 205', () => new Response(null, { status: 205 }), `HTTP/1.1 205 Reset Content\r\n${EMPTY}`],
    [
      "of undici's own class",
      () => new UndiciResponse('hello', { headers: { 'Content-Type': 'a/b' } }),
      'HTTP/1.1 200 OK\r\ncontent-type: a/b\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello',
    ],
    ['of a subclass', () => new (class extends Response {})('hello'), `HTTP/1.1 200 OK\r\n${OK_HELLO}hello`],
    [
      'of the same shape',
      () => ({ status: 200, headers: new Headers({ A: 'b' }), body: new Blob(['hello']).stream(), bodyUsed: false }),
      'HTTP/1.1 200 OK\r\na: b\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello',
    ],
    [
      'with a body that comes in pieces, some of them empty',
      () =>
        streaming({
          start: (to) => ['', 'hel', '', 'lo', ''].map((piece) => to.enqueue(Buffer.from(piece))) && to.close(),
        }),
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello',
    ],
  ]
  test.each(CASES)('%s', async (_name, make, expected) => {
    const text = await ask(await start(make))
    expect(text.match(/\r\nDate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n/g)).toHaveLength(1)
    expect(withoutDate(text)).toBe(expected)
    const last = GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')
    expect(withoutDate(await ask(await start(make, { requests: 'every' }), last))).toBe(expected)
  })

  test('with its own Date', async () => {
    const port = await start(() => new Response(null, { headers: { Date: 'today' } }))
    expect(await ask(port)).toBe(`HTTP/1.1 200 OK\r\ndate: today\r\n${EMPTY}`)
  })

  test('to HEAD without its body', async () => {
    expect(withoutDate(await ask(await start(() => new Response('hello')), HEAD))).toBe(
      `HTTP/1.1 200 OK\r\n${OK_HELLO}`,
    )
    const port = await start(() => new Response(null))
    expect(withoutDate(await ask(port, HEAD))).toBe('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')
  })

  test('to HTTP/1.0', async () => {
    expect(withoutDate(await ask(await start(() => new Response('hello')), OLD))).toBe(
      `HTTP/1.1 200 OK\r\n${OK_HELLO}hello`,
    )
  })

  test('while the client still sends, and drops what it sends', async () => {
    const { promise, resolve } = deferred<Response>()
    const client = await connect(await start(() => promise))
    client.write(GET.replace('GET', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 9999999\r\n\r\n'))
    client.write(Buffer.alloc(9_999_999, 'x'))
    resolve(new Response('hello'))
    expect(withoutDate(await client.ended())).toBe(`HTTP/1.1 200 OK\r\n${OK_HELLO}hello`)
    client.end()
    await client.closed()
    expect(client.error).toBeUndefined()
  })
})

describe('a body', () => {
  test('of 65,536 bytes has a Content-Length, a longer one is chunked', async () => {
    const short = await ask(await startAnswering(() => new Response('x'.repeat(65_536))))
    expect(short).toMatch(/\r\nContent-Length: 65536\r\n/)
    expect(short.slice(short.indexOf('\r\n\r\n') + 4)).toBe('x'.repeat(65_536))
    const long = await ask(await startAnswering(() => new Response('x'.repeat(65_537))))
    expect(long).not.toMatch(/Content-Length/)
    expect(decode(long)).toBe('x'.repeat(65_537))
  })

  test('in one piece of many bytes', async () => {
    expect(decode(await ask(await startAnswering(() => new Response('y'.repeat(1_000_000)))))).toBe(
      'y'.repeat(1_000_000),
    )
  })

  test('that is long ends with the connection for an HTTP/1.0 client', async () => {
    const text = await ask(await startAnswering(() => new Response('x'.repeat(65_537))), OLD)
    expect(text).not.toMatch(/Content-Length|Transfer-Encoding/)
    expect(text.slice(text.indexOf('\r\n\r\n'))).toBe(`\r\n\r\n${'x'.repeat(65_537)}`)
  })

  test('that is long is cancelled for HEAD', async () => {
    const cancelled = deferred<unknown>()
    const make = () => streaming({ pull: (to) => to.enqueue(Buffer.alloc(1000)), cancel: cancelled.resolve })
    const text = await ask(await startAnswering(make), HEAD)
    expect(withoutDate(text)).toMatch(
      /^HTTP\/1.1 200 OK\r\n(Transfer-Encoding: chunked\r\n)?Connection: close\r\n\r\n$/,
    )
    await cancelled.promise
  })

  test('that is slow is sent piece by piece after the head', async () => {
    const { make, to } = writable()
    const client = await connect(await startAnswering(make))
    client.write(GET)
    await client.until('\r\n\r\n')
    for (const piece of ['one', 'two']) {
      ;(await to).enqueue(Buffer.from(piece))
      await client.until(`3\r\n${piece}\r\n`)
    }
    ;(await to).close()
    expect(decode(await client.ended())).toBe('onetwo')
  })

  test('whose first piece comes at once does not wait for the next', async () => {
    const make = () => streaming({ start: (to) => to.enqueue(Buffer.from('data: 1\n\n')) })
    const client = await connect(await startAnswering(make))
    client.write(GET)
    expect(await client.until('data: 1\n\n')).toMatch(/\r\nTransfer-Encoding: chunked\r\n/)
  })

  test('that stays silent does not delay an answer to HEAD', async () => {
    expect(await ask(await startAnswering(() => streaming({})), HEAD)).toMatch(/^HTTP\/1.1 200 OK\r\n/)
  })

  test('is read as fast as the client reads it', async () => {
    let given = 0
    const pull = (to: To) => {
      given += 1 << 16
      if (given > SIZE) to.close()
      else to.enqueue(Buffer.alloc(1 << 16, 'x'))
    }
    const client = net.connect(await startAnswering(() => streaming({ pull })), host).on('error', () => undefined)
    onTestFinished(() => void client.destroy())
    client.write(OLD)
    await stable(() => given)
    expect(given).toBeLessThan(SIZE)
    expect(await lengthOf(client)).toBeGreaterThan(SIZE)
  })

  test('that stays silent for halfCloseTimeout resets the client', async () => {
    const watch = new Watch()
    const port = await startAnswering(() => streaming({}), { halfCloseTimeout: 30 })
    await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
    await watch.until('close')
    expect(watch.codes).toEqual(['HALF_CLOSE_TIMEOUT'])
  })
})

describe('a body that fails resets the client, and is reported', () => {
  const cause = new Error('broke')
  const broken = { message: expect.stringContaining('the body of a Response') }
  const BROKEN: [name: string, make: Make, cause: unknown][] = [
    ['at once', () => streaming({ start: (to) => to.error(cause) }), cause],
    ['while it is read', () => streaming({ pull: () => Promise.reject(cause) }), cause],
    [
      'with a value that is not an Error',
      () => streaming({ pull: () => Promise.reject('odd') }),
      { ...broken, cause: 'odd' },
    ],
    ['by emitting text', () => streaming({ start: (to) => to.enqueue('text') }), broken],
  ]
  test.each(BROKEN)('%s', async (_name, make, thrown) => {
    const watch = new Watch()
    await expect(ask(await startAnswering(make))).rejects.toThrow(/ECONNRESET/)
    await watch.until('close')
    expect(watch.codes).toEqual(['REPLY_FAILED'])
    expect(watch.all('error')[0]!.error).toMatchObject({ phase: 'reply', cause: thrown })
  })

  test.each([GET, OLD])('midway: %j', async (request) => {
    const watch = new Watch()
    const { make, to } = writable()
    const client = await connect(await startAnswering(make))
    client.write(request)
    ;(await to).enqueue(Buffer.alloc(100_000, 'x'))
    await client.untilLength(100_000)
    ;(await to).error(cause)
    await client.closed()
    expect([client.error?.code, client.hasEnded, client.text.includes('\r\n0\r\n')]).toEqual([
      'ECONNRESET',
      false,
      false,
    ])
    await watch.until('close')
    expect(watch.all('error').map(({ error }) => error.cause)).toEqual([cause])
  })
})

describe('a body is cancelled', () => {
  const cancellable = () => {
    const cancelled = deferred<unknown>()
    return {
      ...cancelled,
      make: () => streaming({ start: (to) => to.enqueue(Buffer.from('some')), cancel: cancelled.resolve }),
    }
  }

  test('when the client leaves', async () => {
    const { make, promise } = cancellable()
    const client = await connect(await startAnswering(make))
    client.write(GET)
    await client.until('some')
    client.reset()
    await promise
  })

  test('when the connection is destroyed', async () => {
    const watch = new Watch()
    const { make, promise } = cancellable()
    const client = await connect(await startAnswering(make))
    client.write(GET)
    await client.until('some')
    ;(await watch.until('open')).connection.destroy()
    await promise
    await client.closed()
    expect(client.error?.code).toBe('ECONNRESET')
  })

  test.each(HOOKS)('when it comes from %s after the client has left', async (_hook, start) => {
    const watch = new Watch()
    const { make, promise } = cancellable()
    const asked = deferred<void>()
    const given = deferred<Response>()
    const client = await connect(
      await start(() => {
        asked.resolve()
        return given.promise
      }),
    )
    client.write(GET)
    await asked.promise
    client.reset()
    await watch.until('close')
    given.resolve(make())
    await promise
  })

  test('when the status does not allow it', async () => {
    const { make, promise } = cancellable()
    const { body, headers } = make()
    const text = await ask(await startAnswering(() => ({ status: 204, headers, body, bodyUsed: false })))
    expect(withoutDate(text)).toBe('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
    await promise
  })
})

describe.each(HOOKS)('a Response that cannot be sent is an error of %s', (hook, start) => {
  const code = hook === 'lookup' ? 'LOOKUP_FAILED' : 'ERRBACK_FAILED'
  const sent = hook === 'lookup' ? answer('503 Service Unavailable', code) : answer('502 Bad Gateway', 'CONNECT_FAILED')
  const shape = (properties: object) => ({
    status: 200,
    headers: new Headers(),
    body: null,
    bodyUsed: false,
    ...properties,
  })
  const read = new Response('once')
  read.text()
  const locked = new Response('once')
  locked.body!.getReader()
  const CASES: [name: string, make: Make, message: string | RegExp][] = [
    ['whose body was read', () => read, /a Response whose body is used already; make a new Response for each request$/],
    ['whose body is being read', () => locked, /whose body is used already/],
    ['of Response.error()', () => Response.error(), /a Response with status 0; expected 200 to 599$/],
    ['of an interim status', () => shape({ status: 103 }), /with status 103; expected/],
    ['of no status', () => shape({ status: Number.NaN }), /with status NaN; expected/],
    ['of a status beyond 599', () => shape({ status: 600 }), /with status 600; expected/],
    ['of a broken status text', () => shape({ statusText: 'a\r\nX: y' }), /^first: expected a response's start line/],
    [
      'of a broken field',
      () => shape({ headers: shapeOfHeaders([['a', 'b\r\nX: y']]) }),
      /^a: expected a string of Latin-1/,
    ],
    ['of a broken cookie', () => shape({ headers: shapeOfHeaders([], ['a\nb']) }), /^Set-Cookie: expected a string/],
    [
      'with control characters in a field',
      () => new Response(null, { headers: { a: 'b\x01' } }),
      /^a: expected a string/,
    ],
  ]
  test.each(CASES)('%s', async (_name, make, message) => {
    const watch = new Watch()
    expect(withoutDate(await ask(await start(make)))).toBe(sent)
    const { error } = watch.all('error').at(-1)!
    expect(error.code).toBe(code)
    expect((error.cause as Error).message).toMatch(message)
  })

  test('given a second time', async () => {
    const watch = new Watch()
    const response = new Response('once')
    const port = await start(() => response)
    expect(await ask(port)).toMatch(/once$/)
    expect(withoutDate(await ask(port))).toBe(sent)
    expect(watch.codes.at(-1)).toBe(code)
  })

  test('but one without a body may be used many times', async () => {
    const response = new Response(null, { status: 401 })
    const port = await start(() => response)
    for (let i = 0; i < 3; i++) expect(await ask(port)).toMatch(/^HTTP\/1.1 401 /)
  })

  test('of a status that would open a tunnel', async () => {
    const watch = new Watch()
    const port = await start(() => new Response('hello'))
    expect(withoutDate(await ask(port, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n'))).toBe(sent)
    expect(watch.all('error').at(-1)!.error.message).toMatch(/with status 200 for CONNECT; expected 300 to 599$/)
    const refusing = await start(() => new Response('no', { status: 403 }))
    expect(await ask(refusing, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n')).toMatch(/^HTTP\/1.1 403 .*no$/s)
  })

  test('to an HTTP/2 client, which is reset', async () => {
    const watch = new Watch()
    const client = await connect(await start(() => new Response('hello')))
    client.write(PREFACE)
    await client.closed()
    expect([client.error?.code, client.text]).toEqual(['ECONNRESET', ''])
    await watch.until('close')
    expect(watch.codes.at(-1)).toBe(code)
  })
})

function shapeOfHeaders(fields: [string, string][], cookies: string[] = []) {
  return { [Symbol.iterator]: () => fields.values(), getSetCookie: () => cookies }
}
