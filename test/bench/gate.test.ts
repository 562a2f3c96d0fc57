import { expect, test } from 'vitest'
import { judge } from '../../bench/proxy/gate.ts'
import { native, result } from './results.ts'

/** The best round counts. */
const cheap = [40, 10, 11]

test('the gate is met when the cheapest package that parses HTTP costs twice as much', () => {
  const results = [result('keep-alive', 'badass', cheap), result('keep-alive', 'dear', [99, 90, 95])]
  const verdict = judge([...results, result('keep-alive', 'http-proxy', [30, 20, 90])])
  expect(verdict).toEqual({
    isMet: true,
    text: 'gate met on Node 20.19.5: badass 10.0, http-proxy 20.0 µs of CPU a request: 2.0 times as cheap, at least 2 expected',
  })
})

test('the gate is not met by a little less', () => {
  const verdict = judge([result('keep-alive', 'badass', cheap), result('keep-alive', 'http-proxy', [19, 19, 19])])
  expect(verdict.isMet).toBe(false)
  expect(verdict.text).toMatch(/^gate NOT MET on Node 20\.19\.5: badass 10\.0, http-proxy 19\.0 .* 1\.9 times/)
})

test('the gate ignores peers that parse nothing, native ones and other workloads', () => {
  const results = [
    result('keep-alive', 'badass', cheap),
    result('keep-alive', 'http-proxy', [50]),
    result('keep-alive', 'net pipe', [5], { reads: 'nothing' }),
    native('keep-alive', 'nginx http', [5], { reads: 'each request' }),
    result('pipelined', 'http-proxy', [5]),
    result('keep-alive', 'badass modify', [1]),
  ]
  expect(judge(results)).toMatchObject({ isMet: true, text: expect.stringContaining('http-proxy 50.0') })
})

test('the gate must be met on every Node', () => {
  const on = (node: string, ours: number, theirs: number) => [
    result('keep-alive', 'badass', [ours], { node }),
    result('keep-alive', 'http-proxy', [theirs], { node }),
  ]
  const verdict = judge([...on('20.0.0', 10, 50), ...on('26.0.0', 30, 50)])
  expect(verdict.isMet).toBe(false)
  expect(verdict.text.split('\n')).toEqual([
    expect.stringMatching(/^gate met on Node 20\.0\.0/),
    expect.stringMatching(/^gate NOT MET on Node 26\.0\.0/),
  ])
})

test('the gate is not met without results to compare', () => {
  expect(judge([])).toEqual({ isMet: false, text: "gate: badass has no result in 'keep-alive'" })
  expect(judge([result('keep-alive', 'badass', cheap), native('keep-alive', 'nginx http', [50])])).toEqual({
    isMet: false,
    text: "gate NOT MET on Node 20.19.5: no package that parses HTTP has a result in 'keep-alive'",
  })
})

test('the gate is not met when badass or a package that parses HTTP failed', () => {
  const fail = (peer: string) => {
    const { cost: _, ...failed } = result('keep-alive', peer, [1], { failed: 'it fell over' })
    return failed
  }
  const text = (peer: string) => `gate NOT MET on Node 20.19.5: ${peer} failed: it fell over`
  const rivals = [result('keep-alive', 'http-proxy', [50]), result('keep-alive', 'httpxy', [60])]
  const ours = result('keep-alive', 'badass', cheap)
  expect(judge([ours, ...rivals, fail('fast-proxy')])).toEqual({ isMet: false, text: text('fast-proxy') })
  expect(judge([fail('badass'), ...rivals])).toEqual({ isMet: false, text: text('badass') })
  expect(judge([ours, ...rivals, { ...fail('net pipe'), reads: 'nothing' }]).isMet).toBe(true)
})

test("requests: 'every' has a gate of its own", () => {
  const results = [result('keep-alive', 'badass', cheap), result('keep-alive', 'http-proxy', [50])]
  const every = (cost: number) => judge([...results, result('keep-alive', 'badass every', [cost])])
  expect(every(34).isMet).toBe(true)
  expect(every(36)).toEqual({
    isMet: false,
    text: expect.stringMatching(/badass every 36.0, .* at least 1.43 expected$/),
  })
})
