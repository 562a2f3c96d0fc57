import { channel } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import fc from 'fast-check'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Output } from '../../../src/cli/output.ts'
import { type Entry, toCombined, toJson, toText } from '../../../src/cli/service/log-format.ts'
import type { Head } from '../../../src/parser/index.ts'
import { EarlyResets } from '../../helpers/early-reset.ts'
import { Backend, connect, deadPort } from '../../helpers/net.ts'
import { converse, expectNoWarnings, GET, OK } from '../../helpers/proxy.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { turn } from '../../helpers/turns.ts'
import { endWith, get, STICKY, startBackend, startService } from './support.ts'

expectNoWarnings()

/** The fields of a line of text. */
function fieldsOf(line: string) {
  const [, time, client, request, status, pool, backend, times, read, written, retries, id, outcome] =
    /^(\S+) (\S+) (-|"(?:[^"\\]|\\.)*") (-|\d{3}) (\S+) (\S+) (\S+)ms (\d+)\/(\d+) \+(\d+) (\S+) (\S+)$/.exec(line) ??
    []
  const bytes = { read: Number(read), written: Number(written) }
  return { time, client, request, status, pool, backend, times, ...bytes, retries, id, outcome }
}

test('writes a line of text when a connection closes', async () => {
  const backend = await Backend.start()
  const { port, logged } = await startService({ backends: [{ id: 'a', port: backend.port }], log: 'text' })
  const before = Date.now()
  const client = await connect(port)
  const { localPort } = client.socket
  client.write(GET)
  const peer = await backend.next()
  await peer.until('\r\n\r\n')
  expect(logged.all).toEqual([])
  client.end()
  peer.end(OK)
  await client.ended()
  const [line = ''] = await logged.untilCount(1)
  const { time = '', times = '', ...rest } = fieldsOf(line)
  expect(rest).toEqual({
    client: `127.0.0.1:${localPort}`,
    request: '"GET / HTTP/1.1"',
    status: '-',
    pool: 'default',
    backend: 'a',
    read: GET.length,
    written: OK.length,
    retries: '0',
    id: '-',
    outcome: 'ok',
  })
  expect(Date.parse(time)).toBeGreaterThanOrEqual(before)
  expect(times).toMatch(/^[\d.]+\/[\d.]+\/-\/[\d.]+$/)
  const [head = 0, connect_ = 0, , total = 0] = times.split('/').map(Number)
  expect(total).toBeGreaterThanOrEqual(Math.round((head + connect_) * 10) / 10 - 0.2)
})

test('writes a JSON object when a connection closes', async () => {
  const backend = await Backend.start()
  const { port, logged } = await startService({ backends: [{ id: 'a', port: backend.port }], log: 'json' })
  await converse(port, backend)
  const [line = ''] = await logged.untilCount(1)
  expect(JSON.parse(line)).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    client: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    request: 'GET / HTTP/1.1',
    status: null,
    pool: 'default',
    backend: 'a',
    headMs: expect.any(Number),
    connectMs: expect.any(Number),
    firstByteMs: null,
    totalMs: expect.any(Number),
    bytesIn: GET.length,
    bytesOut: OK.length,
    retries: 0,
    requestId: null,
    outcome: 'ok',
  })
})

test('writes the status of each response with every request, and of answers of its own in both modes', async () => {
  const backend = await Backend.start()
  const hooks = { lookup: (head: Head) => (head.target === '/own' ? new Response(null, { status: 204 }) : undefined) }
  for (const requests of ['first', 'every'] as const) {
    const { port, logged } = await startService({
      backends: [{ id: 'a', port: backend.port }],
      ...{ log: 'json', hooks, requests },
    })
    await endWith(port, GET.replace('/', '/own'))
    await endWith(port, 'BAD\r\n\r\n')
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    client.end()
    peer.end(OK.replace('200 OK', '404 Not Found'))
    await client.ended()
    const lines = (await logged.untilCount(3)).map((line) => JSON.parse(line))
    const found = requests === 'every' ? 404 : null
    expect(lines.map(({ status }) => status)).toEqual([204, 400, found])
  }
})

