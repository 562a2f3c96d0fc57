import { Bench } from 'tinybench'
import type { Input } from './inputs.ts'
import type { Parser } from './peers/index.ts'

/** ms that one call of the timed function should take, so that reading the clock costs nothing. */
const BATCH_MS = 0.1

/** @throws {Error} when a parser finds no head, or something else in it */
export function check(name: string, parser: Parser, chunks: readonly Buffer[], input: Input): void {
  for (let i = 0; i < 3; i++) if (!parser.parse(chunks)) throw new Error(`${name}: ${input.name}: no head found`)
  for (const [key, value] of Object.entries(parser.found())) {
    const right = input[key as 'method' | 'target' | 'fields']
    if (value !== right) throw new Error(`${name}: ${input.name}: ${key} is ${value}, not ${right}`)
  }
}

function parseMany(parser: Parser, chunks: readonly Buffer[], count: number): void {
  for (let i = 0; i < count; i++) if (!parser.parse(chunks)) throw new Error('no head found')
}

/** Warms the parser up for so many ms. Returns how many heads make a batch. */
export function batchOf(parser: Parser, chunks: readonly Buffer[], warmUpMs: number): number {
  const start = performance.now()
  let count = 0
  let time = 0
  do {
    parseMany(parser, chunks, 1)
    count++
    time = performance.now() - start
  } while (time < warmUpMs)
  return Math.max(1, Math.round((BATCH_MS * count) / time))
}

/** ns a head: the median of the batches in a round of `time` ms. */
export function timeRound(parser: Parser, chunks: readonly Buffer[], batch: number, time: number): number {
  const bench = new Bench({ time, iterations: 1, warmup: false, throws: true })
  bench.add('round', () => parseMany(parser, chunks, batch))
  const [task] = bench.runSync()
  const result = task!.result
  if (result.state !== 'completed') throw new Error(`the round is ${result.state}`)
  return (result.latency.p50 * 1e6) / batch
}
