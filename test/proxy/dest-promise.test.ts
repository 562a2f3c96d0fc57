import { once } from 'node:events'
import net from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Dest, ProxyOptions } from '../../src/index.ts'
import { Backend, connect } from '../helpers/net.ts'
import { deferred, thenable } from '../helpers/promises.ts'
import { answer, ask, converse, expectNoWarnings, GET, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'
import { turn, turns } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'

describe('a Dest whose connect() returns a promise', () => {
  const WAYS: [name: string, open: (port: number) => Promise<Duplex>][] = [
    [
      'an open socket',
      async (port) => {
        const socket = net.connect(port, host)
        await once(socket, 'connect')
        return socket
      },
    ],
    ['a socket that is still connecting', async (port) => net.connect(port, host)],
    ['a socket, from a thenable', (port) => thenable((done) => done(net.connect(port, host)))],
  ]
  for (const [name, open] of WAYS) {
    test(`accepts ${name}`, async () => {
      const backend = await Backend.start()
      const { port } = await startProxy(() => ({ connect: () => open(backend.port) }))
      await converse(port, backend)
    })
  }

  const cause = new Error('no way')
  for (const wait of [() => undefined, turn]) {
    test(`answers 502 or calls errback if it rejects ${wait === turn ? 'later' : 'at once'}`, async () => {
      const watch = new Watch()
      const backend = await Backend.start()
      const open = async () => {
        await wait()
        throw cause
      }
      const plain = await startProxy(() => ({ connect: open }))
      expect(withoutDate(await ask(plain.port))).toBe(answer('502 Bad Gateway', 'CONNECT_FAILED'))
      expect(watch.all('error')[0]!.error).toMatchObject({ code: 'CONNECT_FAILED', phase: 'connect', cause })
      const next = await startProxy<Dest>({
        lookup: () => ({ connect: open }),
        errback: () => ({ port: backend.port, host }),
      })
      await converse(next.port, backend)
    })
  }

  test('is tried 100 times if it keeps rejecting, while others are served', async () => {
    let tries = 0
    const dest = {
      async connect(): Promise<Duplex> {
        tries++
        throw cause
      },
    }
    const { port } = await startProxy<Dest>({ lookup: () => dest, errback: () => dest })
    expect(withoutDate(await ask(port))).toBe(answer('502 Bad Gateway', 'CONNECT_FAILED'))
    expect(tries).toBe(100)
  })

  test('gets a PROXY header', async () => {
    const backend = await Backend.start()
    const { port } = await startProxy(() => ({ connect: async () => net.connect(backend.port, host), sendProxy: 1 }))
    const client = await connect(port)
    client.write(GET)
    expect(await (await backend.next()).until('\r\n\r\n')).toMatch(/^PROXY TCP4 127\.0\.0\.1 /)
  })
})

describe('a stream that connect() returns too late is destroyed', () => {
  /** Ends the connection while its connect() waits. */
  const ENDS: [name: string, options: Partial<ProxyOptions>, leave: 'reset' | undefined, code: string][] = [
    ['the client has left', {}, 'reset', 'CLIENT_RESET'],
    ['the time-out has fired', { connectTimeout: 1 }, undefined, 'CONNECT_TIMEOUT'],
  ]
  const STREAMS: [name: string, make: (port: number) => Duplex][] = [
    ['an open socket', (port) => net.connect(port, host)],
    ['a stream that breaks', () => new PassThrough().destroy(new Error('late'))],
    ['a stream that cannot be destroyed', () => new Duplex({ destroy: (_, done) => done(new Error('destroy')) })],
  ]
  for (const [end, options, leave, code] of ENDS) {
    for (const [name, make] of STREAMS) {
      for (const tls of [undefined, true]) {
        test(`${name}${tls ? ', with TLS' : ''}, after ${end}`, async () => {
          const watch = new Watch()
          const backend = await Backend.start()
          const { promise, resolve } = deferred<Duplex>()
          const { port, server } = await startProxy<Dest>({
            ...options,
            lookup: () => ({ connect: () => promise, tls }),
          })
          const client = await connect(port)
          client.write(GET)
          const { connection } = await watch.until('routed')
          while (connection.state === 'Routing') await turn()
          if (leave) client.reset()
          else client.end()
          await watch.until('close')
          const stream = make(backend.port)
          resolve(stream)
          while (!stream.destroyed) await turn()
          await turns(3)
          expect(watch.codes).toEqual([code])
          expect(server.active.size).toBe(0)
        })
      }
    }
    test(`nothing at all, after ${end}`, async () => {
      const watch = new Watch()
      const { promise, reject } = deferred<Duplex>()
      const { port } = await startProxy<Dest>({ ...options, lookup: () => ({ connect: () => promise }) })
      const client = await connect(port)
      client.write(GET)
      const { connection } = await watch.until('routed')
      while (connection.state === 'Routing') await turn()
      if (leave) client.reset()
      else client.end()
      await watch.until('close')
      reject(new Error('too late'))
      await turns(3)
      expect(watch.codes).toEqual([code])
    })
  }

  test('and fifty of them leave no socket', async () => {
    const watch = new Watch()
    const backend = await Backend.start()
    const gate = deferred<void>()
    const sockets: net.Socket[] = []
    const { port } = await startProxy(() => ({
      connect: async () => {
        await gate.promise
        const socket = net.connect(backend.port, host)
        sockets.push(socket)
        return socket
      },
    }))
    for (let i = 1; i <= 50; i++) {
      const client = await connect(port)
      client.write(GET)
      await watch.until('routed', i)
      client.reset()
    }
    await watch.until('close', 50)
    gate.resolve()
    while (sockets.length < 50 || sockets.some(({ closed }) => !closed)) await turn()
    expect(sockets.every(({ destroyed }) => destroyed)).toBe(true)
  })
})
