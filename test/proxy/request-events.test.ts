import { channel } from 'node:diagnostics_channel'
import net from 'node:net'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { ConnectionEvents, ProxyOptions } from '../../src/index.ts'
import { parseHead } from '../../src/parser/index.ts'
import type { Owner } from '../../src/proxy/reporter.ts'
import { Reporter } from '../../src/proxy/reporter.ts'
import { Backend, connect } from '../helpers/net.ts'
import { ask, expectNoWarnings, GET, OK, startProxy, Watch } from '../helpers/proxy.ts'

expectNoWarnings()

afterEach(() => void vi.useRealTimers())

const host = '127.0.0.1'
const NEXT = GET.replace('/', '/next')

type Name = 'start' | 'response' | 'end'
type Seen = { [K in Name]: { name: K; message: ConnectionEvents[K] } }[Name]

/** Records the messages about requests. */
function record(names: readonly Name[] = ['start', 'response', 'end']): Seen[] {
  const seen: Seen[] = []
  for (const name of names) {
    const heard = (message: unknown) => void seen.push({ name, message } as Seen)
    channel(`badass:request:${name}`).subscribe(heard)
    onTestFinished(() => void channel(`badass:request:${name}`).unsubscribe(heard))
  }
  return seen
}

const namesOf = (seen: readonly Seen[]) => seen.map(({ name }) => name)

async function start(options: Partial<ProxyOptions> = {}) {
  const backend = await Backend.start()
  const watch = new Watch()
  const lookup = () => ({ port: backend.port, host })
  const { port, server } = await startProxy({ lookup, requests: 'every', ...options })
  return { backend, watch, server, port, seen: record() }
}

describe("with requests: 'every'", () => {
  test('each request starts, is answered and ends', async () => {
    const dest = { port: 0, host }
    const lookup: ProxyOptions['lookup'] = (head) => {
      head.set('X-Lookup', '1')
      return dest
    }
    const modify: ProxyOptions['modify'] = (head) => void head.set('X-Modify', '1')
    const { backend, port, seen } = await start({ lookup, modify })
    dest.port = backend.port
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.write(OK)
    const first = await client.until('ok')
    client.write(NEXT)
    await peer.until('next')
    peer.write(OK)
    await client.until(`ok${first}`)
    expect(namesOf(seen)).toEqual(['start', 'response', 'end', 'start', 'response', 'end'])
    const messages = seen.map(({ message }) => message)
    expect(new Set(messages.map(({ connection }) => connection)).size).toBe(1)
    for (const [i, message] of messages.entries()) {
      expect(message.head!.target).toBe(i < 3 ? '/' : '/next')
      expect(message.head!.get('x-lookup')).toBe('1')
      if (!('status' in message)) continue
      expect(message).toMatchObject({ dest, status: 200 })
      expect(message.response!.get('x-modify')).toBe('1')
    }
    const bytes = { bytesRead: GET.length, bytesWritten: first.length }
    expect(messages[2]).toMatchObject(bytes)
    expect(messages[5]).toMatchObject({ ...bytes, bytesRead: NEXT.length })
  })

  test('times tell how long each phase took', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const backend = await Backend.start()
    const { port, seen } = await start({
      lookup: async () => {
        vi.advanceTimersByTime(1)
        return {
          async connect() {
            vi.advanceTimersByTime(20)
            return net.connect(backend.port, host)
          },
        }
      },
    })
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    vi.advanceTimersByTime(300)
    peer.write('HTTP/1.1 103 Early Hints\r\n\r\n')
    await client.until('\r\n\r\n')
    vi.advanceTimersByTime(4_000)
    peer.write(OK.slice(0, -1))
    await client.until('o')
    vi.advanceTimersByTime(50_000)
    peer.write('k')
    await client.until('ok')
    const times = { queue: 1, connect: 20, firstByte: 300 }
    const [, response, end] = seen.map(({ message }) => message)
    expect(response).toMatchObject({ times: { ...times, total: 4_321 } })
    expect(end).toMatchObject({ times: { ...times, total: 54_321 } })
  })

  test("a hook's Response has no head of a backend", async () => {
    const { port, seen } = await start({ lookup: () => new Response('no', { status: 403 }) })
    const client = await connect(port)
    client.write(GET)
    await client.until('no')
    expect(namesOf(seen)).toEqual(['start', 'response', 'end'])
    const common = { status: 403, response: undefined, dest: undefined }
    const times = { queue: undefined, connect: undefined, firstByte: undefined }
    expect(seen[1]!.message).toMatchObject({ ...common, times })
    expect(seen[2]!.message).toMatchObject({ ...common, times })
  })

  test('a request that fails ends with the answer of the engine', async () => {
    const { port, seen, backend } = await start()
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.end()
    const text = await client.ended()
    client.end()
    await client.closed()
    await expect.poll(() => namesOf(seen)).toEqual(['start', 'response', 'end'])
    const { times, ...message } = seen[2]!.message as ConnectionEvents['end']
    expect(message).toMatchObject({ status: 502, response: undefined, bytesWritten: text.length })
    expect(times).toMatchObject({ queue: expect.any(Number), connect: expect.any(Number), firstByte: undefined })
  })

  test('a request whose client leaves ends before its connection closes', async () => {
    const { port, backend, watch, seen } = await start()
    const client = await connect(port)
    client.write(GET)
    await (await backend.next()).until('\r\n\r\n')
    client.reset()
    await watch.until('close')
    expect(namesOf(seen)).toEqual(['start', 'end'])
    expect(seen[1]!.message).toMatchObject({ status: undefined, bytesRead: GET.length, bytesWritten: 0 })
    expect(watch.names.slice(-3)).toEqual(['error', 'end', 'close'])
  })

  test('an upgraded request ends when its connection closes', async () => {
    const { port, backend, watch, seen } = await start()
    const client = await connect(port)
    const request = GET.replace('\r\n\r\n', '\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    client.write(request)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'
    peer.write(switching)
    await client.until('\r\n\r\n')
    client.end('up')
    await peer.until('up')
    expect(namesOf(seen)).toEqual(['start', 'response'])
    peer.end('down')
    await client.ended()
    await watch.until('close')
    expect(namesOf(seen)).toEqual(['start', 'response', 'end'])
    const bytes = { bytesRead: request.length + 2, bytesWritten: switching.length + 4 }
    expect(seen[2]!.message).toMatchObject({ status: 101, ...bytes })
  })

  test('a refused head starts no request', async () => {
    const { port, seen, watch } = await start()
    const client = await connect(port)
    client.end('bad\r\n\r\n')
    await watch.until('close')
    expect(namesOf(seen)).toEqual(['response'])
    expect(seen[0]!.message).toMatchObject({ status: 400, head: undefined, response: undefined, times: undefined })
  })

  test('a listener of a start may destroy the connection', async () => {
    const { port, seen, watch, backend } = await start()
    const destroy = (message: unknown) => (message as ConnectionEvents['start']).connection.destroy()
    channel('badass:request:start').subscribe(destroy)
    onTestFinished(() => void channel('badass:request:start').unsubscribe(destroy))
    await expect(ask(port)).rejects.toThrow(/ECONNRESET/)
    await watch.until('close')
    expect(namesOf(seen)).toEqual(['start', 'end'])
    expect(backend.accepted).toBe(0)
  })

  test('a subscriber that comes while lookup runs hears of the end', async () => {
    const backend = await Backend.start()
    let seen: Seen[] = []
    const lookup = () => {
      seen = record(['end'])
      return { port: backend.port, host }
    }
    const { port } = await startProxy({ requests: 'every', lookup })
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.write(OK)
    await client.until('ok')
    expect(namesOf(seen)).toEqual(['end'])
  })
})

