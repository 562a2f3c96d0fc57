import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { drawKeepAlive } from '../../bench/common/chart.ts'
import { figureOf } from '../../bench/common/results.ts'
import { saveResults } from '../../bench/common/save.ts'
import { formatTable } from '../../bench/common/table.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { native, result, run } from './results.ts'

const latency = { p50: figureOf([0.12]), p99: figureOf([1.5]), p999: figureOf([20]) }
const { cost: _, ...failed } = result('download', 'httpxy', [1], { failed: 'it fell over' })
const all = run([
  result('keep-alive', 'badass', [9, 10, 11]),
  native('keep-alive', 'nginx http', [8]),
  result('latency', 'badass', [1234], { latency }),
  failed,
])

test('the table has a row for each peer and a column for each workload, with medians', () => {
  const text = formatTable(all)
  expect(text).toContain(
    [
      '|            | keep-alive, µs | latency, µs | latency p50, ms | latency p99, ms | download, µs |',
      '| ---------- | -------------: | ----------: | --------------: | --------------: | -----------: |',
      '| badass     |           10.0 |       1,234 |            0.12 |            1.50 |              |',
      '| nginx http |           8.00 |             |                 |                 |              |',
      '| httpxy     |                |             |                 |                 |       failed |',
    ].join('\n'),
  )
  expect(text).toContain("- httpxy failed in 'download': it fell over")
  expect(text).toContain('- **keep-alive** (µs of CPU a request): what keep-alive is.')
  expect(text).toMatch(
    /^Node 20\.19\.5; Example CPU, 2 cores, Linux 6\.1; median of 3 rounds; 2001-02-03, commit 0123456789\n/,
  )
})

test('peers on several versions of Node.js have a row for each', () => {
  const two = run([
    result('a', 'badass', [1]),
    result('a', 'badass', [2], { node: '26.1.0' }),
    native('a', 'nginx', [3]),
  ])
  expect(formatTable(two).match(/^\| \w.*/gm)).toEqual([
    '| badass, Node 20 |  1.00 |',
    '| badass, Node 26 |  2.00 |',
    '| nginx           |  3.00 |',
  ])
})

test('a table with many columns goes on below, without the peers that have no result there', () => {
  const many = run([...'abcdefgh'].map((name) => result(name, 'badass', [1])).concat(native('a', 'haproxy tcp', [1])))
  const [, first, second] = formatTable(many).split('\n\n')
  expect(first).toMatch(/ g, µs \|\n/)
  expect(first).toContain('| haproxy tcp ')
  expect(second).toMatch(/^\|[^\n]*\| h, µs \|\n/)
  expect(second).not.toContain('haproxy')
})

test('results are saved with their table and the chart of keep-alive requests', () => {
  const files = saveResults(all, temporaryDirectory(), 'proxy')
  expect(files.map((file) => basename(file))).toEqual(['proxy.json', 'proxy.md', 'keep-alive.svg'])
  const [json, table, chart] = files.map((file) => readFileSync(file, 'utf8'))
  expect(JSON.parse(json!)).toEqual(all)
  expect(table).toBe(`${formatTable(all)}\n`)
  expect(chart).toBe(`${drawKeepAlive(all)}\n`)
  expect(chart).toMatch(/^<svg .*>badass<\/text>.*<\/svg>\s*$/s)
  expect(drawKeepAlive(run([failed]))).toBeUndefined()
})
