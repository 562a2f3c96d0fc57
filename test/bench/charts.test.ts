import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { drawCharts, drawCosts, drawScale } from '../../bench/report/charts.ts'
import { figureOf } from '../../bench/report/results.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { native, result, run } from './results.ts'

const PEERS = ['badass', 'badass modify', 'net pipe', 'http-proxy', 'http-proxy-3', 'httpxy', 'fast-proxy']
const NATIVES = ['haproxy http', 'haproxy http splicing', 'haproxy tcp', 'nginx http', 'nginx stream']
const WORKLOADS = ['keep-alive', 'pipelined', 'download', 'upload', 'websocket 64 B', 'a & b', 'x', 'y', 'z']
const CURVES = ['scale 10', 'scale 3000', 'open 0', 'open 3000']

const latency = { p50: figureOf([0.1]), p99: figureOf([0.2]), p999: figureOf([0.3]) }
const full = run(
  [...WORKLOADS, ...CURVES].flatMap((workload) => [
    ...PEERS.map((peer, i) => result(workload, peer, [10 + i], workload === 'x' ? { latency } : {})),
    ...NATIVES.map((peer, i) => native(workload, peer, [8 + i])),
  ]),
)

/** Whether every element of it is closed, in turn. */
function isWellFormed(svg: string): boolean {
  const open: string[] = []
  const markup = svg.replaceAll(/<!\[CDATA\[.*?\]\]>/gs, '')
  for (const [, isEnd, name, isEmpty] of markup.matchAll(/<(\/?)([a-z]\w*)[^<>]*?(\/?)>/gi)) {
    if (isEnd) {
      if (open.pop() !== name) return false
    } else if (!isEmpty) open.push(name!)
  }
  return open.length === 0 && !/&(?!amp;|lt;|gt;|quot;|#)/.test(markup)
}

describe.each([
  ['costs', drawCosts],
  ['scale', drawScale],
])('the chart of %s', (_name, draw) => {
  const svg = draw(full)!

  test('is an SVG of less than 200 KB', () => {
    expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
    expect(isWellFormed(svg)).toBe(true)
    expect(svg.length).toBeLessThan(200_000)
  })

  test('names every peer', () => {
    for (const peer of [...PEERS, ...NATIVES]) expect(svg).toContain(`>${peer}</text>`)
  })

  test('is the same each time, and does not move', () => {
    expect(draw(full)).toBe(svg)
    expect(svg).not.toMatch(/<animate|@keyframes/)
  })
})

test('the chart of costs has a panel for each workload, and for latency where it was measured', () => {
  const svg = drawCosts(full)
  for (const title of ['keep-alive: µs of CPU a request', 'a &amp; b: µs of CPU a request', 'x: p99, ms']) {
    expect(svg).toContain(`>${title}</text>`)
  }
  expect(svg).not.toContain('scale 10')
})

test('there is no chart of scale where that was not measured', () => {
  const [first] = full.results
  expect(drawScale(run([first!]))).toBeUndefined()
})

test('charts are written beside the results, under the same name', () => {
  const files = drawCharts(full, temporaryDirectory())
  expect(files.map((file) => file.split('/').at(-1))).toEqual(['proxy-node20-cost.svg', 'proxy-node20-scale.svg'])
  expect(readFileSync(files[0]!, 'utf8')).toBe(drawCosts(full))
})