test("with requests: 'first', the first request ends with its connection", async () => {
  const { port, backend, watch, seen } = await start({ requests: 'first' })
  const client = await connect(port)
  client.end(GET + NEXT)
  const peer = await backend.next()
  await peer.ended()
  peer.end(OK)
  await client.ended()
  await watch.until('close')
  expect(namesOf(seen)).toEqual(['start', 'end'])
  const end = { status: undefined, bytesRead: GET.length + NEXT.length, bytesWritten: OK.length }
  expect(seen[1]!.message).toMatchObject({ ...end, times: { queue: expect.any(Number), firstByte: undefined } })
})

test('reads nothing of a connection if no channel has subscribers', () => {
  const unread = () => {
    throw new Error('read')
  }
  const connection = Object.defineProperties({} as never, { bytesRead: { get: unread }, bytesWritten: { get: unread } })
  const counted: string[] = []
  const owner = { requested: () => counted.push('requested'), connected: () => counted.push('connected') }
  const reporter = new Reporter(connection, owner as unknown as Owner<never>)
  const head = parseHead(Buffer.from(GET), 'request')
  reporter.requested(head)
  reporter.routed(head, { port: 1 })
  reporter.connected({ port: 1 }, false)
  reporter.answered()
  reporter.responded(200, head)
  reporter.exchanged()
  expect(counted).toEqual(['requested', 'connected'])
})

describe('counters', () => {
  test('count requests, reused connections and retries', async () => {
    const { server, port, backend } = await start()
    const client = await connect(port)
    client.write(GET)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.write(OK)
    await client.until('ok')
    expect(server.counters).toMatchObject({ requests: 1, reuses: 0, retries: 0, connected: 1 })
    client.write(NEXT)
    await peer.until('next')
    expect(server.counters).toMatchObject({ requests: 2, reuses: 1, retries: 0, connected: 2 })
    peer.reset()
    const other = await backend.next()
    await other.until('next')
    expect(server.counters).toMatchObject({ requests: 2, reuses: 1, retries: 1, connected: 3 })
    other.write(OK)
    await client.until(OK + OK)
  })

  test("count the first request of each connection with requests: 'first'", async () => {
    const { server, port, backend } = await start({ requests: 'first' })
    const client = await connect(port)
    client.write(GET + NEXT)
    await (await backend.next()).until('next')
    expect(server.counters).toMatchObject({ requests: 1, reuses: 0, retries: 0 })
  })
})
