import { expect, test } from 'vitest'
import { figureOf } from '../../bench/report/results.ts'
import { formatTable } from '../../bench/report/table.ts'
import { native, result, run } from './results.ts'

const latency = { p50: figureOf([0.12]), p99: figureOf([1.5]), p999: figureOf([20]) }

function linesOf(text: string, workload: string): string[] {
  const lines = text.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`${workload} `))
  return lines.slice(start, lines.indexOf('', start))
}

test('each workload has a table, the cheapest peer first, with its cost, spread, ratio to badass and rate', () => {
  const text = formatTable(
    run([
      result('keep-alive', 'http-proxy', [100, 120, 140], { rate: figureOf([8000]) }),
      result('keep-alive', 'badass', [9, 10, 11], { rate: figureOf([50_000]) }),
      native('keep-alive', 'nginx http', [8, 8, 8], { rate: figureOf([61_234]) }),
    ]),
  )
  expect(linesOf(text, 'keep-alive')).toEqual([
    'keep-alive  µs of CPU a request    from - to  x badass  a second',
    '----------  -------------------  -----------  --------  --------',
    'nginx http                 8.00  8.00 - 8.00      0.80    61,234',
    'badass                     10.0  9.00 - 11.0      1.00    50,000',
    'http-proxy                  120    100 - 140     12.00     8,000',
  ])
})

test('a peer that failed stands last, and says why', () => {
  const { cost: _, ...broken } = result('keep-alive', 'httpxy', [1])
  const text = formatTable(run([{ ...broken, failed: 'it fell over' }, result('keep-alive', 'badass', [10])]))
  expect(linesOf(text, 'keep-alive').at(-1)).toMatch(/^httpxy +- .* failed: it fell over$/)
})

test('latency has its columns where it was measured', () => {
  const text = formatTable(run([result('latency', 'badass', [10], { latency }), result('download', 'badass', [10])]))
  expect(linesOf(text, 'latency')[0]).toMatch(/p50 ms +p99 ms +p99\.9 ms$/)
  expect(linesOf(text, 'latency')[2]).toMatch(/0\.12 +1\.50 +20\.0$/)
  expect(linesOf(text, 'download')[0]).not.toContain('p50')
})

test('memory is what a workload is sorted by where that is what is asked', () => {
  const memory = (of: number) => ({ memory: figureOf([of]) })
  const text = formatTable(run([result('idle', 'badass', [1], memory(9)), result('idle', 'httpxy', [2], memory(4))]))
  expect(linesOf(text, 'idle').slice(2)).toEqual([
    expect.stringMatching(/^httpxy +4\.00 .* 0\.44$/),
    expect.stringMatching(/^badass +9\.00 .* 1\.00$/),
  ])
})

test('with several Nodes each is named, and is held against badass on the same one', () => {
  const on26 = { node: '26.1.0' }
  const text = formatTable(
    run([
      result('keep-alive', 'badass', [10]),
      result('keep-alive', 'badass', [5], on26),
      result('keep-alive', 'httpxy', [30]),
      result('keep-alive', 'httpxy', [20], on26),
    ]),
  )
  expect(linesOf(text, 'keep-alive').slice(2)).toEqual([
    expect.stringMatching(/^badass \(Node 26\.1\.0\) .* 1\.00$/),
    expect.stringMatching(/^badass \(Node 20\.19\.5\) .* 1\.00$/),
    expect.stringMatching(/^httpxy \(Node 26\.1\.0\) .* 4\.00$/),
    expect.stringMatching(/^httpxy \(Node 20\.19\.5\) .* 3\.00$/),
  ])
})
