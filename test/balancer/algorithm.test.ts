import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAlgorithm } from '../../src/balancer/algorithm.ts'
import { LeastConnections } from '../../src/balancer/least-connections.ts'
import { RandomTwo } from '../../src/balancer/random-two.ts'
import type { Candidate, Ranking } from '../../src/balancer/ranking.ts'
import { hash64, Rendezvous } from '../../src/balancer/rendezvous.ts'
import { RoundRobin } from '../../src/balancer/round-robin.ts'

function candidate(id: string, weight = 1, connections = 0): Candidate {
  return { id, weight, connections, hash: hash64(id) }
}

/** Repeatable numbers from 0 (inclusive) to 1 (exclusive), by a linear congruential generator. */
function numbers(seed = 1): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** A ranking of these candidates, each in the slot of its index. */
function filled<R extends Ranking<Candidate>>(ranking: R, candidates: readonly Candidate[]): R {
  for (const [place, one] of candidates.entries()) ranking.put(place, one)
  return ranking
}

const leastConnections = (candidates: readonly Candidate[], random: () => number) =>
  filled(new LeastConnections(candidates.length, random), candidates).next()!

const randomTwo = (candidates: readonly Candidate[], random: () => number) =>
  filled(new RandomTwo(candidates.length, random), candidates).next()!

const rendezvous = (candidates: readonly Candidate[], key: string) =>
  filled(new Rendezvous(numbers()), candidates).next(key)!

function tally(ids: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

/** Distinct ids, each with a weight. */
const fleet = (most: number, heaviest: number) =>
  fc
    .uniqueArray(fc.tuple(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: heaviest })), {
      minLength: 1,
      maxLength: most,
      selector: ([id]) => id,
    })
    .map((pairs) => pairs.map(([id, weight]) => candidate(id, weight)))

const loaded = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 65_535 }), fc.nat(100_000)), { minLength: 1, maxLength: 8 })
  .map((pairs) => pairs.map(([weight, connections], i) => candidate(String(i), weight, connections)))

const load = ({ connections, weight }: Candidate) => (connections + 1) / weight

describe('smooth weighted round robin', () => {
  const turns = (candidates: readonly Candidate[], count: number, credits = new WeakMap<Candidate, number>()) => {
    const robin = filled(new RoundRobin(candidates.length, credits), candidates)
    const ids = Array.from({ length: count }, () => robin.next()!.id)
    robin.save()
    return ids
  }

  it('chooses equal candidates in order', () => {
    expect(
      turns(
        ['a', 'b', 'c'].map((id) => candidate(id)),
        7,
      ).join(''),
    ).toBe('abcabca')
  })

  it('spreads the turns of a heavy candidate', () => {
    expect(turns([candidate('a', 5), candidate('b'), candidate('c')], 14).join('')).toBe('aabacaaaabacaa')
  })

  it('chooses each candidate exactly as often as its weight in every cycle', () => {
    fc.assert(
      fc.property(fleet(6, 20), (candidates) => {
        const robin = new WeakMap<Candidate, number>()
        const cycle = candidates.reduce((sum, { weight }) => sum + weight, 0)
        const weights = new Map(candidates.map(({ id, weight }) => [id, weight]))
        for (let i = 0; i < 3; i++) expect(tally(turns(candidates, cycle, robin))).toEqual(weights)
      }),
    )
  })

  it('never deviates from the share by more than one turn per other candidate', () => {
    fc.assert(
      fc.property(fleet(6, 20), (candidates) => {
        const cycle = candidates.reduce((sum, { weight }) => sum + weight, 0)
        const seen = turns(candidates, 2 * cycle)
        for (const { id, weight } of candidates) {
          let count = 0
          for (const [i, turn] of seen.entries()) {
            if (turn === id) count++
            expect(Math.abs(count - ((i + 1) * weight) / cycle)).toBeLessThan(candidates.length)
          }
        }
      }),
    )
  })

  it('has no longer run of one candidate than its weight requires', () => {
    fc.assert(
      fc.property(fleet(6, 20), (candidates) => {
        const cycle = candidates.reduce((sum, { weight }) => sum + weight, 0)
        const seen = turns(candidates, 2 * cycle)
        for (const { id, weight } of candidates) {
          if (weight === cycle) continue
          let run = 0
          // One turn of an other is due after every so many of its own; once around, two such stretches meet.
          const most = 2 * Math.ceil(weight / (cycle - weight))
          for (const turn of seen) {
            run = turn === id ? run + 1 : 0
            expect(run).toBeLessThanOrEqual(most)
          }
        }
      }),
    )
  })

  it('stays fair when a candidate leaves and returns', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((id) => candidate(id)) as [Candidate, Candidate, Candidate]
    const robin = new WeakMap<Candidate, number>()
    turns([a, b, c], 2, robin)
    const without = tally(turns([a, c], 100, robin))
    for (const id of ['a', 'c']) expect(Math.abs(without.get(id)! - 50)).toBeLessThan(3)
    const after = tally(turns([a, b, c], 300, robin))
    for (const id of ['a', 'b', 'c']) expect(Math.abs(after.get(id)! - 100)).toBeLessThan(3)
  })

  it('follows a changed weight', () => {
    const a = { ...candidate('a'), weight: 1 }
    const b = candidate('b')
    const robin = new WeakMap<Candidate, number>()
    expect(tally(turns([a, b], 10, robin))).toEqual(new Map(Object.entries({ a: 5, b: 5 })))
    a.weight = 4
    expect(tally(turns([a, b], 10, robin))).toEqual(new Map(Object.entries({ a: 8, b: 2 })))
  })
})

