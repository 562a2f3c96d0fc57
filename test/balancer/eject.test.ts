import { channel } from 'node:diagnostics_channel'
import http from 'node:http'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Ejection } from '../../src/balancer/ejection.ts'
import type { Balancer, BalancerOptions } from '../../src/balancer/index.ts'
import { createServer, ProxyError } from '../../src/proxy/index.ts'
import { Backend, connect, deadPort, listen } from '../helpers/net.ts'
import { Watch } from '../helpers/proxy.ts'
import {
  ask,
  balancerOf,
  CLIENT,
  chooseMany,
  comeBack,
  eventsOf,
  idle,
  Named,
  request,
  requestHead,
  statusOf,
  stickyOf,
} from './support.ts'

const POST = request('POST / HTTP/1.1', 'Content-Length: 4').concat('body')

/** A proxy before a backend that answers with the status in the path, and one that nobody asks. */
async function start(requests: 'first' | 'every', options: BalancerOptions = {}) {
  const server = http.createServer((incoming, response) => {
    incoming.resume()
    const status = Number(incoming.url!.slice(1))
    if (status === 0) incoming.socket.resetAndDestroy()
    else response.writeHead(status).end('x')
  })
  const port = await listen(server)
  const balancer = balancerOf({
    backends: [
      { port, id: 'a' },
      { port: 1, id: 'b', weight: 0 },
    ],
    eject: { failures: 3, min: 60_000, max: 60_000 },
    ...options,
  })
  const { lookup, errback } = balancer
  const proxy = await listen(createServer({ lookup, errback, requests }))
  /** Sends requests for these statuses one after the other. 0: the backend resets. */
  const send = async (...statuses: number[]) => {
    for (const status of statuses) {
      await ask(proxy, request(`GET /${status} HTTP/1.1`)).catch(() => '')
      await idle(balancer)
    }
  }
  return { balancer, proxy, send, events: eventsOf(balancer) }
}

function fakeClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
  onTestFinished(() => void vi.useRealTimers())
}

const isEjected = (balancer: Balancer, id = 'a') => statusOf(balancer, id).ejectedUntil !== undefined

