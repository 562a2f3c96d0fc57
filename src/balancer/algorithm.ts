import { LeastConnections } from './least-connections.ts'
import { RandomTwo } from './random-two.ts'
import type { Candidate, Ranking } from './ranking.ts'
import { Rendezvous } from './rendezvous.ts'
import { RoundRobin } from './round-robin.ts'

export type AlgorithmName = 'round-robin' | 'least-connections' | 'random-two' | 'hash'

/** Creates a ranking with a number of slots. */
export type Algorithm<C extends Candidate> = (slots: number) => Ranking<C>

/** `random` returns numbers from 0 (inclusive) to 1 (exclusive), as `Math.random` does. */
export function createAlgorithm<C extends Candidate>(name: AlgorithmName, random: () => number): Algorithm<C> {
  switch (name) {
    case 'round-robin': {
      const credits = new WeakMap<C, number>()
      return (slots) => new RoundRobin(slots, credits)
    }
    case 'least-connections':
      return (slots) => new LeastConnections(slots, random)
    case 'random-two':
      return (slots) => new RandomTwo(slots, random)
    case 'hash':
      return () => new Rendezvous(random)
  }
}