/** The reference: a plain loop over all candidates, as in nginx. */
class Loop {
  readonly #credits = new Map<Candidate, number>()

  next(candidates: readonly (Candidate | undefined)[]): Candidate | undefined {
    let best: Candidate | undefined
    let sum = 0
    for (const one of candidates) {
      if (!one) continue
      this.#credits.set(one, (this.#credits.get(one) ?? 0) + one.weight)
      sum += one.weight
      if (!best || this.#credits.get(one)! > this.#credits.get(best)!) best = one
    }
    if (best) this.#credits.set(best, this.#credits.get(best)! - sum)
    return best
  }
}

describe('the tree of round robin', () => {
  it('chooses like a plain loop over all candidates, whatever changes', () => {
    const weight = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 65_535 ** 2 }))
    const act = fc.tuple(fc.nat(19), fc.constantFrom('go', 'come', 'weigh', 'turn', 'turn', 'turn'), weight)
    fc.assert(
      fc.property(fc.array(weight, { minLength: 1, maxLength: 20 }), fc.array(act, { maxLength: 300 }), (all, acts) => {
        const fleet = all.map((one, i) => ({ ...candidate(String(i)), weight: one }))
        const present: (Candidate | undefined)[] = [...fleet]
        const robin = filled(new RoundRobin(fleet.length), fleet)
        const loop = new Loop()
        for (const [at, what, heavy] of acts) {
          const place = at % fleet.length
          if (what === 'turn') {
            for (let i = 0; i < 10; i++) expect(robin.next()?.id).toBe(loop.next(present)?.id)
            continue
          }
          if (what === 'weigh') fleet[place]!.weight = heavy
          present[place] = what === 'go' ? undefined : fleet[place]
          robin.put(place, present[place])
        }
      }),
    )
  })

  it('does so after any number of rounds', () => {
    const fleet = [7, 1, 1, 3, 65_535].map((weight, i) => candidate(String(i), weight))
    const robin = filled(new RoundRobin(fleet.length), fleet)
    const loop = new Loop()
    for (let i = 0; i < 250_000; i++) {
      if (robin.next() !== loop.next(fleet)) throw new Error(`other than the loop after ${i} turns`)
    }
  })

  it('is fast with many candidates of any weights', () => {
    for (const heaviest of [1, 10, 65_535]) {
      const random = numbers()
      const fleet = Array.from({ length: 10_000 }, (_, i) => candidate('x', 1 + Math.floor(random() * heaviest), i))
      const robin = filled(new RoundRobin(fleet.length), fleet)
      const start = performance.now()
      for (let i = 0; i < 10_000; i++) robin.next()
      // Looking at all of them would take 100 ns each, 10 s in total.
      expect(performance.now() - start).toBeLessThan(3000)
    }
  })
})

