import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Dest, ProxyError, ProxyOptions } from '../../src/index.ts'
import { Backend, connect, deadPort } from '../helpers/net.ts'
import {
  answer,
  ask,
  converse,
  expectNoWarnings,
  GET,
  stalled,
  startProxy,
  Watch,
  withoutDate,
} from '../helpers/proxy.ts'
import { turn, turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nonce'
const UNREACHED = answer('502 Bad Gateway', 'CONNECT_FAILED')
type Errback = NonNullable<ProxyOptions['errback']>

/** A proxy to a closed port. */
async function startDead(errback?: Errback) {
  const dest: Dest = { port: await deadPort(), host }
  return { dest, ...(await startProxy<Dest>({ lookup: () => dest, errback })) }
}

const WAYS: [name: string, wait: () => void | Promise<void>][] = [
  ['at once', () => undefined],
  ['later', turn],
]

describe('errback gets', () => {
  test('the error and the Dest', async () => {
    const told: [ProxyError, Dest | undefined][] = []
    const { port, dest } = await startDead((error, dest) => void told.push([error, dest]))
    await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
    expect(told).toHaveLength(1)
    expect(told[0]![0]).toMatchObject({ code: 'CONNECT_FAILED', phase: 'connect', cause: { code: 'ECONNREFUSED' } })
    expect(told[0]![1]).toBe(dest)
  })

  test('no Dest if lookup returned none', async () => {
    const told: [code: string, dest: unknown][] = []
    const errback: Errback = ({ code }, dest) => void told.push([code, dest])
    const lookups: ProxyOptions['lookup'][] = [
      () => undefined,
      () => Promise.reject(new Error('no')),
      () => ({ port: 0 }),
    ]
    for (const lookup of lookups) {
      const { port } = await startProxy({ lookup, errback })
      await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
    }
    expect(told).toEqual([
      ['NO_DESTINATION', undefined],
      ['LOOKUP_FAILED', undefined],
      ['NO_DESTINATION', undefined],
    ])
  })

  test('a CONNECT_TIMEOUT', async () => {
    const socket = stalled()
    const codes: string[] = []
    const { port } = await startProxy({
      lookup: () => ({ connect: () => socket }),
      connectTimeout: 20,
      errback: ({ code }) => void codes.push(code),
    })
    await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
    expect(codes).toEqual(['CONNECT_TIMEOUT'])
    expect(socket.destroyed).toBe(true)
  })

  test('no call for bad heads, nor for errors after the backend is connected', async () => {
    const told: string[] = []
    const errback: Errback = ({ code }) => void told.push(code)
    const backend = await Backend.start()
    const { port } = await startProxy<Dest>({ lookup: () => ({ port: backend.port, host }), errback, modify: () => {} })
    expect(await ask(port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    const client = await connect(port)
    client.write(GET)
    ;(await backend.next()).end()
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 502 /)
    expect(told).toEqual([])
  })
})

describe('errback returns', () => {
  for (const [when, wait] of WAYS) {
    for (const nothing of [undefined, null]) {
      test(`${nothing}, ${when}: resets the client without a byte`, async () => {
        const watch = new Watch()
        const { port } = await startDead(async () => {
          await wait()
          return nothing
        })
        const client = await connect(port)
        client.write(GET)
        await client.closed()
        expect(client.error?.code).toBe('ECONNRESET')
        expect(client.received).toHaveLength(0)
        await watch.until('close')
        expect(watch.names).toEqual(['open', 'routed', 'error', 'end', 'close'])
      })
    }

    test(`another Dest, ${when}: sends it the request once`, async () => {
      const backend = await Backend.start()
      const { port } = await startDead(async () => {
        await wait()
        return { port: backend.port, host }
      })
      await converse(port, backend, POST)
      expect(backend.accepted).toBe(1)
    })
  }

  test('another Dest of every form, several times', async () => {
    const watch = new Watch()
    const backend = await Backend.start()
    const tries: Dest[] = [
      { port: await deadPort(), host },
      { path: '/no/such/socket' },
      {
        connect() {
          throw new Error('no')
        },
      },
      { connect: () => new PassThrough().destroy() },
      { port: await deadPort(), host, tls: true },
      { port: backend.port, host },
    ]
    const given: unknown[] = []
    const { port, server, dest } = await startDead((_, failed) => {
      given.push(failed)
      return tries[given.length - 1]
    })
    await converse(port, backend, POST)
    await watch.until('close')
    expect(given).toEqual([dest, ...tries.slice(0, -1)])
    expect(watch.all('routed').map(({ dest }) => dest)).toEqual([dest, ...tries])
    expect(watch.codes).toEqual(Array(6).fill('CONNECT_FAILED'))
    expect(watch.all('connected')).toHaveLength(1)
    expect(server.counters).toMatchObject({ connectFailures: 6, connected: 1, accepted: 1 })
  })

  test('a Dest after lookup returned none', async () => {
    const backend = await Backend.start()
    const { port } = await startProxy<Dest>({ lookup: () => null, errback: () => ({ port: backend.port, host }) })
    const client = await connect(port)
    client.write(POST)
    expect(await (await backend.next()).until('once')).toBe(POST)
  })

  const cause = new Error('errback broke')
  const WRONG: [name: string, errback: () => unknown, cause: unknown][] = [
    [
      'throws',
      () => {
        throw cause
      },
      cause,
    ],
    ['rejects', () => Promise.reject(cause), cause],
  ]
  const NEITHER = expect.objectContaining({
    name: 'TypeError',
    message: expect.stringMatching(/^errback returned .*; expected a Dest .*, a Readable, or nothing$/),
  })
  for (const junk of [0, '', 'text', false, {}, [], { port: 'x' }, Buffer.from('bytes'), { pipe: () => undefined }]) {
    WRONG.push([`returns ${typeof junk} ${JSON.stringify(junk)}`, () => junk, NEITHER])
    WRONG.push([`promises ${typeof junk} ${JSON.stringify(junk)}`, async () => junk, NEITHER])
  }
  for (const [name, errback, thrown] of WRONG) {
    test(`answers with the status of the first error if errback ${name}`, async () => {
      const watch = new Watch()
      const { port } = await startDead(errback as Errback)
      expect(withoutDate(await ask(port))).toBe(UNREACHED)
      expect(watch.codes).toEqual(['CONNECT_FAILED', 'ERRBACK_FAILED'])
      expect(watch.all('error')[1]!.error.cause).toEqual(thrown)
      expect(watch.all('error')[1]!.error).toMatchObject({ phase: 'connect', status: undefined })
    })
  }

  test('anything after the client has left: ignores it', async () => {
    const backend = await Backend.start()
    const source = new PassThrough()
    const outcomes: (() => unknown)[] = [
      () => undefined,
      () => ({ port: backend.port, host }),
      () => source,
      () => Promise.reject(new Error('late')),
      () => 'junk',
    ]
    for (const outcome of outcomes) {
      const watch = new Watch()
      let answerNow: () => void = () => undefined
      const { port } = await startDead(
        (() =>
          new Promise((resolve) => {
            answerNow = () => resolve(outcome() as undefined)
          })) as Errback,
      )
      const client = await connect(port)
      client.write(GET)
      await watch.until('error')
      client.reset()
      await watch.until('close')
      answerNow()
      await turns(5)
      expect(watch.codes).toEqual(['CONNECT_FAILED', 'CLIENT_RESET'])
    }
    expect(backend.accepted).toBe(0)
    expect(source.destroyed).toBe(true)
  })
})

describe('an errback that keeps returning a dead Dest', () => {
  const dead: [name: string, dest: () => Promise<Dest>][] = [
    ['is refused', async () => ({ port: await deadPort(), host })],
    [
      'throws',
      async () => ({
        connect() {
          throw new Error('never')
        },
      }),
    ],
    ['has already ended', async () => ({ connect: () => new PassThrough().destroy() })],
  ]
  for (const [name, make] of dead) {
    test(`which ${name} does not block other clients, and is called 100 times at most`, async () => {
      const dest = await make()
      const watch = new Watch()
      let tries = 0
      const errback = () => {
        tries++
        return dest
      }
      const { port } = await startProxy<Dest>({ lookup: () => dest, errback })
      const client = await connect(port)
      client.write(GET)
      await watch.until('error', 5)
      // The event loop still serves other clients.
      expect(await ask(port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
      expect(withoutDate(await client.ended())).toBe(UNREACHED)
      expect(tries).toBe(99)
      expect(watch.codes.filter((code) => code === 'CONNECT_FAILED')).toHaveLength(100)
    })

    test(`which ${name} stops when the client leaves`, async () => {
      const dest = await make()
      const watch = new Watch()
      let tries = 0
      let goOn = () => {}
      const errback = () => {
        if (++tries < 20) return dest
        return new Promise<Dest>((resolve) => {
          goOn = () => resolve(dest)
        })
      }
      const { port } = await startProxy<Dest>({ lookup: () => dest, errback })
      const client = await connect(port)
      client.write(GET)
      await watch.until('error', 20)
      client.reset()
      await watch.until('close')
      goOn()
      await turns(10)
      expect(tries).toBe(20)
      expect(watch.codes.at(-1)).toBe('CLIENT_RESET')
    })
  }
})

test('answers a HEAD request with a 502 without a body, and resets HTTP/2', async () => {
  const { port } = await startDead()
  const text = withoutDate(await ask(port, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n'))
  expect(text).toBe(UNREACHED.slice(0, UNREACHED.indexOf('\r\n\r\n') + 4))
  await expect(ask(port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).rejects.toThrow(/ECONNRESET/)
})