describe("with requests: 'every'", () => {
  it.each([[[502, 503, 504]], [[0, 0, 0]], [[0, 503, 0]]])('%j eject a backend', async (statuses) => {
    const { balancer, send, events } = await start('every')
    await send(...statuses.slice(0, -1))
    expect(isEjected(balancer)).toBe(false)
    await send(statuses.at(-1)!)
    expect(isEjected(balancer)).toBe(true)
    expect(events).toEqual(['eject a'])
    expect(statusOf(balancer, 'a')).toMatchObject({ state: 'up', ejections: 1 })
    expect(chooseMany(balancer, 2)).toEqual([undefined, undefined])
    expect(comeBack(balancer, stickyOf('a'))).toBeUndefined()
  })

  it.each([[[503, 503, 200, 503, 503]], [[503, 503, 404, 503]], [[500, 500, 500, 500, 500]], [[501, 505, 501, 505]]])(
    '%j do not',
    async (statuses) => {
      const { balancer, send } = await start('every')
      await send(...statuses)
      expect(isEjected(balancer)).toBe(false)
    },
  )

  it('statuses of requests with a body count neither way', async () => {
    const { balancer, proxy, send } = await start('every')
    const upload = async (status: number, ...lines: string[]) => {
      expect(await ask(proxy, request(`POST /${status} HTTP/1.1`, ...lines))).toContain(`HTTP/1.1 ${status} `)
      await idle(balancer)
    }
    // The backend gives up a slow upload.
    for (let i = 0; i < 4; i++) await upload(503, 'Content-Length: 4')
    expect(isEjected(balancer)).toBe(false)
    await send(503, 503)
    await upload(503, 'Transfer-Encoding: chunked')
    expect(isEjected(balancer)).toBe(false)
    await send(503)
    expect(isEjected(balancer)).toBe(true)
  })

  it('500 counts if the option says so', async () => {
    const { balancer, send } = await start('every', { eject: { failures: 3, status: '500' } })
    await send(503, 500, 500)
    expect(isEjected(balancer)).toBe(false)
    await send(500)
    expect(isEjected(balancer)).toBe(true)
    expect(statusOf(balancer, 'a').lastError?.message).toBe('it answered 500')
  })

  it('a response head that comes too late counts', async () => {
    const backend = await Backend.start()
    const { lookup, errback, ...balancer } = spread({ eject: { failures: 1 } }, backend.port)
    const server = createServer({ lookup, errback, requests: 'every', responseHeadTimeout: 20 })
    expect(await ask(await listen(server))).toMatch(/^HTTP\/1.1 504 /)
    expect(balancer.isEjected()).toBe(true)
  })

  it.each<[what: string, text: string]>([
    ['a response that is missing to a request with a body', POST],
    ['a chunked body that is no such', `${request('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}nonsense\r\n`],
  ])('%s does not count', async (_, text) => {
    const backend = await Backend.start()
    const { lookup, errback, ...balancer } = spread({ eject: { failures: 1 } }, backend.port)
    const client = await connect(await listen(createServer({ lookup, errback, requests: 'every' })))
    client.write(text)
    const peer = await backend.next()
    if (text === POST) {
      await peer.until('\r\n\r\n')
      peer.reset()
    }
    await client.ended()
    expect(balancer.isEjected()).toBe(false)
  })

  it.each<[what: string, leave: 'reset' | 'end']>([
    ['resets', 'reset'],
    ['ends its side', 'end'],
  ])('a client that %s before the response does not count', async (_, leave) => {
    const watch = new Watch()
    const backend = await Backend.start()
    const { lookup, errback, ...balancer } = spread({ eject: { failures: 1 } }, backend.port)
    const client = await connect(await listen(createServer({ lookup, errback, requests: 'every' })))
    client.write(request())
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    if (leave === 'reset') client.reset()
    else client.end()
    if (leave === 'end') peer.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    await watch.until('close')
    expect(balancer.isEjected()).toBe(false)
  })

  it('a response head that is too late for a client that has ended its side does not count', async () => {
    const watch = new Watch()
    const backend = await Backend.start()
    const { lookup, errback, ...balancer } = spread({ eject: { failures: 1 } }, backend.port)
    const server = createServer({ lookup, errback, requests: 'every', responseHeadTimeout: 20 })
    const client = await connect(await listen(server))
    client.write(request())
    client.end()
    await watch.until('close')
    expect(watch.codes).toEqual(['RESPONSE_HEAD_TIMEOUT'])
    expect(balancer.isEjected()).toBe(false)
  })

  it('a reused connection that is reset, and a response that breaks off, do not count', async () => {
    const backend = await Backend.start()
    const { lookup, errback, ...balancer } = spread({ eject: { failures: 1 } }, backend.port)
    const client = await connect(await listen(createServer({ lookup, errback, requests: 'every' })))
    const post = 'POST / HTTP/1.1\r\nHost: a\r\n\r\n'
    client.write(post)
    const peer = await backend.next()
    await peer.until('\r\n\r\n')
    peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    await client.until('ok')
    peer.received = Buffer.alloc(0)
    client.write(post)
    await peer.until('\r\n\r\n')
    peer.reset()
    await client.closed()
    const other = await connect(await listen(createServer({ lookup, errback, requests: 'every' })))
    other.write(request())
    const broken = await backend.next()
    await broken.until('\r\n\r\n')
    broken.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok')
    await other.until('ok')
    broken.reset()
    await other.closed()
    expect(balancer.isEjected()).toBe(false)
  })

  it('an answer of badass itself counts neither way', async () => {
    const { balancer, send } = await start('every')
    await send(503, 503)
    balancer.drain('a')
    await send(503)
    balancer.ready('a')
    expect(isEjected(balancer)).toBe(false)
    await send(503)
    expect(isEjected(balancer)).toBe(true)
  })
})

