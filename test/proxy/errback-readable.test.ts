import { createReadStream, writeFileSync } from 'node:fs'
import net from 'node:net'
import { PassThrough, Readable, Writable } from 'node:stream'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Dest, Limits } from '../../src/index.ts'
import { lengthOf, stable } from '../helpers/flood.ts'
import { connect } from '../helpers/net.ts'
import { answer, ask, expectNoWarnings, GET, startProxy, Watch, withoutDate } from '../helpers/proxy.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { turn } from '../helpers/turns.ts'

expectNoWarnings()

const host = '127.0.0.1'
/** More bytes than the kernel buffers for a client that does not read. */
const SIZE = 1 << 26
const SORRY = 'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\nsorry'

/** A proxy that answers every client with the Readable of `source`. */
async function startAnswering(source: () => unknown, limits: Limits = {}) {
  return startProxy<Dest>({ lookup: () => undefined, errback: source as () => Readable, ...limits })
}

describe('a Readable from errback is the answer', () => {
  const SOURCES: [name: string, source: () => unknown][] = [
    ['of bytes', () => Readable.from([Buffer.from(SORRY)])],
    ['of many pieces', () => Readable.from([...SORRY].map((one) => Buffer.from(one)))],
    ['of strings', () => Readable.from([SORRY.slice(0, 20), SORRY.slice(20)])],
    ['of typed arrays', () => Readable.from([new Uint8Array(Buffer.from(SORRY))])],
    ['in a promise', async () => Readable.from([SORRY])],
    ['that is a Duplex', () => new PassThrough().end(SORRY)],
    [
      'that is written later',
      () => {
        const stream = new PassThrough()
        setImmediate(() => stream.end(SORRY))
        return stream
      },
    ],
    [
      'of a file',
      () => {
        const path = `${temporaryDirectory()}/sorry.http`
        writeFileSync(path, SORRY)
        return createReadStream(path)
      },
    ],
  ]
  for (const [name, source] of SOURCES) {
    test(name, async () => {
      const { port, server } = await startAnswering(source)
      expect(await ask(port)).toBe(SORRY)
      expect(server.counters.bytesWritten).toBe(SORRY.length)
    })
  }

  test('without bytes: the client only gets a FIN', async () => {
    const { port } = await startAnswering(() => Readable.from([]))
    expect(await ask(port)).toBe('')
  })

  test('that has already been read to its end: the client only gets a FIN', async () => {
    const ended = new PassThrough({ autoDestroy: false })
    ended.end().resume()
    await new Promise((resolve) => ended.on('end', resolve))
    const { port } = await startAnswering(() => ended)
    expect(await ask(port)).toBe('')
  })

  test('of text that is not ASCII, as UTF-8', async () => {
    const { port } = await startAnswering(() => Readable.from(['grün']))
    const client = await connect(port)
    client.write(GET)
    await client.ended()
    expect(client.received.toString()).toBe('grün')
  })

  test('while the client still sends, and drops what it sends', async () => {
    const source = new PassThrough()
    const { port } = await startAnswering(() => source)
    const client = await connect(port)
    client.write(GET)
    await client.flush(Buffer.alloc(1 << 20, 'x'))
    for (let i = 0; i < 16; i++) await client.flush(Buffer.alloc(1 << 20, 'x'))
    source.end(SORRY)
    expect(await client.ended()).toBe(SORRY)
    client.end()
    await client.closed()
    expect(client.error).toBeUndefined()
  })

  test('as fast as the client reads it', async () => {
    let given = 0
    const source = new Readable({
      read() {
        given += 1 << 16
        this.push(given > SIZE ? null : Buffer.alloc(1 << 16, 'x'))
      },
    })
    const { port } = await startAnswering(() => source)
    const client = net.connect(port, host).on('error', () => undefined)
    onTestFinished(() => void client.destroy())
    client.write(GET)
    await stable(() => given)
    expect(given).toBeLessThan(SIZE)
    expect(await lengthOf(client)).toBe(SIZE)
  })

  test('reaches a slow client in full if it is large and in one piece', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const watch = new Watch()
      const source = Readable.from([Buffer.alloc(SIZE, 'x')])
      const { port } = await startAnswering(() => source)
      const client = net.connect(port, host)
      onTestFinished(() => void client.destroy())
      client.write(GET)
      const { connection } = await watch.until('error')
      while (!source.readableEnded) await turn()
      await vi.advanceTimersByTimeAsync(30_000)
      expect(connection.state).toBe('Replying')
      expect(await lengthOf(client)).toBe(SIZE)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('a Readable that fails resets the client', () => {
  const cause = new Error('broke')
  const BROKEN: [name: string, source: () => unknown, cause: object | undefined][] = [
    ['before its first byte', () => new Readable({ read() {} }).destroy(cause), cause],
    ['in its first tick', () => new Readable({ read: () => undefined, construct: (done) => done(cause) }), cause],
    [
      'when it is read',
      () =>
        new Readable({
          read: () => {
            throw cause
          },
        }),
      cause,
    ],
    ['because it was already destroyed', () => new PassThrough().destroy(), undefined],
    [
      'because it is destroyed without an error',
      () => {
        const stream = new PassThrough()
        setImmediate(() => stream.destroy())
        return stream
      },
      undefined,
    ],
    ['because its file does not exist', () => createReadStream('/no/such/file'), { code: 'ENOENT' }],
    [
      'because it emits objects',
      () => Readable.from([{ not: 'bytes' }]),
      { message: "a stream emitted { not: 'bytes' }; expected bytes or a string" },
    ],
    [
      'because it emits numbers',
      () => Readable.from([1, 2]),
      { message: 'a stream emitted 1; expected bytes or a string' },
    ],
  ]
  test('midway', async () => {
    const watch = new Watch()
    const source = new PassThrough()
    const { port } = await startAnswering(() => source)
    const client = await connect(port)
    client.write(GET)
    source.write('HTTP/1.1 200 OK\r\n\r\n')
    await client.until('\r\n\r\n')
    source.destroy(cause)
    await expect(client.ended()).rejects.toThrow(/ECONNRESET/)
    expect(watch.codes).toEqual(['NO_DESTINATION', 'REPLY_FAILED'])
    expect(watch.all('error')[1]!.error.cause).toBe(cause)
  })

  for (const [name, source, thrown] of BROKEN) {
    test(name, async () => {
      const watch = new Watch()
      const { port } = await startAnswering(source)
      const client = await connect(port)
      client.write(GET)
      await client.closed()
      expect(client.error?.code).toBe('ECONNRESET')
      await watch.until('close')
      const { error } = await watch.until('error', 2)
      expect(error).toMatchObject({ code: 'REPLY_FAILED', phase: 'reply', status: undefined })
      if (thrown === undefined) expect(error.cause).toBeUndefined()
      else expect(error.cause).toMatchObject(thrown)
      expect(watch.codes).toEqual(['NO_DESTINATION', 'REPLY_FAILED'])
    })
  }

  test('but not if it fails after its end', async () => {
    const watch = new Watch()
    const source = new Readable({ read() {}, autoDestroy: false })
    source.push(SORRY)
    source.push(null)
    source.on('end', () => setImmediate(() => source.destroy(cause)))
    const { port } = await startAnswering(() => source)
    const client = await connect(port)
    client.end(GET)
    expect(await client.ended()).toBe(SORRY)
    await watch.until('close')
    expect(watch.codes).toEqual(['NO_DESTINATION'])
  })

  test('but a Writable is a wrong value', async () => {
    const watch = new Watch()
    const { port } = await startAnswering(() => new Writable({ write: (_chunk, _encoding, done) => done() }))
    expect(withoutDate(await ask(port))).toBe(answer('503 Service Unavailable', 'NO_DESTINATION'))
    expect(watch.codes).toEqual(['NO_DESTINATION', 'ERRBACK_FAILED'])
  })
})

describe('a Readable is destroyed', () => {
  test('when the client leaves', async () => {
    const watch = new Watch()
    const source = new PassThrough()
    const { port } = await startAnswering(() => source)
    const client = await connect(port)
    client.write(GET)
    source.write('some')
    await client.until('some')
    client.reset()
    await watch.until('close')
    expect(source.destroyed).toBe(true)
  })

  test('when the connection is', async () => {
    const watch = new Watch()
    const source = new PassThrough()
    const { port } = await startAnswering(() => source)
    const client = await connect(port)
    client.write(GET)
    const { connection } = await watch.until('error')
    connection.destroy()
    await client.closed()
    expect(client.error?.code).toBe('ECONNRESET')
    expect(source.destroyed).toBe(true)
  })

  test('when errback returns it after the client has left', async () => {
    const watch = new Watch()
    let give: (source: Readable) => void = () => undefined
    const { port } = await startAnswering(() => new Promise((resolve) => (give = resolve)))
    const client = await connect(port)
    client.write(GET)
    await watch.until('error')
    client.reset()
    await watch.until('close')
    const source = createReadStream('/no/such/file')
    const closed = new Promise<void>((resolve) => source.on('close', () => resolve()))
    give(source)
    await closed
    expect(source.destroyed).toBe(true)
    expect(watch.codes).toEqual(['NO_DESTINATION', 'CLIENT_RESET'])
  })

  test('when it is silent for halfCloseTimeout', async () => {
    const watch = new Watch()
    const source = new PassThrough()
    const { port } = await startAnswering(() => source, { halfCloseTimeout: 20 })
    await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
    await watch.until('close')
    expect(watch.codes).toEqual(['NO_DESTINATION', 'HALF_CLOSE_TIMEOUT'])
    expect(source.destroyed).toBe(true)
  })
})
