import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { type ClientInfo, type Dest, type Head, ProxyError } from '../../src/index.ts'
import type { StickyDest } from '../../src/sticky/index.ts'
import { Backend, connect, deadPort } from '../helpers/net.ts'
import { answerTo, errorsOn, exchange, startSticky } from './support.ts'

const requestWith = (...lines: string[]) => `${['GET / HTTP/1.1', 'Host: a.test', ...lines].join('\r\n')}\r\n\r\n`
const RESPONSE = 'HTTP/1.1 200 OK\r\nSet-Cookie: sid=1; Path=/\r\n\r\nhi'
const answeredWith = (sticky: string) =>
  RESPONSE.replace('\r\n\r\n', `\r\nSet-Cookie: sticky=${sticky}; Path=/\r\n\r\n`)
const HOST = '127.0.0.1'
const LONE = 'a\ud800'

describe('lookup', () => {
  it.each([
    ['at once', (dest: StickyDest) => dest],
    ['by a promise', async (dest: StickyDest) => dest],
    // biome-ignore lint/suspicious/noThenProperty: a thenable of another make, which neither chains nor catches
    ['by a thenable', (dest: StickyDest) => ({ then: (done: (dest: StickyDest) => void) => setImmediate(done, dest) })],
  ])('gets the head, the value and the client, and answers %s', async (_, give) => {
    const backend = await Backend.start()
    const calls: [target: string, sticky: string | undefined, client: ClientInfo, count: number][] = []
    const port = await startSticky((...args) => {
      const [head, sticky, client] = args
      calls.push([head.target, sticky, client, args.length])
      return give({ port: backend.port, host: HOST, sticky: `${sticky}!` }) as StickyDest
    })
    const client = await connect(port)
    const { localPort, localAddress } = client.socket
    client.write(requestWith('Cookie: x=1; sticky=h%C3%B4me'))
    const upstream = await backend.next()
    await upstream.until('\r\n\r\n')
    upstream.end(RESPONSE)
    expect(await client.ended()).toBe(answeredWith('h%C3%B4me!'))
    const info = {
      transport: 'tcp',
      remoteAddress: localAddress,
      remotePort: localPort,
      localPort: port,
      encrypted: false,
    }
    expect(calls).toEqual([['/', 'hôme', info, 3]])
  })

  it('gets no value if the client sends none or a forged one', async () => {
    const backend = await Backend.start()
    const values: (string | undefined)[] = []
    const port = await startSticky(
      (_, sticky) => {
        values.push(sticky)
        return { port: backend.port, host: HOST, sticky: undefined }
      },
      { cookie: { secret: 'key' } },
    )
    await exchange(port, backend, requestWith(), RESPONSE)
    await exchange(port, backend, requestWith('Cookie: sticky=home'), RESPONSE)
    expect(values).toEqual([undefined, undefined])
  })

  it.each([undefined, 'key', ['new', Buffer.from('old')]])(
    'a client comes back to its home: secret %j',
    async (secret) => {
      const homes = { 'a: é;': await Backend.start(), 'b "2"': await Backend.start() }
      let fresh: keyof typeof homes = 'b "2"'
      const port = await startSticky(
        (_, sticky) => {
          const home = (sticky ?? fresh) as keyof typeof homes
          return { port: homes[home].port, host: HOST, sticky: home }
        },
        { cookie: secret === undefined ? {} : { secret } },
      )
      const first = await exchange(port, homes['b "2"'], requestWith(), RESPONSE)
      const [, pair] = /Set-Cookie: (sticky=[^;]*)/.exec(first.got)!
      fresh = 'a: é;'
      const again = await exchange(port, homes['b "2"'], requestWith(`Cookie: sid=1; ${pair}`), RESPONSE)
      expect(again.got).toBe(first.got)
    },
  )

  it('with `indirect` hides the cookie from lookup and the backend, and sends lookup`s edits', async () => {
    const backend = await Backend.start()
    const seenByLookup: (string | undefined)[] = []
    const port = await startSticky(
      (head, sticky) => {
        seenByLookup.push(sticky, head.get('cookie'))
        head.set('X-Home', sticky!)
        return { port: backend.port, host: HOST, sticky: undefined }
      },
      { cookie: { indirect: true } },
    )
    const { seen } = await exchange(port, backend, requestWith('Cookie: sid=1; sticky=home', 'A:1'), RESPONSE)
    expect(seenByLookup).toEqual(['home', 'sid=1'])
    expect(seen).toBe(requestWith('Cookie: sid=1', 'A:1', 'X-Home: home'))
  })

  it('without `indirect` sends the received bytes unchanged', async () => {
    const backend = await Backend.start()
    const port = await startSticky(() => ({ port: backend.port, host: HOST, sticky: undefined }))
    const request = requestWith('cookie:sid=1;sticky=home ', 'A:1')
    expect((await exchange(port, backend, request, RESPONSE)).seen).toBe(request)
  })

  it.each([
    ['returns nothing', () => undefined, 'NO_DESTINATION'],
    [
      'throws',
      () => {
        throw new Error('no')
      },
      'LOOKUP_FAILED',
    ],
    ['rejects', () => Promise.reject(new Error('no')), 'LOOKUP_FAILED'],
  ])('that %s causes a 503', async (_, lookup: () => undefined | Promise<never>, code) => {
    expect(await answerTo(await startSticky(lookup), requestWith())).toMatch(
      new RegExp(`^HTTP/1.1 503 .*: ${code}\n$`, 's'),
    )
  })
})

