import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type BalancerOptions, createBalancer } from '../../src/balancer/index.ts'
import { createStickyServer } from '../../src/sticky/index.ts'
import { listen } from '../helpers/net.ts'
import {
  ask,
  balancerOf,
  CLIENT,
  comeBack,
  cookieIn,
  lookUp,
  Named,
  nameIn,
  request,
  requestHead,
  stickyOf,
} from './support.ts'

/** The sticky value of each backend, by id. */
function valuesOf(options: BalancerOptions): Record<string, string> {
  const balancer = createBalancer(options)
  const routes = options.backends!.map(() => lookUp(balancer, requestHead(), CLIENT)!)
  balancer.close()
  return Object.fromEntries(routes.map(({ backend, sticky }) => [backend.id, sticky]))
}

const BACKENDS = [
  { port: 3001 },
  { port: 3002, host: 'app.internal' },
  { path: '/run/app.sock' },
  { port: 1, id: 'blue' },
]

describe('the sticky value', () => {
  it('is 16 characters that need no encoding in a cookie', () => {
    for (const value of Object.values(valuesOf({ backends: BACKENDS, secret: 's' }))) {
      expect(value).toMatch(/^[\w-]{16}$/)
    }
  })

  it('is the same in every process with the same ids and secret, whatever the order, the address and the rest', () => {
    const secret = 'one'
    const values = valuesOf({ backends: BACKENDS, secret })
    expect(valuesOf({ backends: BACKENDS.toReversed(), secret, failover: 'persist' })).toEqual(values)
    expect(valuesOf({ backends: [{ port: 9, id: 'blue', weight: 5 }], secret }).blue).toBe(values.blue)
    expect(valuesOf({ backends: [{ path: '/x', id: 'localhost:3001' }], secret })).toEqual({
      'localhost:3001': values['localhost:3001'],
    })
  })

  it('does not change between versions', () => {
    expect(stickyOf('127.0.0.1:3001', 'secret')).toBe('jaj4gL0mpiWAFgvs')
    expect(stickyOf('127.0.0.1:3001')).toBe('ipfsliBre14W0Xae')
  })

  it('depends on the secret', () => {
    const all = ['one', 'two', undefined].map((secret) => valuesOf({ backends: BACKENDS, secret }))
    expect(new Set(all.flatMap((values) => Object.values(values))).size).toBe(3 * BACKENDS.length)
  })

  it('accepts a secret as text or bytes', () => {
    expect(stickyOf('a', Buffer.from('grün'))).toBe(stickyOf('a', 'grün'))
    expect(stickyOf('a', ['grün'])).toBe(stickyOf('a', 'grün'))
  })

  it('ignores later changes to the bytes of the secret', () => {
    const secret = new Uint8Array([1, 2, 3])
    const balancer = balancerOf({ backends: [{ port: 1, id: 'a' }], secret })
    const before = stickyOf('a', secret)
    secret.fill(0)
    balancer.add({ port: 2, id: 'b', weight: 0 })
    expect(lookUp(balancer, requestHead(), CLIENT)!.sticky).toBe(before)
  })

  it('does not contain the address and differs between ids', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(65_534), { minLength: 2, maxLength: 20 }),
        fc.string({ minLength: 1 }),
        (ports, secret) => {
          const backends = ports.map((port) => ({ port: port + 1, host: '10.1.2.3' }))
          const values = valuesOf({ backends, secret })
          expect(new Set(Object.values(values)).size).toBe(ports.length)
          for (const [id, value] of Object.entries(values)) {
            const readings = [
              value,
              ...(['base64url', 'hex'] as const).map((code) => Buffer.from(value, code).toString('latin1')),
            ]
            for (const reading of readings) for (const part of [id, '10.1.2.3']) expect(reading).not.toContain(part)
          }
        },
      ),
    )
  })

  it('differs from a cookie signature with the same secret', async () => {
    const { createHmac } = await import('node:crypto')
    const signature = createHmac('sha256', 'one').update('sticky=x').digest('base64url')
    expect(signature.startsWith(stickyOf('sticky=x', 'one'))).toBe(false)
  })
})

describe('several secrets', () => {
  const backends = [
    { port: 1, id: 'a' },
    { port: 2, id: 'b' },
  ]

  it('the first makes values, and all are recognised', () => {
    const balancer = balancerOf({ backends, secret: ['new', 'old'] })
    expect(lookUp(balancer, requestHead(), stickyOf('b', 'old'), CLIENT)).toMatchObject({
      isHome: true,
      sticky: stickyOf('b', 'new'),
    })
    expect(comeBack(balancer, stickyOf('b', 'new'))).toBe('b')
  })

  it('a secret can be changed while clients come back, step by step', () => {
    const balancer = balancerOf({ backends, secret: 'old' })
    const isHome = (secret: string) => lookUp(balancer, requestHead(), stickyOf('b', secret), CLIENT)!.isHome
    expect([isHome('old'), isHome('new')]).toEqual([true, false])
    balancer.update({ backends, secret: ['old', 'new'] })
    expect([isHome('old'), isHome('new')]).toEqual([true, true])
    balancer.update({ backends, secret: ['new', 'old'] })
    expect(lookUp(balancer, requestHead(), stickyOf('b', 'old'), CLIENT)!.sticky).toBe(stickyOf('b', 'new'))
    balancer.update({ backends, secret: 'new' })
    expect([isHome('old'), isHome('new')]).toEqual([false, true])
  })

  it('the same secret twice is no collision', () => {
    const balancer = balancerOf({ backends, secret: ['one', 'one'] })
    balancer.add({ port: 3, id: 'c' })
    for (const id of ['a', 'b', 'c']) expect(comeBack(balancer, stickyOf(id, 'one'))).toBe(id)
  })

  it('a value of another secret is ignored', () => {
    const balancer = balancerOf({ backends, secret: 'one' })
    expect([1, 2].map(() => comeBack(balancer, stickyOf('b', 'two')))).toEqual(['a', 'b'])
    expect([1, 2].map(() => comeBack(balancer, stickyOf('b')))).toEqual(['a', 'b'])
  })
})

it('a client comes home through any of several proxies that share nothing but their options', async () => {
  const named = [await Named.start('one'), await Named.start('two'), await Named.start('three')]
  const start = async (order: readonly Named[]) => {
    const balancer = balancerOf({ backends: order.map(({ name, port }) => ({ port, id: name })), secret: 's' })
    const server = createStickyServer(balancer.lookup, balancer.errback, { cookie: { secret: 's', indirect: true } })
    return await listen(server)
  }
  const [here, there] = [await start(named), await start(named.toReversed())]
  for (let i = 0; i < 3; i++) {
    const first = await ask(here)
    const home = nameIn(first)
    const cookie = cookieIn(first)!
    expect(cookie).not.toMatch(/127|one|two|three/)
    for (const port of [there, here, there]) {
      const next = await ask(port, request('GET / HTTP/1.1', `Cookie: ${cookie}`))
      expect(nameIn(next)).toBe(home)
      expect(cookieIn(next)).toBe(cookie)
    }
  }
})