describe('least connections', () => {
  it('chooses the lowest load per weight', () => {
    fc.assert(
      fc.property(loaded, fc.integer(), (candidates, seed) => {
        const best = leastConnections(candidates, numbers(seed))
        expect(load(best)).toBe(Math.min(...candidates.map(load)))
      }),
    )
  })

  it('chooses only among equals, each about as often', () => {
    const candidates = [candidate('a', 1, 3), candidate('b', 2, 3), candidate('c', 1, 1), candidate('d', 3, 5)]
    const random = numbers()
    const counts = tally(Array.from({ length: 3000 }, () => leastConnections(candidates, random).id))
    expect([...counts.keys()].sort()).toEqual(['b', 'c', 'd'])
    for (const id of ['b', 'c', 'd']) expect(counts.get(id)).toBeGreaterThan(700)
  })

  it('follows connections and changes of the list', () => {
    const fleet = Array.from({ length: 13 }, (_, i) => ({ ...candidate(String(i), 1 + (i % 3)), connections: 0 }))
    const present = new Set(fleet)
    const ranking = filled(new LeastConnections(fleet.length, numbers()), fleet)
    const random = numbers(2)
    for (let i = 0; i < 3000; i++) {
      const place = Math.floor(random() * fleet.length)
      const one = fleet[place]!
      const what = random()
      if (what < 0.2) present.delete(one)
      else present.add(one)
      if (what > 0.6) one.connections = Math.floor(random() * 5)
      ranking.put(place, present.has(one) ? one : undefined)
      const chosen = ranking.next()
      if (present.size === 0) expect(chosen).toBeUndefined()
      else expect(load(chosen!)).toBe(Math.min(...[...present].map(load)))
    }
  })

  it('chooses an idle candidate, of two the heavier', () => {
    expect(leastConnections([candidate('a', 1, 1), candidate('b', 1, 0)], () => 0).id).toBe('b')
    expect(leastConnections([candidate('a', 1, 0), candidate('b', 2, 0)], () => 0).id).toBe('b')
  })
})

describe('random two', () => {
  it('chooses the less loaded of two', () => {
    fc.assert(
      fc.property(loaded, fc.integer(), (candidates, seed) => {
        const chosen = randomTwo(candidates, numbers(seed))
        // With one candidate excluded, every choice is at most as loaded as one other.
        const worse = candidates.filter((other) => other !== chosen && load(other) >= load(chosen))
        expect(candidates).toContain(chosen)
        if (candidates.length > 1) expect(worse.length).toBeGreaterThan(0)
      }),
    )
  })

  it('never chooses the most loaded of three, nor the second if it draws the least loaded', () => {
    const candidates = [candidate('busy', 1, 9), candidate('idle', 1, 0), candidate('fair', 1, 5)]
    const random = numbers()
    const counts = tally(Array.from({ length: 3000 }, () => randomTwo(candidates, random).id))
    expect([...counts.keys()].sort()).toEqual(['fair', 'idle'])
    // Two of the three pairs contain the idle one.
    expect(counts.get('idle')).toBeGreaterThan(1700)
    expect(counts.get('fair')).toBeGreaterThan(700)
  })

  it('draws by weight', () => {
    const candidates = [candidate('light', 1), candidate('heavy', 8), candidate('other', 1)]
    const random = numbers()
    const counts = tally(Array.from({ length: 3000 }, () => randomTwo(candidates, random).id))
    expect(counts.get('heavy')).toBeGreaterThan(2700)
  })

  it('survives random numbers at the edge of the range', () => {
    const candidates = [candidate('a'), candidate('b')]
    for (const edge of [0, 1 - 2 ** -53]) {
      expect(['a', 'b']).toContain(randomTwo(candidates, () => edge).id)
      expect(randomTwo([candidates[0]!], () => edge).id).toBe('a')
    }
  })
})

