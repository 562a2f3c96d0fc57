import { describe, expect, it } from 'vitest'
import { createServer, ProxyError } from '../../../src/proxy/index.ts'
import { type BalancerOptions, createStickyServer } from '../../../src/sticky/index.ts'
import { connect, deadPort, listen } from '../../helpers/net.ts'
import { withoutDate } from '../../helpers/proxy.ts'
import { ask, balancerOf, CLIENT, request, requestHead, stickyOf } from './support.ts'

const BODY = '503 Service Unavailable: no backend is available\n'
const answer = (retryAfter: number, body = BODY) =>
  `HTTP/1.1 503 Service Unavailable\r\nRetry-After: ${retryAfter}\r\nContent-Type: text/plain; charset=utf-8\r\n` +
  `Content-Length: ${BODY.length}\r\nConnection: close\r\n\r\n${body}`
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

async function start(options: BalancerOptions): Promise<number> {
  const { lookup, errback } = balancerOf(options)
  return await listen(createServer({ lookup, errback }))
}

describe('where no backend can be', () => {
  it('the client gets a 503 that says when to come back', async () => {
    const port = await start({})
    const text = await ask(port)
    expect(text).toMatch(
      /^HTTP\/1.1 503 Service Unavailable\r\nDate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n/,
    )
    expect(withoutDate(text)).toBe(answer(1))
  })

  it('the answer to HEAD has no body, and says how long it would be', async () => {
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

  it('a body that the client sends is read, and does not cost it the answer', async () => {
    const body = 'x'.repeat(1_000_000)
    const text = request('POST / HTTP/1.1', `Content-Length: ${body.length}`) + body
    expect(withoutDate(await ask(await start({ backends: [{ port: await deadPort() }] }), text))).toContain(BODY)
  })
})

describe('Retry-After', () => {
  const refused = () => new ProxyError('CONNECT_FAILED', 'connect', new Error('refused'))
  const secondsOf = (balancer: ReturnType<typeof balancerOf>): number => {
    const readable = balancer.errback(new ProxyError('NO_DESTINATION', 'lookup'), undefined, requestHead())
    const head = String((readable as { read(): unknown }).read())
    return Number(/^Retry-After: (\d+)\r$/m.exec(head)![1])
  }
  const fail = (balancer: ReturnType<typeof balancerOf>, id: string) => {
    balancer.errback(refused(), balancer.lookup(requestHead(), stickyOf(id), CLIENT)!, requestHead())
  }

  it('is when the first of those that are down is tried again', () => {
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
    // Jittered, from half of the time on.
    expect(seconds).toBeGreaterThanOrEqual(50)
    expect(seconds).toBeLessThanOrEqual(100)
    expect(Math.abs(seconds - (next - Date.now()) / 1000)).toBeLessThan(2)
  })

  it('is 1 at least', () => {
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }], backoff: { min: 500, max: 500 } })
    fail(balancer, 'a')
    expect(secondsOf(balancer)).toBe(1)
  })

  it('is 1 where none is down', () => {
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }] })
    balancer.drain('a')
    expect(secondsOf(balancer)).toBe(1)
  })

  it('does not wait for one that has been removed', () => {
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
