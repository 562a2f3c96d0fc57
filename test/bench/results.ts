import { figureOf, type Result, type Results } from '../../bench/common/results.ts'

/** A result with these costs. */
export function result(workload: string, peer: string, costs: number[], more: Partial<Result> = {}): Result {
  const isOurs = peer.startsWith('badass')
  return {
    workload,
    title: `what ${workload} is`,
    unit: 'µs of CPU a request',
    peer,
    kind: isOurs ? 'badass' : 'npm',
    reads: isOurs ? 'one head' : 'each request',
    note: `how ${peer} is run`,
    version: '1.2.3',
    node: '20.19.5',
    rounds: costs.length,
    cost: figureOf(costs),
    ...more,
  }
}

/** A result of nginx or haproxy, which do not run on Node.js. */
export function native(workload: string, peer: string, costs: number[], more: Partial<Result> = {}): Result {
  const { node: _, ...rest } = result(workload, peer, costs, { kind: 'native', ...more })
  return rest
}

export function run(results: Result[]): Results {
  return {
    date: '2001-02-03T04:05:06.000Z',
    commit: '0123456789abcdef',
    isDirty: false,
    machine: { cpu: 'Example CPU', cores: 2, memory: 2 ** 33, kernel: 'Linux 6.1' },
    versions: { node: '20.19.5' },
    isShort: false,
    results,
  }
}