it('the limits of the proxy apply', async () => {
  const port = await startSticky(() => ({ port: 1, host: HOST, sticky: undefined }), { maxFields: 1 })
  expect(await answerTo(port, requestWith('Cookie: sticky=home'))).toMatch(/^HTTP\/1\.1 431 .*: TOO_MANY_FIELDS\n$/s)
})

describe.each(['first', 'every'] as const)("a Response with requests: '%s'", (requests) => {
  const give = () => new Response('mine', { headers: { Date: 'today', 'Set-Cookie': 'sid=1' } })
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain;charset=UTF-8\r\ndate: today\r\nSet-Cookie: sid=1\r\n'
  const answered = `${head}Content-Length: 4\r\nConnection: close\r\n\r\nmine`

  it('is the answer, without a sticky cookie', async () => {
    const dest = { port: await deadPort(), host: HOST, sticky: 'a' }
    for (const port of [
      await startSticky(give, { requests }),
      await startSticky(() => dest, { requests, errback: give, cookie: { insert: true } }),
    ]) {
      const client = await connect(port)
      client.write(requestWith('Connection: close'))
      expect(await client.ended()).toBe(answered)
    }
  })
})

describe('errback', () => {
  it.each(['at once', 'by a promise'])('may return another Dest, whose value is set: %s', async (how) => {
    const backend = await Backend.start()
    const dead = await deadPort()
    const failures: [code: string | undefined, sticky: string | undefined][] = []
    const port = await startSticky<StickyDest>(() => ({ port: dead, host: HOST, sticky: 'dead' }), {
      errback: (error, dest) => {
        failures.push([error.code, dest?.sticky])
        const next = { port: backend.port, host: HOST, sticky: 'alive' }
        return how === 'at once' ? next : Promise.resolve(next)
      },
    })
    const { got } = await exchange(port, backend, requestWith('Cookie: sticky=dead'), RESPONSE)
    expect(got).toBe(answeredWith('alive'))
    expect(failures).toEqual([['CONNECT_FAILED', 'dead']])
  })

  it('may return a Dest without a value, which sets no cookie', async () => {
    const backend = await Backend.start()
    const dead = await deadPort()
    const port = await startSticky<StickyDest>(() => ({ port: dead, host: HOST, sticky: 'dead' }), {
      errback: () => ({ port: backend.port, host: HOST }),
    })
    expect((await exchange(port, backend, requestWith(), RESPONSE)).got).toBe(RESPONSE)
  })

  it('may return a Readable, which gets no cookie', async () => {
    const dead = await deadPort()
    const port = await startSticky<StickyDest>(() => ({ port: dead, host: HOST, sticky: 'dead' }), {
      errback: () => Readable.from([Buffer.from(RESPONSE)]),
      cookie: { insert: true },
    })
    expect(await answerTo(port, requestWith())).toBe(RESPONSE)
  })

  it('may return nothing, which resets the client', async () => {
    const dead = await deadPort()
    const port = await startSticky<StickyDest>(() => ({ port: dead, host: HOST, sticky: undefined }), {
      errback: () => undefined,
    })
    const client = await connect(port)
    client.write(requestWith())
    await client.closed()
    expect([client.text, client.error?.code]).toEqual(['', 'ECONNRESET'])
  })
})