test('writes the request line as received, without edits of hooks', async () => {
  const hooks = {
    lookup: (head: { first: string }) => {
      head.first = 'GET /other HTTP/1.1'
      return undefined
    },
  }
  const { port, logged } = await startService({ backends: [await startBackend()], log: 'text', hooks })
  expect((await get(port)).url).toBe('/other')
  expect(fieldsOf((await logged.untilCount(1))[0]!).request).toBe('"GET / HTTP/1.1"')
})

test('writes the errors in order, and ok if the connection recovered', async () => {
  const dead = { id: 'dead', port: await deadPort() }
  const backends = [dead, { ...(await startBackend()), backup: true }]
  const { port, logged, service } = await startService({ backends, log: 'text', sticky: STICKY })
  await get(port)
  expect(fieldsOf((await logged.untilCount(1))[0]!)).toMatchObject({ backend: 'a', outcome: 'CONNECT_FAILED,ok' })
  service.pools.get('default').remove('a')
  expect(await endWith(port)).toMatch(/^HTTP\/1.1 503 /)
  const line = (await logged.untilCount(2))[1]!
  expect(fieldsOf(line)).toMatchObject({ request: '"GET / HTTP/1.1"', backend: '-', outcome: 'NO_DESTINATION' })
  expect(line).toMatch(/ [\d.]+\/-\/-\/[\d.]+ms /)
})

