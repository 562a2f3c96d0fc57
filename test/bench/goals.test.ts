import { expect, test } from 'vitest'
import { goalsTable, judgeGoals } from '../../bench/report/goals.ts'
import { native, result, run } from './results.ts'

const some = run([
  result('keep-alive', 'badass', [16]),
  result('keep-alive', 'http-proxy', [122]),
  result('keep-alive', 'httpxy', [64]),
  native('keep-alive', 'nginx http', [16]),
  native('keep-alive', 'haproxy http', [12.8]),
  result('download', 'badass', [400]),
])
const node = some.results[0]!.node!

test('a goal is held against the median of the peer that it names, or of the cheapest on npm', () => {
  expect(judgeGoals(some, node).filter(({ ratio }) => ratio !== undefined)).toEqual([
    { workload: 'keep-alive', goal: 'at most 1 × haproxy http', ratio: 1.25, isMet: false },
    { workload: 'keep-alive', goal: 'at most 1.1 × nginx http', ratio: 1, isMet: true },
    {
      workload: 'keep-alive',
      goal: 'at most 0.2 × the cheapest npm proxy',
      rival: 'httpxy',
      ratio: 0.25,
      isMet: false,
    },
  ])
})

test('what is missed says so, and what was not measured is left out', () => {
  expect(goalsTable(some).slice(1)).toEqual([
    ['keep-alive', 'at most 1 × haproxy http', '1.25, **missed**'],
    ['keep-alive', 'at most 1.1 × nginx http', '1.00'],
    ['keep-alive', 'at most 0.2 × the cheapest npm proxy', '0.25 (httpxy), **missed**'],
  ])
})

test('each Node has a column, whichever figures it has', () => {
  const on26 = { node: '26.1.0' }
  const table = goalsTable(run([...some.results, result('idle tunnels', 'badass', [12], on26)]))
  expect(table[0]).toEqual(['', 'goal', `Node ${node}`, 'Node 26.1.0'])
  expect(table.map((line) => line.at(-1))).toEqual(['Node 26.1.0', '', '', '', '12.0, **missed**'])
})

test('a curve is held against its own beginning, and says what that is for haproxy', () => {
  const curve = run([
    result('scale 10', 'badass', [10]),
    result('scale 3000', 'badass', [12]),
    native('scale 10', 'haproxy http', [10]),
    native('scale 3000', 'haproxy http', [15]),
    result('open 0', 'badass', [10]),
    result('open 3000', 'badass', [13]),
  ])
  expect(goalsTable(curve).slice(1)).toEqual([
    ['scale', 'at 3,000 at most 1.25 × what it is at 10 (haproxy http: 1.50)', '1.20'],
    ['open', 'at 3,000 at most 1.25 × what it is at 0', '1.30, **missed**'],
  ])
})
