import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { blockIn, blockOf, documentsOf, replaceBlock } from '../../bench/report/block.ts'
import { detailTables, readmeTable } from '../../bench/report/markdown.ts'
import { figureOf } from '../../bench/report/results.ts'
import { saveResults } from '../../bench/report/save.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { native, result, run } from './results.ts'

const root = join(import.meta.dirname, '..', '..')

const some = run([
  result('keep-alive', 'badass', [16, 17, 18]),
  result('keep-alive', 'http-proxy', [122]),
  result('keep-alive', 'httpxy', [110]),
  native('keep-alive', 'nginx http', [15]),
  result('scale 10', 'badass', [16]),
])

test('the short table has badass, the cheapest npm proxy by name, and the native ones; the least stands out', () => {
  expect(readmeTable(some).split('\n')).toEqual([
    '|  | badass | cheapest npm proxy | nginx http |',
    '|---|---:|---:|---:|',
    '| keep-alive, µs of CPU a request | 17.0 | 110 (httpxy) | **15.0** |',
    '',
    'Node 20.19.5; Example CPU, 2 cores, Linux 6.1; 3 rounds; 2001-02-03, commit 0123456789.',
  ])
})

test('the long tables have every peer and workload', () => {
  const text = detailTables(some)
  expect(text).toContain('| http-proxy | 122 | 122 - 122 | 7.18 |')
  expect(text).toContain('scale 10: what scale 10 is.\n\n| scale 10 | µs of CPU a request |')
})

test('latency has a line for each percentile; what it is without a proxy stands beside, and is in no contest', () => {
  const latency = (ms: number) => ({
    latency: { p50: figureOf([ms]), p99: figureOf([2 * ms]), p999: figureOf([3 * ms]) },
  })
  const { cost: _, ...direct } = native('latency', 'direct', [1], { ...latency(1), isBaseline: true })
  const results = run([
    result('latency', 'badass', [10], latency(2)),
    native('latency', 'nginx http', [9], latency(3)),
    direct,
  ])
  expect(readmeTable(results).split('\n').slice(0, 6)).toEqual([
    '|  | badass | nginx http | direct |',
    '|---|---:|---:|---:|',
    '| latency, µs of CPU a request | 10.0 | **9.00** |  |',
    '| latency, p50 in ms | **2.00** | 3.00 | 1.00 |',
    '| latency, p99 in ms | **4.00** | 6.00 | 2.00 |',
    '| latency, p99.9 in ms | **6.00** | 9.00 | 3.00 |',
  ])
  expect(detailTables(results)).toContain('| direct |  |  |  |  | 1.00 / 2.00 / 3.00 |')
})

test('workers have a table of their own: requests a second, and whose the cores were', () => {
  const note = 'cores taken: proxy 1.00, wrk 0.40, nginx behind 0.30'
  const text = readmeTable(run([result('workers', 'badass, workers: 2', [20], { rate: figureOf([70_000]), note })]))
  expect(text).toMatch(/^Workers of the command: requests a second; more is better\.\n/)
  expect(text).toContain(`| badass, workers: 2; Node 20.19.5 | 70,000 | 70,000 - 70,000 | 20.0 | ${note} |`)
})

test('the block of a document is replaced, and nothing else of it', () => {
  const before = 'one\n<!-- bench -->\nold $&\n<!-- /bench -->\ntwo\n'
  const after = replaceBlock(before, '\nnew $&\n')
  expect(after).toBe('one\n<!-- bench -->\nnew $&\n<!-- /bench -->\ntwo\n')
  expect(blockIn(after)).toBe('\nnew $&\n')
  expect(() => replaceBlock('no marks', '')).toThrow('<!-- bench -->')
})

test('the block is made of the files of results, figures as they were saved', () => {
  const folder = temporaryDirectory()
  expect(saveResults(some, folder)).toBe(join(folder, 'proxy-node20.json'))
  saveResults(run([result('workers', 'badass, workers: 1', [20])]), folder, 'workers')
  const block = blockOf(folder, 'results', false)
  expect(block).toContain(readmeTable(some))
  expect(block).toContain('badass, workers: 1')
  expect(block).toContain('| keep-alive | at most 1.1 × nginx http | 1.13, **missed** |')
  expect(block).not.toContain(detailTables(some))
  expect(blockOf(folder, 'results', true)).toContain(detailTables(some))
})

// Until the bench has been run there is nothing to hold them against.
test.runIf(existsSync(join(root, 'bench', 'results')))(
  'the documents have the figures of bench/results, and no other',
  () => {
    for (const { file, block } of documentsOf(root)) expect(blockIn(readFileSync(file, 'utf8')), file).toBe(block)
  },
)
