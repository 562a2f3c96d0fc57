import type net from 'node:net'
import { describe, expect, test } from 'vitest'
import { type ClientInfo, type Dest, Head, type ProxyOptions } from '../../src/index.ts'
import { Backend, connect, deadPort } from '../helpers/net.ts'
import { answer, ask, converse, expectNoWarnings, GET, OK, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'
import { turn, turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'
type Lookup = ProxyOptions['lookup']

/** A promise of another make than Node's. */
function thenable<T>(then: (done: (value: T) => void, failed: (cause: unknown) => void) => unknown): Promise<T> {
  return { then } as Promise<T>
}

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
      'a promise of one that takes its time',
      async (dest) => {
        await turns(5)
        return dest
      },
    ],
    ['a thenable of one, at once', (dest) => thenable((done) => done(dest))],
    ['a thenable of one, later', (dest) => thenable((done) => setImmediate(done, dest))],
    [
      'a thenable of one that says it twice',
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
      expect(watch.names).toEqual(['open', 'routed', 'connected', 'close'])
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
    ['gives a thenable that rejects', () => thenable((_, failed) => failed(cause)), cause],
    [
      'gives a thenable that throws',
      () =>
        thenable(() => {
          throw cause
        }),
      cause,
    ],
    [
      'gives an object whose then cannot be read',
      () =>
        Object.defineProperty({}, 'then', {
          get() {
            throw cause
          },
        }) as Dest,
      cause,
    ],
    ['promises a Dest whose port throws', async () => throwing('port', cause), cause],
    ['gives a Dest whose server throws', () => throwing('server', cause), cause],
  ]
  for (const [name, lookup, thrown] of FAILED) {
    test(`a lookup that ${name} makes a 503`, async () => {
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
    test(`a lookup that gives ${nothing} makes a 503`, async () => {
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
    test(`a lookup that gives ${typeof nonsense} ${String(nonsense)} makes a 503, and says why`, async () => {
      const watch = new Watch()
      for (const lookup of [() => nonsense, async () => nonsense]) {
        const { port } = await startProxy(lookup as unknown as Lookup)
        expect(withoutDate(await ask(port))).toBe(answer('503 Service Unavailable', 'NO_DESTINATION'))
      }
      const { error } = await watch.until('error', 2)
      expect(error.cause).toEqual(new TypeError('lookup returned no form of Dest'))
    })
  }
})

describe('what lookup is given', () => {
  test('is the head of the request, and who the client is', async () => {
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
    expect(seen[0]!.client).toEqual({ remoteAddress: host, remotePort, localPort: port, encrypted: false })
  })

  test('is asked once a connection, whatever requests come later on it', async () => {
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

  test('may be edited: the backend gets what lookup made of it, also when it was asked later', async () => {
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

  test('an edit that would break the head is an error of lookup, and no byte goes out', async () => {
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

  test('answers a HEAD request by what the client asked, whatever lookup made of it', async () => {
    const { port } = await startProxy((head) => {
      head.first = 'GET / HTTP/1.1'
      return undefined
    })
    expect(await ask(port, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/Connection: close\r\n\r\n$/)
  })
})

test('errback is asked once, however often a thenable settles', async () => {
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

test('the very object that lookup returned is what modify, errback and the events get', async () => {
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

test('a lookup that settles after the client has left changes nothing', async () => {
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
    expect(watch.names).toEqual(['open', 'error', 'close'])
    expect(watch.codes).toEqual(['CLIENT_RESET'])
    expect(backend.accepted).toBe(0)
  }
})
