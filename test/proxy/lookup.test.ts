import type net from 'node:net'
import { describe, expect, test } from 'vitest'
import { type ClientInfo, type Dest, Head, type ProxyOptions } from '../../src/index.ts'
import { Backend, connect, deadPort } from '../helpers/net.ts'
import { thenable } from '../helpers/promises.ts'
import { answer, ask, converse, expectNoWarnings, GET, OK, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'
import { turn, turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'
type Lookup = ProxyOptions['lookup']

function throwing(name: string, cause: Error): Dest {
  return Object.defineProperty({}, name, {
    get() {
      throw cause
    },
  }) as Dest
}

describe('what lookup returns', () => {
  const GOOD: [name: string, give: <T>(dest: T) => T | Promise<T>][] = [
    ['a Dest', (dest) => dest],
    ['a promise of one', async (dest) => dest],
    [
      'a slow promise of one',
      async (dest) => {
        await turns(5)
        return dest
      },
    ],
    ['a thenable of one, at once', (dest) => thenable((done) => done(dest))],
    ['a thenable of one, later', (dest) => thenable((done) => setImmediate(done, dest))],
    [
      'a thenable of one that settles twice',
      (dest) =>
        thenable((done) => {
          done(dest)
          done(dest)
        }),
    ],
    [
      'a thenable of one that throws after it',
      (dest) =>
        thenable((done) => {
          done(dest)
          throw new Error('too late')
        }),
    ],
  ]
  for (const [name, give] of GOOD) {
    test(`may be ${name}`, async () => {
      const watch = new Watch()
      const backend = await Backend.start()
      const { port } = await startProxy(() => give({ port: backend.port, host }))
      await converse(port, backend)
      await watch.until('close')
      expect(watch.names).toEqual(['open', 'routed', 'connected', 'end', 'close'])
      expect(backend.accepted).toBe(1)
    })
  }

  const cause = new Error('lookup broke')
  const FAILED: [name: string, lookup: Lookup, cause: unknown][] = [
    [
      'throws',
      () => {
        throw cause
      },
      cause,
    ],
    [
      'throws nothing',
      () => {
        throw undefined
      },
      undefined,
    ],
    ['rejects', () => Promise.reject(cause), cause],
    ['rejects with a string', () => Promise.reject('no'), 'no'],
    ['returns a thenable that rejects', () => thenable((_, failed) => failed(cause)), cause],
    [
      'returns a thenable that throws',
      () =>
        thenable(() => {
          throw cause
        }),
      cause,
    ],
    [
      'returns an object whose then cannot be read',
      () =>
        Object.defineProperty({}, 'then', {
          get() {
            throw cause
          },
        }) as Dest,
      cause,
    ],
    ['promises a Dest whose port throws', async () => throwing('port', cause), cause],
    ['returns a Dest whose server throws', () => throwing('server', cause), cause],
  ]
  for (const [name, lookup, thrown] of FAILED) {
    test(`answers 503 if lookup ${name}`, async () => {
      const watch = new Watch()
      const { port } = await startProxy(lookup)
      expect(withoutDate(await ask(port))).toBe(answer('503 Service Unavailable', 'LOOKUP_FAILED'))
      const { error, dest } = watch.all('error')[0]!
      expect(error).toMatchObject({ code: 'LOOKUP_FAILED', phase: 'lookup', status: 503 })
      expect(error.cause).toBe(thrown)
      expect(dest).toBeUndefined()
    })
  }

  for (const nothing of [undefined, null]) {
    test(`answers 503 if lookup returns ${nothing}`, async () => {
      const watch = new Watch()
      for (const lookup of [() => nothing, async () => nothing]) {
        const { port } = await startProxy(lookup)
        expect(withoutDate(await ask(port))).toBe(answer('503 Service Unavailable', 'NO_DESTINATION'))
      }
      for (const { error } of watch.all('error')) {
        expect(error).toMatchObject({ code: 'NO_DESTINATION', phase: 'lookup', status: 503 })
        expect(error.cause).toBeUndefined()
      }
    })
  }

  for (const nonsense of [
    0,
    '',
    'localhost',
    8080,
    true,
    Symbol('dest'),
    {},
    [],
    { port: '80' },
    () => ({ port: 80 }),
  ]) {
    test(`answers 503 and reports the value if lookup returns ${typeof nonsense} ${String(nonsense)}`, async () => {
      const watch = new Watch()
      for (const lookup of [() => nonsense, async () => nonsense]) {
        const { port } = await startProxy(lookup as unknown as Lookup)
        expect(withoutDate(await ask(port))).toBe(answer('503 Service Unavailable', 'NO_DESTINATION'))
      }
      const { error } = await watch.until('error', 2)
      expect(error.cause).toBeInstanceOf(TypeError)
      expect(error.cause).toMatchObject({ message: expect.stringMatching(/^lookup returned .*; expected a Dest with/) })
    })
  }
})

describe('lookup', () => {
  test('gets the request head and the client', async () => {
    const seen: { head: Head; client: ClientInfo }[] = []
    const { port } = await startProxy((head, client) => void seen.push({ head, client }))
    const client = await connect(port)
    client.write('POST /x?y HTTP/1.1\r\nHost: a\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 3\r\n\r\nabc')
    await client.ended()
    expect(seen).toHaveLength(1)
    expect(seen[0]!.head).toBeInstanceOf(Head)
    expect(seen[0]!.head).toMatchObject({ kind: 'request', method: 'POST', target: '/x?y', version: 'HTTP/1.1' })
    expect(seen[0]!.head.getAll('X-TWO')).toEqual(['1', '2'])
    const { localPort: remotePort } = client.socket as net.Socket
    expect(seen[0]!.client).toEqual({
      transport: 'tcp',
      remoteAddress: host,
      remotePort,
      localPort: port,
      encrypted: false,
    })
  })

  test('is called once per connection', async () => {
    let asked = 0
    const backend = await Backend.start()
    const { port } = await startProxy(() => {
      asked++
      return { port: backend.port, host }
    })
    const client = await connect(port)
    client.write(`${GET}${GET}`)
    const peer = await backend.next()
    await peer.untilLength(2 * GET.length)
    client.write(GET)
    await peer.untilLength(3 * GET.length)
    expect(asked).toBe(1)
  })

  test('can edit the head for the backend, synchronously or later', async () => {
    const backend = await Backend.start()
    for (const wait of [() => undefined, turn]) {
      const { port } = await startProxy(async (head, { remoteAddress }) => {
        await wait()
        head.first = 'GET /v2 HTTP/1.1'
        head.headers['X-Forwarded-For'] = remoteAddress
        head.delete('cookie')
        head.append('Via', '1.1 badass')
        return { port: backend.port, host }
      })
      const client = await connect(port)
      client.write('GET /v1 HTTP/1.1\r\nHost: a\r\nCookie: c=1\r\nAccept:  */* \r\n\r\nrest')
      const peer = await backend.next()
      expect(await peer.until('rest')).toBe(
        'GET /v2 HTTP/1.1\r\nHost: a\r\nAccept:  */* \r\nX-Forwarded-For: 127.0.0.1\r\nVia: 1.1 badass\r\n\r\nrest',
      )
    }
  })

  test('fails if an edit would break the head, and no byte is sent', async () => {
    const backend = await Backend.start()
    const watch = new Watch()
    const { port } = await startProxy((head) => {
      head.headers['X-Bad'] = 'a\r\nInjected: 1'
      return { port: backend.port, host }
    })
    expect(await ask(port)).toMatch(/^HTTP\/1\.1 503 /)
    expect(watch.all('error')[0]!.error).toMatchObject({ code: 'LOOKUP_FAILED', cause: expect.any(TypeError) })
    expect(backend.accepted).toBe(0)
  })

  test('does not change how a HEAD request is answered', async () => {
    const { port } = await startProxy((head) => {
      head.first = 'GET / HTTP/1.1'
      return undefined
    })
    expect(await ask(port, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/Connection: close\r\n\r\n$/)
  })
})

test('calls errback once if a thenable settles several times', async () => {
  let asked = 0
  const { port } = await startProxy<Dest>({
    lookup: () =>
      thenable((done, failed) => {
        done(undefined as never)
        failed(new Error('no'))
        done(undefined as never)
      }),
    errback: async () => {
      asked++
      await turn()
    },
  })
  await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
  expect(asked).toBe(1)
})

test('passes the same Dest object to modify, errback and the events', async () => {
  const watch = new Watch()
  const backend = await Backend.start()
  const dead = await deadPort()
  const first = { port: dead, host, note: 'mine' }
  const second = { port: backend.port, host, note: 'mine too' }
  const given: unknown[] = []
  const { port } = await startProxy({
    lookup: async () => first,
    modify: (_, dest) => void given.push(dest),
    errback: (_, dest) => {
      given.push(dest)
      return second
    },
  })
  const client = await connect(port)
  client.write(GET)
  ;(await backend.next()).end(OK)
  await client.until('ok')
  expect(given).toHaveLength(2)
  expect(given[0]).toBe(first)
  expect(given[1]).toBe(second)
  expect(watch.all('routed').map(({ dest }) => dest)).toEqual([first, second])
  expect(watch.all('error')[0]!.dest).toBe(first)
  const { connection, dest } = watch.all('connected')[0]!
  expect(dest).toBe(second)
  expect(connection.dest).toBe(second)
})

test('ignores a lookup that settles after the client has left', async () => {
  const backend = await Backend.start()
  for (const settle of ['resolve', 'reject'] as const) {
    const watch = new Watch()
    let end: () => void = () => undefined
    const { port } = await startProxy(
      () =>
        new Promise<Dest>((resolve, reject) => {
          end = () => (settle === 'resolve' ? resolve({ port: backend.port, host }) : reject(new Error('late')))
        }),
    )
    const client = await connect(port)
    client.write(GET)
    const { connection } = await watch.until('open')
    while (connection.state !== 'Routing') await turn()
    client.reset()
    await watch.until('close')
    end()
    await turns(5)
    expect(watch.names).toEqual(['open', 'error', 'end', 'close'])
    expect(watch.codes).toEqual(['CLIENT_RESET'])
    expect(backend.accepted).toBe(0)
  }
})
