import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { BalancerOptions } from '../../src/balancer/index.ts'
import { createServer, ProxyError } from '../../src/proxy/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'
import { connect, deadPort, listen } from '../helpers/net.ts'
import { withoutDate } from '../helpers/proxy.ts'
import { ask, balancerOf, CLIENT, lookUp, request, requestHead, stickyOf } from './support.ts'

const BODY = '503 Service Unavailable: no backend is available\n'
const answer = (retryAfter: number, body = BODY) =>
  `HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: ${retryAfter}\r\n` +
  `Content-Length: ${BODY.length}\r\nConnection: close\r\n\r\n${body}`
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

async function start(options: BalancerOptions): Promise<number> {
  const { lookup, errback } = balancerOf(options)
  return await listen(createServer({ lookup, errback }))
}

describe('without an available backend', () => {
  it('the client gets a 503 with Retry-After', async () => {
    const port = await start({})
    const text = await ask(port)
    expect(text).toMatch(/\r\nDate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n/)
    expect(withoutDate(text)).toBe(answer(1))
  })

  it('the response to HEAD has Content-Length and no body', async () => {
    expect(withoutDate(await ask(await start({}), request('HEAD / HTTP/1.1')))).toBe(answer(1, ''))
  })

  it('a client of HTTP/1.0 gets it too', async () => {
    expect(withoutDate(await ask(await start({}), request('GET / HTTP/1.0')))).toBe(answer(1))
  })

  it.each([
    ['no backend', async () => ({})],
    ['one that is down', async () => ({ backends: [{ port: await deadPort() }] })],
  ])('a client of HTTP/2 is reset: %s', async (_, options) => {
    const client = await connect(await start(await options()))
    client.write(PREFACE)
    await client.closed()
    expect(client.received).toHaveLength(0)
    expect(client.error?.code).toBe('ECONNRESET')
  })

  it('a sticky server answers the same, and sets no cookie', async () => {
    const { lookup, errback } = balancerOf()
    const port = await listen(createStickyServer(lookup, errback, { cookie: { insert: true } }))
    expect(withoutDate(await ask(port))).toBe(answer(1))
    expect(withoutDate(await ask(port, request('GET / HTTP/1.1', 'Cookie: sticky=x')))).toBe(answer(1))
  })

  it('a request body does not break the response', async () => {
    const body = 'x'.repeat(1_000_000)
    const text = request('POST / HTTP/1.1', `Content-Length: ${body.length}`) + body
    expect(withoutDate(await ask(await start({ backends: [{ port: await deadPort() }] }), text))).toContain(BODY)
  })
})

describe('Retry-After', () => {
  const refused = () => new ProxyError('CONNECT_FAILED', 'connect', new Error('refused'))
  const secondsOf = (balancer: ReturnType<typeof balancerOf>): number => {
    const response = balancer.errback(new ProxyError('NO_DESTINATION', 'lookup'), undefined, requestHead())
    return Number((response as Response).headers.get('Retry-After'))
  }
  const fail = (balancer: ReturnType<typeof balancerOf>, id: string) => {
    void balancer.errback(refused(), lookUp(balancer, requestHead(), stickyOf(id), CLIENT)!, requestHead())
  }

  it('is the time until the next probe of a backend that is down', () => {
    const balancer = balancerOf({
      backends: [
        { port: 1, id: 'a' },
        { port: 2, id: 'b' },
      ],
      backoff: { min: 100_000, max: 100_000 },
    })
    fail(balancer, 'a')
    fail(balancer, 'b')
    const next = Math.min(...balancer.backends.map(({ retryAt }) => retryAt!))
    const seconds = secondsOf(balancer)
    // With jitter it is at least half of the time.
    expect(seconds).toBeGreaterThanOrEqual(50)
    expect(seconds).toBeLessThanOrEqual(100)
    expect(Math.abs(seconds - (next - Date.now()) / 1000)).toBeLessThan(2)
  })

  it('does not depend on the system clock', () => {
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }], backoff: { min: 10_000, max: 10_000 } })
    fail(balancer, 'a')
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 })
    onTestFinished(() => void vi.useRealTimers())
    expect(secondsOf(balancer)).toBeLessThanOrEqual(10)
    const left = balancer.backends[0]!.retryAt! - Date.now()
    expect(left).toBeLessThanOrEqual(10_000)
    expect(left).toBeGreaterThan(0)
  })

  it('is at least 1', () => {
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }], backoff: { min: 500, max: 500 } })
    fail(balancer, 'a')
    expect(secondsOf(balancer)).toBe(1)
  })

  it('is 1 if no backend is down', () => {
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }] })
    balancer.drain('a')
    expect(secondsOf(balancer)).toBe(1)
  })

  it('ignores removed backends', () => {
    const balancer = balancerOf({
      backends: [
        { port: 1, id: 'a' },
        { port: 2, id: 'b', weight: 0 },
      ],
    })
    fail(balancer, 'a')
    expect(secondsOf(balancer)).toBeGreaterThan(100)
    balancer.remove('a')
    expect(secondsOf(balancer)).toBe(1)
  })
})
