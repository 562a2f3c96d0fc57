import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Candidate,
  createAlgorithm,
  leastConnections,
  RoundRobin,
  randomTwo,
  rendezvous,
  seedOf,
} from '../../../src/sticky/balancer/algorithm.ts'

function candidate(id: string, weight = 1, connections = 0): Candidate {
  return { id, weight, connections, seed: seedOf(id) }
}

/** Numbers from 0 to below 1, the same at each run (a linear congruential generator). */
function numbers(seed = 1): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function tally(ids: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

/** Ids that differ, each with a weight. */
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
  const turns = (candidates: readonly Candidate[], count: number, robin = new RoundRobin()) =>
    Array.from({ length: count }, () => robin.choose(candidates).id)

  it('takes equal ones in their order', () => {
    expect(
      turns(
        ['a', 'b', 'c'].map((id) => candidate(id)),
        7,
      ).join(''),
    ).toBe('abcabca')
  })

  it('spreads the turns of a heavy one', () => {
    expect(turns([candidate('a', 5), candidate('b'), candidate('c')], 14).join('')).toBe('aabacaaaabacaa')
  })

  it('chooses each exactly as often as its weight in a full cycle, and cycle after cycle', () => {
    fc.assert(
      fc.property(fleet(6, 20), (candidates) => {
        const robin = new RoundRobin()
        const cycle = candidates.reduce((sum, { weight }) => sum + weight, 0)
        const weights = new Map(candidates.map(({ id, weight }) => [id, weight]))
        for (let i = 0; i < 3; i++) expect(tally(turns(candidates, cycle, robin))).toEqual(weights)
      }),
    )
  })

  it('is never ahead of or behind its share by more than one turn for each of the others', () => {
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

  it('has no run of one longer than its weight against all others asks for', () => {
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

  it('goes on fairly among those that are left, and with one that comes back', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((id) => candidate(id)) as [Candidate, Candidate, Candidate]
    const robin = new RoundRobin()
    turns([a, b, c], 2, robin)
    const without = tally(turns([a, c], 100, robin))
    for (const id of ['a', 'c']) expect(Math.abs(without.get(id)! - 50)).toBeLessThan(3)
    const after = tally(turns([a, b, c], 300, robin))
    for (const id of ['a', 'b', 'c']) expect(Math.abs(after.get(id)! - 100)).toBeLessThan(3)
  })

  it('follows a weight that changes', () => {
    const a = { ...candidate('a'), weight: 1 }
    const b = candidate('b')
    const robin = new RoundRobin()
    expect(tally(turns([a, b], 10, robin))).toEqual(new Map(Object.entries({ a: 5, b: 5 })))
    a.weight = 4
    expect(tally(turns([a, b], 10, robin))).toEqual(new Map(Object.entries({ a: 8, b: 2 })))
  })
})

describe('least connections', () => {
  it('chooses the least loaded for its weight', () => {
    fc.assert(
      fc.property(loaded, fc.integer(), (candidates, seed) => {
        const best = leastConnections(candidates, numbers(seed))
        expect(load(best)).toBe(Math.min(...candidates.map(load)))
      }),
    )
  })

  it('chooses each of several equals about as often, and nobody else', () => {
    const candidates = [candidate('a', 1, 3), candidate('b', 2, 3), candidate('c', 1, 1), candidate('d', 3, 5)]
    const random = numbers()
    const counts = tally(Array.from({ length: 3000 }, () => leastConnections(candidates, random).id))
    expect([...counts.keys()].sort()).toEqual(['b', 'c', 'd'])
    for (const id of ['b', 'c', 'd']) expect(counts.get(id)).toBeGreaterThan(700)
  })

  it('is the idle one, and of two idle ones the heavier', () => {
    expect(leastConnections([candidate('a', 1, 1), candidate('b', 1, 0)], () => 0).id).toBe('b')
    expect(leastConnections([candidate('a', 1, 0), candidate('b', 2, 0)], () => 0).id).toBe('b')
  })
})

describe('random two', () => {
  it('chooses the less loaded of two', () => {
    fc.assert(
      fc.property(loaded, fc.integer(), (candidates, seed) => {
        const chosen = randomTwo(candidates, numbers(seed))
        // Beside one candidate, everybody is at most as loaded as one other.
        const worse = candidates.filter((other) => other !== chosen && load(other) >= load(chosen))
        expect(candidates).toContain(chosen)
        if (candidates.length > 1) expect(worse.length).toBeGreaterThan(0)
      }),
    )
  })

  it('never chooses the most loaded of three, nor the second where it draws the least loaded', () => {
    const candidates = [candidate('busy', 1, 9), candidate('idle', 1, 0), candidate('fair', 1, 5)]
    const random = numbers()
    const counts = tally(Array.from({ length: 3000 }, () => randomTwo(candidates, random).id))
    expect([...counts.keys()].sort()).toEqual(['fair', 'idle'])
    // Two of the three pairs have the idle one in them.
    expect(counts.get('idle')).toBeGreaterThan(1700)
    expect(counts.get('fair')).toBeGreaterThan(700)
  })

  it('draws by weight', () => {
    const candidates = [candidate('light', 1), candidate('heavy', 8), candidate('other', 1)]
    const random = numbers()
    const counts = tally(Array.from({ length: 3000 }, () => randomTwo(candidates, random).id))
    expect(counts.get('heavy')).toBeGreaterThan(2700)
  })

  it('takes what there is, where a random number is on the edge', () => {
    const candidates = [candidate('a'), candidate('b')]
    for (const edge of [0, 1 - 2 ** -53]) {
      expect(['a', 'b']).toContain(randomTwo(candidates, () => edge).id)
      expect(randomTwo([candidates[0]!], () => edge).id).toBe('a')
    }
  })
})

describe('rendezvous hashing', () => {
  const KEYS = Array.from({ length: 300 }, (_, i) => seedOf(`key ${i}`))
  const homes = (candidates: readonly Candidate[]) => KEYS.map((key) => rendezvous(candidates, key).id)

  it('moves only the keys of a backend that leaves, and to one that comes only keys that it gets', () => {
    fc.assert(
      fc.property(fleet(8, 100), fc.nat(), (candidates, at) => {
        fc.pre(candidates.length > 1)
        const one = candidates[at % candidates.length]!
        const withIt = homes(candidates)
        const without = homes(candidates.filter((other) => other !== one))
        // Read from left to right it leaves, from right to left it comes.
        for (const [i, home] of withIt.entries()) if (home !== one.id) expect(without[i]).toBe(home)
      }),
    )
  })

  it('moves keys only to a backend that gets heavier', () => {
    fc.assert(
      fc.property(fleet(8, 100), fc.nat(), fc.integer({ min: 1, max: 100 }), (candidates, at, more) => {
        const one = candidates[at % candidates.length]!
        const heavier = candidates.map((other) => (other === one ? { ...one, weight: one.weight + more } : other))
        const before = homes(candidates)
        for (const [i, home] of homes(heavier).entries()) if (home !== one.id) expect(home).toBe(before[i])
      }),
    )
  })

  it('does not go by the order of the backends, nor by what they have open', () => {
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

  it('does not go by the order even of two that no hash can tell apart', () => {
    const [a, b] = [candidate('a'), { ...candidate('b'), seed: seedOf('a') }]
    for (const key of KEYS) expect(rendezvous([a, b], key)).toBe(rendezvous([b, a], key))
  })

  it.each([[[1, 1, 1, 1]], [[1, 2, 3, 4]], [[10, 1, 1]], [[1, 65_535]], [Array.from({ length: 40 }, () => 7)]])(
    'spreads keys by the weights %j',
    (weights) => {
      const count = 20_000
      const sum = weights.reduce((a, b) => a + b)
      const candidates = weights.map((weight, i) => candidate(`10.0.0.${i}:3000`, weight))
      const chosen = Array.from({ length: count }, (_, i) =>
        rendezvous(candidates, seedOf(`10.1.${i >> 8}.${i % 256}`)),
      )
      const counts = tally(chosen.map(({ id }) => id))
      for (const { id, weight } of candidates) {
        const expected = (count * weight) / sum
        // The keys are fixed, and so is the outcome; six standard deviations are far from what chance makes.
        const deviation = Math.sqrt(expected * (1 - weight / sum))
        expect(Math.abs((counts.get(id) ?? 0) - expected)).toBeLessThan(6 * deviation + 1)
      }
    },
  )

  it('sends the keys of one that leaves to the others by their weights', () => {
    const candidates = [1, 2, 3, 4].map((weight, i) => candidate(`node-${i}`, weight))
    const keys = Array.from({ length: 20_000 }, (_, i) => seedOf(`client ${i}`))
    const moved = keys.filter((key) => rendezvous(candidates, key).id === 'node-3')
    const counts = tally(moved.map((key) => rendezvous(candidates.slice(0, 3), key).id))
    for (const { id, weight } of candidates.slice(0, 3)) {
      const expected = (moved.length * weight) / 6
      expect(Math.abs(counts.get(id)! - expected)).toBeLessThan(6 * Math.sqrt(expected))
    }
  })

  it('is the same on every machine and in every version', () => {
    const candidates = ['a', 'b', 'c', 'd'].map((id, i) => candidate(id, i + 1))
    const ids = Array.from({ length: 24 }, (_, i) => rendezvous(candidates, seedOf(`key ${i}`)).id)
    expect(ids.join('')).toBe('cbbcddbaccdbddabdddddddc')
  })
})

describe('createAlgorithm', () => {
  const candidates = [candidate('a', 1, 5), candidate('b', 1, 0), candidate('c', 1, 5)]

  it('knows each by its name', () => {
    const random = numbers()
    const chosen = (name: Parameters<typeof createAlgorithm>[0]) => {
      const algorithm = createAlgorithm(name, random)
      return Array.from({ length: 12 }, () => algorithm.choose(candidates, 'key').id)
    }
    expect(chosen('round-robin').join('')).toBe('abcabcabcabc')
    expect(new Set(chosen('least-connections'))).toEqual(new Set(['b']))
    expect(chosen('random-two')).toContain('b')
    expect(new Set(chosen('hash'))).toEqual(new Set([rendezvous(candidates, seedOf('key')).id]))
  })

  it('hash spreads clients without a key', () => {
    const algorithm = createAlgorithm('hash', numbers())
    const counts = tally(Array.from({ length: 300 }, () => algorithm.choose(candidates, '').id))
    for (const id of ['a', 'b', 'c']) expect(counts.get(id)).toBeGreaterThan(50)
  })
})
