import { describe, expect, it } from 'vitest'
import type { Route } from '../../src/balancer/index.ts'
import { createServer } from '../../src/index.ts'
import { type Dest, ProxyError } from '../../src/proxy/index.ts'
import { deadPort, listen } from '../helpers/net.ts'
import { ask, balancerOf, CLIENT, eventsOf, lookUp, requestHead, statusOf } from './support.ts'

describe('a local failure or a full accept queue', () => {
  const failing = (...codes: string[]) => {
    const causes = codes.map((code) => Object.assign(new Error(`connect ${code}`), { code }))
    const cause = causes.length > 1 ? Object.assign(new AggregateError(causes), { code: codes[0] }) : causes[0]
    return new ProxyError('CONNECT_FAILED', 'connect', cause)
  }

  it.each([
    [['EMFILE']],
    [['ENFILE']],
    [['ENOMEM']],
    [['ENOBUFS']],
    [['EADDRNOTAVAIL']],
    [['EAGAIN']],
    [['EADDRNOTAVAIL', 'EMFILE']],
  ])('is not a backend failure: %j', (codes) => {
    const balancer = balancerOf({
      backends: [
        { port: 1, id: 'a' },
        { port: 2, id: 'b' },
      ],
    })
    const events = eventsOf(balancer)
    const first = lookUp(balancer, requestHead(), CLIENT)!
    const next = balancer.errback(failing(...codes), first, requestHead())
    expect(next).toMatchObject({ port: 2, tried: [{ id: 'a' }] })
    expect(statusOf(balancer, 'a')).toMatchObject({ state: 'up', failures: 1, lastError: { message: /./ } })
    expect(events).toEqual([])
  })

  it('does not make a connection try the same backend twice', () => {
    const backends = ['a', 'b', 'c'].map((id, i) => ({ port: i + 1, id }))
    const balancer = balancerOf({ backends })
    const tried: string[] = []
    let outcome: unknown = lookUp(balancer, requestHead(), CLIENT)
    while (tried.length < 9 && 'backend' in (outcome as object)) {
      tried.push((outcome as Route).backend.id)
      outcome = balancer.errback(failing('EMFILE'), { ...(outcome as Route) }, requestHead())
    }
    expect(tried).toEqual(['a', 'b', 'c'])
    expect(balancer.backends.every(({ state }) => state === 'up')).toBe(true)
  })

  it.each([[['ECONNREFUSED']], [['ETIMEDOUT']], [['ENOENT']], [['EADDRNOTAVAIL', 'ECONNREFUSED']]])(
    'is not in %j',
    (codes) => {
      const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }] })
      const route = lookUp(balancer, requestHead(), CLIENT)!
      void balancer.errback(failing(...codes), route, requestHead())
      expect(statusOf(balancer, 'a').state).toBe('down')
    },
  )
})

it('gives up before the proxy does, with Retry-After', async () => {
  const dead = await deadPort()
  const backends = Array.from({ length: 120 }, (_, i) => ({ port: dead, id: `b${i}` }))
  const balancer = balancerOf({ backends })
  const port = await listen(createServer(balancer.lookup, undefined, balancer.errback))
  expect(await ask(port)).toMatch(/^HTTP\/1\.1 503 .*\r\nRetry-After: \d+\r\n/is)
  expect(balancer.backends.filter(({ state }) => state === 'down')).toHaveLength(99)
})

describe('errback', () => {
  const refused = () => new ProxyError('CONNECT_FAILED', 'connect', new Error('refused'))

  it('counts an error once, however often it is called', () => {
    const balancer = balancerOf({
      backends: [
        { port: 1, id: 'a' },
        { port: 2, id: 'b' },
      ],
    })
    const route = lookUp(balancer, requestHead(), CLIENT)!
    const error = refused()
    for (let i = 0; i < 3; i++) expect(balancer.errback(error, { ...route }, requestHead())).toMatchObject({ port: 2 })
    expect(statusOf(balancer, 'a').failures).toBe(1)
  })

  it('chooses no other backend after a request was sent, unless its connection was refused', () => {
    const balancer = balancerOf({
      backends: [
        { port: 1, id: 'a' },
        { port: 2, id: 'b' },
      ],
    })
    const route = lookUp(balancer, requestHead(), CLIENT)!
    const sent = new ProxyError('NO_RESPONSE', 'response', undefined, true)
    expect(balancer.errback(sent, route, requestHead())).toBeUndefined()
    expect(statusOf(balancer, 'a')).toMatchObject({ state: 'up', failures: 0 })
    const cause = new Error('refused')
    const replayed = new ProxyError('CONNECT_FAILED', 'connect', cause, true)
    expect(balancer.errback(replayed, route, requestHead())).toMatchObject({ port: 2 })
  })

  it('answers 503 for a foreign Dest or another kind of error', () => {
    const [balancer, other] = [balancerOf({ backends: [{ port: 1 }] }), balancerOf({ backends: [{ port: 2 }] })]
    const theirs = lookUp(other, requestHead(), CLIENT)!
    const ours = lookUp(balancer, requestHead(), CLIENT)!
    const head = requestHead()
    const getter = Object.defineProperty({ port: 3 }, 'backend', {
      get: () => {
        throw new Error('a getter')
      },
    })
    const outcomes = [
      balancer.errback(refused(), theirs, head),
      balancer.errback(refused(), { port: 3 }, head),
      balancer.errback(refused(), { port: 3, backend: { id: '127.0.0.1:1' } } as Dest, head),
      balancer.errback(refused(), getter, head),
      balancer.errback(refused(), null, head),
      balancer.errback(new ProxyError('LOOKUP_FAILED', 'lookup'), undefined, head),
      balancer.errback(new ProxyError('NO_DESTINATION', 'lookup'), ours, head),
    ]
    for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 503 })
    expect(balancer.backends[0]).toMatchObject({ state: 'up', failures: 0 })
    expect(other.backends[0]).toMatchObject({ state: 'up', failures: 0 })
  })

  it('accepts a Dest with only its backend property', () => {
    const balancer = balancerOf({ backends: [{ port: 1 }, { port: 2 }], algorithm: 'hash' })
    const { backend } = lookUp(balancer, requestHead(), CLIENT)!
    const next = balancer.errback(refused(), { port: 1, backend } as Dest, requestHead())
    expect(next).toHaveProperty('backend')
    expect((next as Route).backend).not.toBe(backend)
  })

  it('accepts a Dest whose other properties were overwritten', () => {
    const balancer = balancerOf({ backends: [{ port: 1 }, { port: 2 }], algorithm: 'hash', failover: 'persist' })
    const route = lookUp(balancer, requestHead(), CLIENT)!
    const mine = { ...route, tried: true, key: Buffer.alloc(1), isHome: 'yes' }
    expect(balancer.errback(refused(), mine, requestHead())).toMatchObject({ tried: [{ id: route.backend.id }] })
  })

  it('keeps the key, so that hash chooses as if the backend were not there', () => {
    const backends = Array.from({ length: 8 }, (_, i) => ({ port: i + 1, id: `b${i}` }))
    for (let i = 0; i < 20; i++) {
      const client = { ...CLIENT, remoteAddress: `10.0.0.${i}` }
      const balancer = balancerOf({ backends, algorithm: 'hash' })
      const route = lookUp(balancer, requestHead(), client)!
      const next = balancer.errback(refused(), route, requestHead()) as Route
      const without = balancerOf({ backends: backends.filter(({ id }) => id !== route.backend.id), algorithm: 'hash' })
      expect(next.backend.id).toBe(lookUp(without, requestHead(), client)!.backend.id)
    }
  })
})