describe('rendezvous hashing', () => {
  const KEYS = Array.from({ length: 300 }, (_, i) => `key ${i}`)
  const homes = (candidates: readonly Candidate[]) => KEYS.map((key) => rendezvous(candidates, key).id)

  it('moves only the keys of a leaving backend, or only keys to a new one', () => {
    fc.assert(
      fc.property(fleet(8, 100), fc.nat(), (candidates, at) => {
        fc.pre(candidates.length > 1)
        const one = candidates[at % candidates.length]!
        const withIt = homes(candidates)
        const without = homes(candidates.filter((other) => other !== one))
        // Read from left to right a backend leaves, from right to left one joins.
        for (const [i, home] of withIt.entries()) if (home !== one.id) expect(without[i]).toBe(home)
      }),
    )
  })

  it('moves keys only to a backend whose weight grows', () => {
    fc.assert(
      fc.property(fleet(8, 100), fc.nat(), fc.integer({ min: 1, max: 100 }), (candidates, at, more) => {
        const one = candidates[at % candidates.length]!
        const heavier = candidates.map((other) => (other === one ? { ...one, weight: one.weight + more } : other))
        const before = homes(candidates)
        for (const [i, home] of homes(heavier).entries()) if (home !== one.id) expect(home).toBe(before[i])
      }),
    )
  })

  it('ignores order and load', () => {
    fc.assert(
      fc.property(
        fleet(8, 100).chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([candidates, shuffled]) => {
          const busy = shuffled.map((one, i) => ({ ...one, connections: i }))
          expect(homes(busy)).toEqual(homes(candidates))
        },
      ),
    )
  })

  it('ignores the order of two backends with equal hashes', () => {
    const [a, b] = [candidate('a'), { ...candidate('b'), hash: hash64('a') }]
    for (const key of KEYS) expect(rendezvous([a, b], key)).toBe(rendezvous([b, a], key))
  })

  it.each([[[1, 1, 1, 1]], [[1, 2, 3, 4]], [[10, 1, 1]], [[1, 65_535]], [Array.from({ length: 40 }, () => 7)]])(
    'spreads keys by the weights %j',
    (weights) => {
      const count = 20_000
      const sum = weights.reduce((a, b) => a + b)
      const candidates = weights.map((weight, i) => candidate(`10.0.0.${i}:3000`, weight))
      const chosen = Array.from({ length: count }, (_, i) => rendezvous(candidates, `10.1.${i >> 8}.${i % 256}`))
      const counts = tally(chosen.map(({ id }) => id))
      for (const { id, weight } of candidates) {
        const expected = (count * weight) / sum
        // The keys are fixed, so the outcome is too; six standard deviations exclude chance.
        const deviation = Math.sqrt(expected * (1 - weight / sum))
        expect(Math.abs((counts.get(id) ?? 0) - expected)).toBeLessThan(6 * deviation + 1)
      }
    },
  )

  it('spreads the keys of a leaving backend by weight', () => {
    const candidates = [1, 2, 3, 4].map((weight, i) => candidate(`node-${i}`, weight))
    const keys = Array.from({ length: 20_000 }, (_, i) => `client ${i}`)
    const moved = keys.filter((key) => rendezvous(candidates, key).id === 'node-3')
    const counts = tally(moved.map((key) => rendezvous(candidates.slice(0, 3), key).id))
    for (const { id, weight } of candidates.slice(0, 3)) {
      const expected = (moved.length * weight) / 6
      expect(Math.abs(counts.get(id)! - expected)).toBeLessThan(6 * Math.sqrt(expected))
    }
  })

  it('is the same on every machine and in every version', () => {
    const candidates = ['a', 'b', 'c', 'd'].map((id, i) => candidate(id, i + 1))
    const ids = Array.from({ length: 24 }, (_, i) => rendezvous(candidates, `key ${i}`).id)
    expect(ids.join('')).toBe('cbbcddbaccdbddabdddddddc')
  })
})

describe('createAlgorithm', () => {
  const candidates = [candidate('a', 1, 5), candidate('b', 1, 0), candidate('c', 1, 5)]

  it('creates each algorithm by name', () => {
    const random = numbers()
    const chosen = (name: Parameters<typeof createAlgorithm>[0]) => {
      const ranking = filled(createAlgorithm<Candidate>(name, random)(candidates.length), candidates)
      return Array.from({ length: 12 }, () => ranking.next('key')!.id)
    }
    expect(chosen('round-robin').join('')).toBe('abcabcabcabc')
    expect(new Set(chosen('least-connections'))).toEqual(new Set(['b']))
    expect(chosen('random-two')).toContain('b')
    expect(new Set(chosen('hash'))).toEqual(new Set([rendezvous(candidates, 'key').id]))
  })

  it('hash spreads clients without a key', () => {
    const ranking = filled(createAlgorithm<Candidate>('hash', numbers())(candidates.length), candidates)
    const counts = tally(Array.from({ length: 300 }, () => ranking.next('')!.id))
    for (const id of ['a', 'b', 'c']) expect(counts.get(id)).toBeGreaterThan(50)
  })
})
