import { once } from 'node:events'
import net from 'node:net'
import { Duplex, PassThrough, Transform } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Dest } from '../../src/index.ts'
import { Backend, connect, deadPort, listen, ownHost } from '../helpers/net.ts'
import { duplexPair } from '../helpers/pair.ts'
import { answer, ask, converse, expectNoWarnings, GET, OK, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'

expectNoWarnings()

/** The answer and the error of a proxy to that Dest. */
async function failure(dest: Dest) {
  const watch = new Watch()
  const { port } = await startProxy(() => dest)
  const text = withoutDate(await ask(port))
  const { error } = watch.all('error')[0]!
  expect(watch.names).toEqual(expect.arrayContaining(['routed', 'error']))
  expect(watch.names).not.toContain('connected')
  return { text, error }
}

const UNREACHED = answer('502 Bad Gateway', 'CONNECT_FAILED')

describe('a Dest with connect()', () => {
  async function converseOver(backend: Backend, open: () => Duplex): Promise<void> {
    const { port } = await startProxy(() => ({ connect: open }))
    await converse(port, backend)
  }

  test('may return a socket that is still connecting', async () => {
    const backend = await Backend.start()
    await converseOver(backend, () => net.connect(backend.port, '127.0.0.1'))
  })

  test('may return a connected socket', async () => {
    const backend = await Backend.start()
    const socket = net.connect(backend.port, '127.0.0.1')
    await once(socket, 'connect')
    await converseOver(backend, () => socket)
  })

  test('fails if the socket connected to itself', async () => {
    const server = net.createServer()
    const port = await listen(server, { port: 0, host: ownHost })
    await new Promise((resolve) => server.close(resolve))
    // The system may do this by chance for any closed port.
    const options = { port, host: ownHost, localPort: port, localAddress: ownHost }
    const { text, error } = await failure({ connect: () => net.connect(options) })
    expect(text).toBe(UNREACHED)
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED', message: 'connected to itself: nobody listens there' })
  })

  test('may return a stream in memory', async () => {
    const [near, far] = duplexPair()
    const { port } = await startProxy(() => ({ connect: () => near }))
    const client = await connect(port)
    client.end(`${GET}body`)
    far.setEncoding('latin1')
    let text = ''
    for await (const chunk of far) {
      text += chunk
      if (text.endsWith('body')) break
    }
    expect(text).toBe(`${GET}body`)
  })

  test('may return a Transform, which flushes once', async () => {
    let flushes = 0
    const transform = () =>
      new Transform({
        transform: (_chunk, _encoding, done) => done(),
        flush(done) {
          flushes++
          done(null, OK)
        },
      })
    const watch = new Watch()
    const { port } = await startProxy(() => ({ connect: transform }))
    const client = await connect(port)
    client.end(GET)
    expect(await client.ended()).toBe(OK)
    await watch.until('close')
    expect([flushes, watch.codes]).toEqual([1, []])
  })

  test('ends both sides of a stream in memory', async () => {
    const [near, far] = duplexPair()
    const closed = once(near, 'close')
    const { port } = await startProxy(() => ({ connect: () => near }))
    const client = await connect(port)
    client.end(GET)
    far.resume()
    await once(far, 'end')
    far.end(OK)
    expect(await client.ended()).toBe(OK)
    await closed
  })

  test('is called as a method of its Dest, once per connection', async () => {
    const backend = await Backend.start()
    const seen: unknown[] = []
    const dest = {
      port: backend.port,
      connect() {
        seen.push(this)
        return net.connect(this.port, '127.0.0.1')
      },
    }
    const { port } = await startProxy(() => dest)
    for (const nth of [1, 2]) {
      const client = await connect(port)
      client.write(GET)
      await (await backend.next()).until('\r\n\r\n')
      expect(seen).toHaveLength(nth)
      expect(seen.every((self) => self === dest)).toBe(true)
    }
  })

  test('answers 502 if it throws', async () => {
    const cause = new Error('no way')
    const { text, error } = await failure({
      connect() {
        throw cause
      },
    })
    expect(text).toBe(UNREACHED)
    expect(error.cause).toBe(cause)
  })

  const NONSENSE: [value: unknown, shown: string][] = [
    [undefined, 'undefined'],
    [null, 'null'],
    ['stream', "'stream'"],
    [{}, '{}'],
    [Promise.resolve({}), '{}'],
    [
      new (class Socket {
        write() {}
      })(),
      'Socket {}',
    ],
  ]
  for (const [value, shown] of NONSENSE) {
    test(`answers 502 if it returns ${value instanceof Promise ? 'a promise of ' : ''}${shown}`, async () => {
      const { text, error } = await failure({ connect: () => value as Duplex })
      expect(text).toBe(UNREACHED)
      expect(error.cause).toEqual(new TypeError(`dest.connect returned ${shown}; expected a Duplex`))
    })
  }

  test('answers 502 if its socket is refused', async () => {
    const dead = await deadPort()
    const { text, error } = await failure({ connect: () => net.connect(dead, '127.0.0.1') })
    expect(text).toBe(UNREACHED)
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('answers 502 if its stream has already ended', async () => {
    const cause = new Error('it broke')
    const ended = new PassThrough()
    ended.end().resume()
    await once(ended, 'end')
    for (const [stream, says] of [
      [new PassThrough().destroy(), 'dest.connect returned a stream that has ended'],
      [new PassThrough().on('error', () => undefined).destroy(cause), 'it broke'],
      // Its 'error' is still to be emitted.
      [() => new PassThrough().destroy(cause), 'it broke'],
      [new PassThrough().end(), 'dest.connect returned a stream that has ended'],
      [ended, 'dest.connect returned a stream that has ended'],
    ] as [Duplex | (() => Duplex), string][]) {
      const { text, error } = await failure({ connect: typeof stream === 'function' ? stream : () => stream })
      expect(text).toBe(UNREACHED)
      expect(error.cause).toMatchObject({ message: says })
    }
  })

  test('resets the client if its stream fails at once, because bytes may have been sent', async () => {
    const watch = new Watch()
    const open = () => {
      const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
      process.nextTick(() => stream.destroy(new Error('at once')))
      return stream
    }
    const { port } = await startProxy(() => ({ connect: open }))
    await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
    await watch.until('close')
    expect(watch.codes).toEqual(['BACKEND_RESET'])
  })

  for (const modify of [undefined, () => undefined]) {
    const code = modify ? 'NO_RESPONSE' : 'BACKEND_RESET'
    test(`fails with ${code} without errback if its stream fails inside the first write`, async () => {
      const watch = new Watch()
      const stream = new Duplex({
        read() {},
        write() {
          this.emit('error', new Error('inside'))
        },
      })
      const errback = () => {
        throw new Error('errback was asked')
      }
      const { port } = await startProxy({ lookup: () => ({ connect: () => stream }), modify, errback })
      const client = await connect(port)
      client.write(GET)
      if (modify) expect(withoutDate(await client.ended())).toBe(answer('502 Bad Gateway', code))
      else await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
      client.end()
      await watch.until('close')
      expect(watch.names).toEqual(['open', 'routed', 'connected', 'error', 'end', 'close'])
      expect(watch.codes).toEqual([code])
      expect(stream.destroyed).toBe(true)
      expect(stream.listenerCount('data')).toBe(0)
    })

    test(`${modify ? 'answers 502' : 'resets the client'} if its stream emits objects`, async () => {
      const watch = new Watch()
      const stream = new Duplex({ objectMode: true, read() {}, write: (_chunk, _encoding, done) => done() })
      const { port } = await startProxy({ lookup: () => ({ connect: () => stream }), modify })
      const client = await connect(port)
      client.write(GET)
      await watch.until('connected')
      stream.push({ not: 'bytes' })
      const { error } = await watch.until('error')
      expect(error.code).toBe(modify ? 'NO_RESPONSE' : 'BACKEND_RESET')
      expect(error.cause).toEqual(new TypeError("a stream emitted { not: 'bytes' }; expected bytes or a string"))
      if (modify) expect(withoutDate(await client.ended())).toBe(answer('502 Bad Gateway', 'NO_RESPONSE'))
      else await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    })

    test(`passes strings of its stream on as UTF-8${modify ? ', through modify' : ''}`, async () => {
      const stream = new Duplex({ objectMode: true, read() {}, write: (_chunk, _encoding, done) => done() })
      const { port } = await startProxy({ lookup: () => ({ connect: () => stream }), modify })
      const client = await connect(port)
      client.write(GET)
      stream.push('HTTP/1.1 200 OK\r\n\r\n')
      stream.push('grün')
      stream.push(null)
      await client.ended()
      expect(client.received.toString('utf8')).toBe('HTTP/1.1 200 OK\r\n\r\ngrün')
    })
  }

  test('destroys an endless stream when the client resets', async () => {
    const watch = new Watch()
    const [near] = duplexPair()
    const closed = once(near, 'close')
    const { port } = await startProxy(() => ({ connect: () => near }))
    const client = await connect(port)
    client.write(GET)
    await watch.until('connected')
    client.reset()
    await closed
    await watch.until('close')
    expect(watch.codes).toEqual(['CLIENT_RESET'])
  })
})
