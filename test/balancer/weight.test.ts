import { describe, expect, it } from 'vitest'
import type { AlgorithmName } from '../../src/balancer/index.ts'
import {
  balancerOf,
  CLIENT,
  choose,
  chooseMany,
  clientAt,
  comeBack,
  countOf,
  lookUp,
  requestHead,
  statusOf,
  stickyOf,
} from './support.ts'

const A = { port: 1, id: 'a' }
const B = { port: 2, id: 'b' }
const ALGORITHMS = ['round-robin', 'least-connections', 'random-two', 'hash'] as const

function balance(algorithm: AlgorithmName) {
  return balancerOf({ backends: [A, B], algorithm, key: 'client' })
}

describe('setWeight', () => {
  it.each(['round-robin', 'least-connections', 'random-two'] as const)('takes effect at once, with %s', (algorithm) => {
    const balancer = balance(algorithm)
    expect(countOf(balancer, 'a', 20)).toBe(10)
    balancer.setWeight('a', 3)
    expect(countOf(balancer, 'a', 20)).toBe(15)
    balancer.setWeight('a', undefined)
    expect(countOf(balancer, 'a', 20)).toBe(10)
  })

  it('moves only keys of the backend whose weight it is, with hash', () => {
    const balancer = balance('hash')
    const homes = () =>
      Array.from({ length: 600 }, (_, i) => lookUp(balancer, requestHead(), clientAt(`10.0.${i % 3}.${i}`))!.backend.id)
    const before = homes()
    balancer.setWeight('a', 9)
    const after = homes()
    expect(after.filter((id) => id === 'a').length).toBeGreaterThan(500)
    for (const [i, id] of before.entries()) if (id === 'a') expect(after[i]).toBe('a')
    balancer.setWeight('a', undefined)
    expect(homes()).toEqual(before)
  })

  it.each(ALGORITHMS)('0 leaves a backend the clients that return to it, with %s', (algorithm) => {
    const balancer = balance(algorithm)
    balancer.setWeight('a', 0)
    expect(countOf(balancer, 'a', 40)).toBe(0)
    expect(comeBack(balancer, stickyOf('a'))).toBe('a')
    expect(statusOf(balancer, 'a')).toMatchObject({ weight: 0, configuredWeight: 1, effectiveWeight: 0 })
    balancer.setWeight('b', 0)
    expect(choose(balancer)).toBeUndefined()
    balancer.setWeight('a', undefined)
    expect(countOf(balancer, 'a', 5)).toBe(5)
  })

  it('gives clients to a backend whose options say 0', () => {
    const balancer = balancerOf({ backends: [{ ...A, weight: 0 }] })
    expect(choose(balancer)).toBeUndefined()
    balancer.setWeight('a', 5)
    expect(choose(balancer)).toBe('a')
    expect(statusOf(balancer, 'a')).toMatchObject({ weight: 5, configuredWeight: 0 })
  })

  it('serves requests that wait', async () => {
    const balancer = balancerOf({ backends: [{ ...A, weight: 0 }], queue: 60_000 })
    const waits = balancer.lookup(requestHead(), CLIENT)
    expect(balancer.queued).toBe(1)
    balancer.setWeight('a', 1)
    expect((await waits)?.backend.id).toBe('a')
  })

  it.each([
    ['that is there', undefined],
    ['that is back later', 'a'],
  ] as const)('does not make a backend %s pay for the turns of its large weight', (_, drained) => {
    const balancer = balancerOf({ backends: [{ ...A, weight: 65_535 }, B] })
    expect(chooseMany(balancer, 30_000).filter((id) => id === 'b')).toEqual([])
    if (drained === 'a') balancer.drain('a')
    balancer.setWeight('a', 1)
    if (drained === 'a') balancer.ready('a')
    expect(chooseMany(balancer, 12).filter((id) => id === 'a').length).toBeGreaterThanOrEqual(4)
  })

  it('stays through updates, until it is taken away', () => {
    const balancer = balancerOf({ backends: [A, B] })
    balancer.setWeight('a', 3)
    balancer.update({ backends: [{ ...A, weight: 2 }, B] })
    expect(statusOf(balancer, 'a')).toMatchObject({ weight: 3, configuredWeight: 2, effectiveWeight: 3 })
    expect(countOf(balancer, 'a', 20)).toBe(15)
    balancer.setWeight('a', undefined)
    expect(statusOf(balancer, 'a')).toMatchObject({ weight: 2, configuredWeight: 2 })
    balancer.setWeight('a', 3)
    balancer.update({ backends: [{ port: 9, id: 'a' }, B] })
    expect(statusOf(balancer, 'a')).toMatchObject({ weight: 1, address: 'localhost:9' })
  })

  it.each([-1, 65_536, 0.5, Number.NaN, '1', null])('rejects %j', (weight) => {
    const balancer = balancerOf({ backends: [A] })
    balancer.setWeight('a', 3)
    expect(() => balancer.setWeight('a', weight as number)).toThrow(
      new TypeError(`weight: expected an integer from 0 to 65535, got ${weight === '1' ? "'1'" : weight}`),
    )
    expect(statusOf(balancer, 'a').weight).toBe(3)
  })
})