test('writes a line without a request only after an error', async () => {
  const backend = await Backend.start()
  const { port, logged, service } = await startService({ backends: [{ id: 'a', port: backend.port }], log: 'text' })
  const silent = await connect(port)
  silent.end()
  await silent.ended()
  expect(await endWith(port, 'no request\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
  await converse(port, backend)
  const lines = await logged.untilCount(2)
  expect(service.counters.accepted).toBe(3)
  expect(lines.map(fieldsOf)).toMatchObject([
    { request: '-', backend: '-', outcome: 'BAD_HEAD' },
    { request: '"GET / HTTP/1.1"', backend: 'a', outcome: 'ok' },
  ])
  expect(lines[0]).toMatch(/ -\/-\/-\/[\d.]+ms 14\/\d+ \+0 - BAD_HEAD$/)
})

test('writes clients of Unix sockets and of IPv6', async () => {
  const path = join(temporaryDirectory(), 'x.sock')
  const listen = [{ path }, { port: 0, host: '::1' }]
  const { service, logged } = await startService({ backends: [await startBackend()], log: 'text', listen })
  await get({ socketPath: path })
  await get({ host: '::1', port: new URL(service.addresses[1]!).port })
  const [unix, six] = (await logged.untilCount(2)).map(fieldsOf)
  expect(unix?.client).toBe('unix')
  expect(six?.client).toMatch(/^\[::1\]:\d+$/)
})

test('does not treat a TCP client that left before accept as a Unix socket client', async () => {
  const backend = await Backend.start()
  const hooks = { errback: () => ({ port: backend.port, host: '127.0.0.1' }) }
  const { port, logged, service } = await startService({ log: 'json', hooks, forwarded: 'x', trust: ['unix'] })
  const early = await EarlyResets.start(port, GET)
  early.begin(1)
  early.wait()
  const line = JSON.parse((await logged.untilCount(1))[0]!)
  expect(line).toMatchObject({ client: null, request: null, outcome: 'CLIENT_RESET', bytesIn: GET.length })
  expect(service.counters.outcomes.CLIENT_RESET).toBe(1)
  expect(backend.accepted).toBe(0)
})

test('writes nothing for a client that sent nothing and left before accept', async () => {
  const { port, logged, service } = await startService({ log: 'json' })
  const early = await EarlyResets.start(port, '')
  early.begin(1)
  early.wait()
  await expect.poll(() => service.counters.outcomes.CLIENT_RESET).toBe(1)
  expect(logged.all).toEqual([])
})

test('writes the IPv4 address of an IPv4 client of a dual-stack listener', async () => {
  const { service, logged } = await startService({
    backends: [await startBackend()],
    log: 'text',
    listen: [{ port: 0, host: '::' }],
  })
  await get({ host: '127.0.0.1', port: new URL(service.addresses[0]!.replace('*', 'a')).port })
  expect(fieldsOf((await logged.untilCount(1))[0]!).client).toMatch(/^127\.0\.0\.1:\d+$/)
})

test.each([
  [{ port: 1, host: '127.0.0.1' }, '127.0.0.1:1'],
  [{ port: 1, host: '::1' }, '[::1]:1'],
  [{ path: '/nowhere/x y.sock' }, 'unix:/nowhere/x\\x20y.sock'],
])('writes the address of a hook`s Dest: %j', async (dest, name) => {
  const { port, logged } = await startService({ log: 'text', hooks: { lookup: () => dest } })
  await endWith(port)
  expect(fieldsOf((await logged.untilCount(1))[0]!).backend).toBe(name)
})

const FORGED = 'GET /"\xe4\\\x9b31m" HTTP/1.1'

test.each([
  ['text', '"GET /\\"\\xe4\\\\\\x9b31m\\" HTTP/1.1"'],
  ['json', String.raw`"request":"GET /\"\u00e4\\\u009b31m\" HTTP/1.1"`],
] as const)('escapes special bytes of a request line: %s', async (log, expected) => {
  const hooks = { lookup: () => undefined }
  const { port, logged } = await startService({ log, hooks })
  await endWith(port, `${FORGED}\r\nHost: a\r\n\r\n`)
  expect((await logged.untilCount(1))[0]).toContain(expected)
})

test('no byte of a request or an id forges a line', () => {
  const text = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) })
  const wide = fc.string({ unit: 'binary' })
  fc.assert(
    fc.property(text, wide, (request, backend) => {
      const entry: Entry = {
        time: 0,
        client: 'unix',
        request,
        status: 200,
        pool: 'p',
        backend: backend || 'a',
        headMs: 1,
        connectMs: undefined,
        firstByteMs: 1.5,
        totalMs: 2.25,
        bytesIn: 3,
        bytesOut: 4,
        bodyBytesOut: 4,
        retries: 1,
        requestId: undefined,
        referer: request,
        userAgent: backend,
        outcome: 'ok',
      }
      const line = toText(entry)
      expect(line).toMatch(/^[ -~]*$/)
      expect(fieldsOf(line)).toMatchObject({ client: 'unix', times: '1/-/1.5/2.3', read: 3, written: 4, outcome: 'ok' })
      const json = toJson(entry)
      expect(json).toMatch(/^[ -~]*$/)
      expect(JSON.parse(json)).toMatchObject({ request, headMs: 1, connectMs: null, firstByteMs: 1.5, totalMs: 2.3 })
      const combined =
        /^unix - - \[01\/Jan\/1970:00:00:00 \+0000\] "(?:[^"\\]|\\.)*" 200 4 "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"$/
      expect(toCombined(entry)).toMatch(combined)
      expect(toCombined(entry)).toMatch(/^[ -~]*$/)
    }),
  )
})

test('does not subscribe to channels without a log', async () => {
  const channels = ['open', 'routed', 'close'].map((name) => channel(`badass:connection:${name}`))
  const { service } = await startService({ backends: [await startBackend()] })
  // The balancer subscribes to the other channels.
  expect(channels[0]!.hasSubscribers).toBe(false)
  service.stop()
  const other = await startService({ backends: [await startBackend()], log: 'text' })
  expect(channels.map((one) => one.hasSubscribers)).toEqual([true, true, true])
  other.service.stop()
  expect(channels.map((one) => one.hasSubscribers)).toEqual([false, false, false])
})