describe('a value that is invalid in a cookie', () => {
  const EXPECTED = 'dest.sticky: expected a string without lone surrogates'
  const VALUES: [value: unknown, message: string][] = [
    [5, `${EXPECTED}, got 5`],
    [null, `${EXPECTED}, got null`],
    [['a'], `${EXPECTED}, got [ 'a' ]`],
    [LONE, `${EXPECTED}, got 'a\\ud800'`],
  ]

  it.each(VALUES)('from lookup causes a 503: %j', async (value, message) => {
    for (const isAsync of [false, true]) {
      const dest = { port: 1, host: HOST, sticky: value as string }
      const port = await startSticky(() => (isAsync ? Promise.resolve(dest) : dest))
      const errors = errorsOn(port)
      expect(await answerTo(port, requestWith())).toMatch(/^HTTP\/1\.1 503 .*: LOOKUP_FAILED\n$/s)
      expect(errors).toHaveLength(1)
      expect(errors[0]).toBeInstanceOf(ProxyError)
      expect(errors[0]).toMatchObject({ code: 'LOOKUP_FAILED', phase: 'lookup', cause: new TypeError(message) })
    }
  })

  it('from lookup calls errback, which may return a valid one', async () => {
    const backend = await Backend.start()
    const asked: unknown[] = []
    const port = await startSticky<StickyDest>(() => ({ port: 1, host: HOST, sticky: LONE }), {
      errback: (error, dest) => {
        asked.push(error.code, dest)
        return { port: backend.port, host: HOST, sticky: 'home' }
      },
    })
    expect((await exchange(port, backend, requestWith(), RESPONSE)).got).toBe(answeredWith('home'))
    expect(asked).toEqual(['LOOKUP_FAILED', undefined])
  })

  it.each(VALUES)('from errback causes the answer to the first error: %j', async (value, message) => {
    const dead = await deadPort()
    const port = await startSticky<StickyDest>(() => ({ port: dead, host: HOST, sticky: 'home' }), {
      errback: () => ({ port: dead, host: HOST, sticky: value as string }),
    })
    const errors = errorsOn(port)
    expect(await answerTo(port, requestWith())).toMatch(/^HTTP\/1\.1 502 .*: CONNECT_FAILED\n$/s)
    expect(errors.map(({ code }) => code)).toEqual(['CONNECT_FAILED', 'ERRBACK_FAILED'])
    expect(errors[1]?.cause).toEqual(new TypeError(message))
  })

  it.each(VALUES)('set on the Dest later causes a 502: %j', async (value, message) => {
    const backend = await Backend.start()
    const modify = (_: Head, dest: { sticky?: string | undefined }) => {
      dest.sticky = value as string
    }
    const port = await startSticky<StickyDest>(() => ({ port: backend.port, host: HOST, sticky: 'home' }), { modify })
    const errors = errorsOn(port)
    const { got } = await exchange(port, backend, requestWith(), RESPONSE)
    expect(got).toMatch(/^HTTP\/1\.1 502 .*: MODIFY_FAILED\n$/s)
    expect(errors[0]).toMatchObject({ code: 'MODIFY_FAILED', cause: new TypeError(message) })
  })
})

describe('modify', () => {
  it.each(['at once', 'later'])("runs first, and its Set-Cookie counts as the application's: %s", async (when) => {
    const backend = await Backend.start()
    const dest = { port: backend.port, host: HOST, sticky: 'home' }
    const seen: [dest: Dest, setCookie: string | undefined][] = []
    const modify = (head: Head, dest: Dest, request: Head) => {
      expect(request.target).toBe('/')
      seen.push([dest, head.get('set-cookie')])
      head.append('Set-Cookie', 'mine=1; Path=/mine')
    }
    const port = await startSticky<StickyDest>(() => dest, {
      modify:
        when === 'at once' ? modify : (...args) => new Promise((done) => setImmediate(() => done(modify(...args)))),
    })
    const { got } = await exchange(port, backend, requestWith(), 'HTTP/1.1 200 OK\r\nA:1\r\n\r\nhi')
    expect(got).toBe(
      'HTTP/1.1 200 OK\r\nA:1\r\nSet-Cookie: mine=1; Path=/mine\r\nSet-Cookie: sticky=home; Path=/mine\r\n\r\nhi',
    )
    expect(seen).toEqual([[dest, undefined]])
    expect(seen[0]![0]).toBe(dest)
  })

  it("may remove the application's cookie, so that ours is not set", async () => {
    const backend = await Backend.start()
    const port = await startSticky<StickyDest>(() => ({ port: backend.port, host: HOST, sticky: 'home' }), {
      modify: (head) => void head.delete('set-cookie'),
    })
    expect((await exchange(port, backend, requestWith(), RESPONSE)).got).toBe('HTTP/1.1 200 OK\r\n\r\nhi')
  })

  it('may change the value', async () => {
    const backend = await Backend.start()
    const port = await startSticky<StickyDest>(() => ({ port: backend.port, host: HOST, sticky: 'home' }), {
      modify: (_, dest) => {
        dest.sticky = 'moved'
      },
    })
    expect((await exchange(port, backend, requestWith(), RESPONSE)).got).toBe(answeredWith('moved'))
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no'))],
  ])('that %s causes a 502', async (_, modify: () => void | Promise<void>) => {
    const backend = await Backend.start()
    const port = await startSticky(() => ({ port: backend.port, host: HOST, sticky: 'home' }), { modify })
    const errors = errorsOn(port)
    const { got } = await exchange(port, backend, requestWith(), RESPONSE)
    expect(got).toMatch(/^HTTP\/1\.1 502 .*: MODIFY_FAILED\n$/s)
    expect(got).not.toContain('Set-Cookie')
    expect(errors[0]).toMatchObject({ code: 'MODIFY_FAILED', phase: 'response', cause: new Error('no') })
  })
})