describe("with requests: 'first'", () => {
  it('a reset before the response counts, and statuses do not', async () => {
    const { balancer, send } = await start('first')
    await send(0, 0, 503, 0, 0)
    expect(isEjected(balancer)).toBe(false)
    await send(0)
    expect(isEjected(balancer)).toBe(true)
  })

  it.each([0, 60_000])("a reset after the client's FIN does not count, responseHeadTimeout %d", async (timeout) => {
    const watch = new Watch()
    const backend = await Backend.start()
    const { lookup, errback, ...balancer } = spread({ eject: { failures: 1 } }, backend.port)
    const client = await connect(await listen(createServer({ lookup, errback, responseHeadTimeout: timeout })))
    client.write(request())
    client.end()
    const peer = await backend.next()
    await peer.ended()
    peer.reset()
    await watch.until('close')
    expect(watch.codes).toEqual([timeout ? 'NO_RESPONSE' : 'BACKEND_RESET'])
    expect(balancer.isEjected()).toBe(false)
  })

  it('a reset after the first bytes counts neither way', async () => {
    const backend = await Backend.start()
    const { lookup, errback, ...balancer } = spread({ eject: { failures: 2 } }, backend.port)
    const port = await listen(createServer({ lookup, errback }))
    for (const bytes of ['', 'HTTP/1.1 200', '']) {
      expect(balancer.isEjected()).toBe(false)
      const client = await connect(port)
      client.write(request())
      const peer = await backend.next()
      await peer.until('\r\n\r\n')
      if (bytes) {
        peer.write(bytes)
        await client.until(bytes)
      }
      peer.reset()
      await client.closed()
    }
    expect(balancer.isEjected()).toBe(true)
  })
})

describe('failed connects', () => {
  it('count once each time that the backend goes down', async () => {
    const balancer = balancerOf({
      backends: [
        { port: await deadPort(), id: 'a' },
        { port: 1, id: 'b', weight: 0 },
      ],
      eject: 2,
    })
    const events = eventsOf(balancer)
    const { lookup, errback } = balancer
    const port = await listen(createServer({ lookup, errback }))
    await Promise.all([1, 2, 3, 4].map(async () => ask(port)))
    expect(events).toEqual(['down a'])
  })

  it('do not count for lack of local resources', () => {
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }, { port: 2 }], eject: 1 })
    const cause = Object.assign(new Error('too many open files'), { code: 'EMFILE' })
    const route = balancer.lookup(requestHead(), stickyOf('a'), CLIENT)
    void balancer.errback(
      new ProxyError('CONNECT_FAILED', 'connect', cause),
      route as object as { port: 1 },
      requestHead(),
    )
    expect(isEjected(balancer)).toBe(false)
  })
})

