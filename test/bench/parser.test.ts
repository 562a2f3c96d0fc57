import { describe, expect, test } from 'vitest'
import { drawParsers } from '../../bench/parser/chart.ts'
import { CUTS, INPUTS } from '../../bench/parser/inputs.ts'
import { parserTable } from '../../bench/parser/markdown.ts'
import { check } from '../../bench/parser/measure.ts'
import { PEERS } from '../../bench/parser/peers/index.ts'
import { goalsOf, type Result, type Results } from '../../bench/parser/results.ts'
import { formatNotes, formatSection } from '../../bench/parser/table.ts'

function result(peer: string, median: number, cut = 'whole'): Result {
  return {
    input: 'browser',
    bytes: 700,
    cut,
    peer,
    note: `about ${peer}`,
    node: '20.1.2',
    rounds: 3,
    nsPerHead: { median, min: median - 1, max: median + 1 },
    headsPerSecond: 1e9 / median,
    bytesPerSecond: 7e11 / median,
    heapBytesPerHead: 123.4,
    externalBytesPerHead: 0,
  }
}

const RESULTS: Results = {
  date: '2026-01-02T03:04:05.678Z',
  commit: '0123456789abcdef',
  isDirty: false,
  machine: { cpu: 'a processor', cores: 2, memory: 1e9, kernel: 'Linux 1.2.3' },
  versions: {},
  isShort: true,
  results: [
    result('HeadScanner', 1000),
    result('Node llhttp', 1600),
    result('HeadScanner', 9500, 'byte by byte'),
    result('Node llhttp', 40_000, 'byte by byte'),
  ],
}

describe('the peers', () => {
  test.for(PEERS.map((peer) => [peer.name, peer] as const))(
    '%s finds what there is, however it is cut',
    ([name, peer]) => {
      const parser = peer.start()
      for (const input of INPUTS.slice(0, 2)) {
        for (const cut of CUTS) check(name, parser, cut.chunks(input.bytes), input)
      }
    },
  )

  test('are refused where they find something else, or nothing', () => {
    const input = INPUTS[0]!
    const parser = { parse: () => true, found: () => ({ method: 'GET', fields: 7 }) }
    expect(() => check('x', parser, [input.bytes], input)).toThrow(new Error('x: small: fields is 7, not 2'))
    const blind = { parse: () => false, found: () => ({}) }
    expect(() => check('x', blind, [input.bytes], input)).toThrow(new Error('x: small: no head found'))
  })

  test('get heads of the sizes that are said', () => {
    expect(INPUTS.map(({ bytes }) => bytes.length)).toEqual([48, 697, 16_384])
    for (const { bytes } of INPUTS) {
      for (const cut of CUTS) expect(Buffer.concat(cut.chunks(bytes))).toEqual(bytes)
    }
  })
})

describe('the results', () => {
  test('give the goals as ratios of medians', () => {
    expect(goalsOf(RESULTS.results, '20.1.2')).toEqual({ timesNode: 1.6, timesWhole: 9.5 })
    expect(() => goalsOf(RESULTS.results, '26.0.0')).toThrow(RangeError)
    expect(formatNotes(RESULTS)).toContain("HeadScanner is 1.60 x as fast as Node's llhttp (goal: 1.5)")
  })

  test('make a table with a line for each peer', () => {
    const lines = formatSection(RESULTS.results.slice(0, 2)).split('\n')
    expect(new Set(lines.map((line) => line.length)).size).toBe(1)
    expect(lines[0]).toContain('browser (700 B), whole, Node 20.1.2')
    expect(lines[2]).toMatch(/^Node llhttp +1,600 +1,599 - 1,601 +1\.60 +625,000 +438 +123 +0\.00$/)
  })

  test('make a table in which the least stands out, but not the floor, with what they were measured on and the goals', () => {
    const all = { ...RESULTS, isDirty: true, results: [...RESULTS.results, result('Buffer.indexOf', 100)] }
    const text = parserTable(all, false)
    expect(text).toContain('| browser (700 B), whole; Node 20.1.2 | **1,000** | 1,600 | 100 |')
    expect(text).toContain('3 rounds of the short form; 2026-01-02, commit 0123456789 with changes.')
    expect(text).toContain("| the browser's head, whole | at least 1.5 × as fast as Node llhttp | 1.60 |")
    expect(text).toContain('| the same, byte by byte | at most 10 × its time whole | 9.50 |')
  })

  test('make the same chart each time, the fastest first', () => {
    const svg = drawParsers(RESULTS)
    expect(svg).toBe(drawParsers(RESULTS))
    expect(svg.indexOf('>HeadScanner<')).toBeGreaterThan(0)
    expect(svg.indexOf('>HeadScanner<')).toBeLessThan(svg.indexOf('>Node llhttp<'))
  })
})