/** A stream that completes one write at a time, on demand. */
class Slow extends Writable {
  taken = ''
  #next: (() => void) | undefined

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.taken += chunk
    this.#next = done
  }

  /** Completes all writes. */
  async take(): Promise<void> {
    while (this.writableLength > 0) {
      this.#next?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

test('bounds the buffer for a slow reader, and reports the number of dropped lines', async () => {
  const said: string[] = []
  const stream = new Slow()
  const { write } = new Output(stream, (line) => said.push(line))
  const line = 'x'.repeat(1023)
  for (let i = 0; i < 5000; i++) write(line)
  expect(stream.writableLength).toBeLessThanOrEqual(1 << 20)
  expect(said).toEqual(['the reader of the access log is too slow: dropping lines'])
  await stream.take()
  const kept = stream.taken.length / 1024
  expect(said.slice(1)).toEqual([`${5000 - kept} lines of the access log were dropped`])
  write('after')
  await stream.take()
  expect(stream.taken.endsWith(`${line}\nafter\n`)).toBe(true)
  expect(said).toHaveLength(2)
})

test('writes the lines of a turn together, as far as a pipe keeps them whole', async () => {
  const chunks: string[] = []
  const stream = new Writable({
    write: (chunk, _, done) => {
      chunks.push(String(chunk))
      done()
    },
  })
  const output = new Output(stream)
  const long = 'x'.repeat(2_040)
  for (const line of ['a', 'b', long, long, long]) output.writeSoon(line)
  expect(chunks).toEqual([`a\nb\n${long}\n${long}\n`])
  await turn()
  output.writeSoon('c')
  await turn()
  output.writeSoon('d')
  output.flush()
  output.writeSoon('x'.repeat(5_000))
  await output.end()
  expect(chunks.slice(1)).toEqual([`${long}\n`, 'c\n', 'd\n', `${'x'.repeat(5_000)}\n`])
})

test('waits for more lines until the time is up or the batch is full', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate'] })
  onTestFinished(() => void vi.useRealTimers())
  const stream = new Slow()
  const output = new Output(stream, undefined, { limits: { bytes: 10, ms: 20 } })
  output.writeSoon('a')
  vi.advanceTimersByTime(19)
  output.writeSoon('b')
  expect(stream.writableLength).toBe(0)
  vi.advanceTimersByTime(1)
  expect(stream.taken).toBe('a\nb\n')
  output.writeSoon('c')
  vi.advanceTimersByTime(19)
  output.writeSoon('x'.repeat(10))
  expect(stream.writableLength).toBe('a\nb\nc\n'.length)
  // The long line waits too.
  vi.advanceTimersByTime(19)
  expect(stream.writableLength).toBe('a\nb\nc\n'.length)
  vi.advanceTimersByTime(1)
  expect(stream.writableLength).toBe(`a\nb\nc\n${'x'.repeat(10)}\n`.length)
})

test('counts the lines of this turn as buffered', () => {
  const said: string[] = []
  const { writeSoon } = new Output(new Slow(), (line) => said.push(line))
  for (let i = 0; i < 1_100; i++) writeSoon('x'.repeat(1_023))
  expect(said).toEqual(['the reader of the access log is too slow: dropping lines'])
})

test('writes a single line that is longer than the buffer', async () => {
  const stream = new Slow()
  const { write } = new Output(stream)
  write('x'.repeat(2 << 20))
  await stream.take()
  write('after')
  await stream.take()
  expect(stream.taken.endsWith('x\nafter\n')).toBe(true)
})

test('reports once that the reader has left, or that the disk is full for a while', async () => {
  const said: string[] = []
  const failures = ['ENOSPC', 'ENOSPC', undefined, 'EPIPE']
  let writes = 0
  const stream = new Writable({
    autoDestroy: false,
    emitClose: false,
    write: (_, __, done) => {
      const code = failures[writes++]
      done(code === undefined ? null : Object.assign(new Error(`write ${code}`), { code }))
    },
  })
  // Like Node's stdout, it continues after an error.
  stream._destroy = (_, done) => done(null)
  const { write } = new Output(stream, (line) => said.push(line))
  for (let i = 0; i < 6; i++) {
    write('x')
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(said.at(0)).toBe('the access log cannot be written: write ENOSPC')
  expect(new Set(said).size).toBe(said.length)
})