describe('how many', () => {
  /** Lets backends answer 503 once each. */
  const fail = (balancer: Balancer, ...ids: string[]) => {
    for (const id of ids) {
      const dest = balancer.lookup(requestHead(), stickyOf(id), CLIENT)
      if (!dest || dest instanceof Promise) throw new Error(`no route to ${id}`)
      const connection = {}
      channel('badass:connection:routed').publish({ connection, head: requestHead(), dest })
      channel('badass:request:response').publish({ connection, dest, status: 503, response: {} })
      channel('badass:connection:close').publish({ connection })
    }
    return balancer.backends.filter(({ ejectedUntil }) => ejectedUntil).map(({ id }) => id)
  }
  const of = (count: number, more: BalancerOptions = {}) =>
    balancerOf({
      backends: Array.from({ length: count }, (_, i) => ({ port: i + 1, id: String(i) })),
      eject: 1,
      ...more,
    })

  it('never the only backend', () => {
    expect(fail(of(1), '0', '0')).toEqual([])
  })

  it('half of the backends at most', () => {
    expect(fail(of(2), '0', '1')).toEqual(['0'])
    expect(fail(of(3), '0', '1', '2')).toEqual(['0'])
    expect(fail(of(4), '0', '1', '2', '3')).toEqual(['0', '1'])
  })

  it('those that are down or draining count as gone', () => {
    const balancer = of(4)
    balancer.drain('3')
    const dest = balancer.lookup(requestHead(), stickyOf('2'), CLIENT) as { port: number }
    void balancer.errback(new ProxyError('CONNECT_FAILED', 'connect', new Error('refused')), dest, requestHead())
    // The failed connect has ejected it, too.
    expect(fail(balancer, '0', '1')).toEqual(['2'])
  })

  it('an ejection ends after its time, with an update without the option, and not with another', () => {
    fakeClock()
    const balancer = of(4, { eject: { failures: 1, min: 1000, max: 1000 } })
    const events = eventsOf(balancer)
    expect(fail(balancer, '0')).toEqual(['0'])
    vi.advanceTimersByTime(1000)
    expect(fail(balancer, '1')).toEqual(['1'])
    const backends = [0, 1, 2, 3].map((i) => ({ port: i + 1, id: String(i) }))
    balancer.update({ backends, eject: 5 })
    expect(isEjected(balancer, '1')).toBe(true)
    balancer.update({ backends })
    expect(isEjected(balancer, '1')).toBe(false)
    expect(events).toEqual(['eject 0', 'uneject 0', 'eject 1', 'uneject 1'])
    expect(fail(balancer, '0')).toEqual([])
  })

  it('a queue serves clients of an ejected home elsewhere', async () => {
    fakeClock()
    const backends = [0, 1].map((i) => ({ port: i + 1, id: String(i), maxConnections: 1 }))
    const balancer = balancerOf({ backends, eject: 1, queue: 60_000 })
    const dest = balancer.lookup(requestHead(), stickyOf('0'), CLIENT)
    const connection = { state: 'Routing', bytesRead: 0, bytesWritten: 0 }
    channel('badass:connection:routed').publish({ connection, head: requestHead(), dest })
    const waiting = balancer.lookup(requestHead(), stickyOf('0'), CLIENT)
    expect(balancer.queued).toBe(1)
    channel('badass:request:response').publish({ connection, dest, status: 503, response: {} })
    expect(await waiting).toMatchObject({ backend: { id: '1' } })
  })
})

it('the time doubles up to a maximum, and starts again after long service', () => {
  fakeClock()
  const [min, max] = [1000, 5000]
  const times: number[] = []
  const ejection = new Ejection(
    { mayEject: () => true, ejected: () => void times.push(ejection.until! - Date.now()), returned: () => undefined },
    () => 1,
  )
  ejection.use({ failures: 1, min, max, status: [[502, 504]] })
  for (let i = 0; i < 5; i++) {
    ejection.failed(new Error('x'))
    ejection.failed(new Error('while it is ejected'))
    vi.advanceTimersByTime(times.at(-1)!)
    expect(ejection.until).toBeUndefined()
  }
  vi.advanceTimersByTime(max + 1)
  ejection.failed(new Error('x'))
  expect(times).toEqual([1000, 2000, 4000, 5000, 5000, 1000])
  expect(ejection.total).toBe(6)
  ejection.stop()
})

/** A balancer of a backend at this port and another one. */
function spread(options: BalancerOptions, port: number) {
  const balancer = balancerOf({
    backends: [
      { port, id: 'a' },
      { port: 1, id: 'b', weight: 0 },
    ],
    ...options,
  })
  const { lookup, errback } = balancer
  return { lookup, errback, isEjected: () => isEjected(balancer) }
}

it('does nothing without the option', async () => {
  const alive = await Named.start('alive')
  const { balancer, send } = await start('every', {
    backends: [{ port: alive.port, id: 'a' }, { port: 1 }],
    eject: undefined,
  })
  await send(200)
  expect(statusOf(balancer, 'a')).toMatchObject({ ejections: 0, ejectedUntil: undefined })
})
