import { Bench } from 'tinybench'
import type { Input } from './inputs.ts'
import type { Parser } from './peers/index.ts'

/** A run of the timed function is to take so long, in ms: the clock is then no part of it. */
const TURN = 0.1

/** @throws {Error} where a parser does not find the head, or something else in it than what there is */
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

/** How many heads make a turn; what it parses to find out makes the code hot. */
export function turnOf(parser: Parser, chunks: readonly Buffer[], warmup: number): number {
  const start = performance.now()
  let count = 0
  let time = 0
  do {
    parseMany(parser, chunks, 1)
    count++
    time = performance.now() - start
  } while (time < warmup)
  return Math.max(1, Math.round((TURN * count) / time))
}

/** The time of a head in ns: the median of the turns of a round, which is to take `time` ms. */
export function timeRound(parser: Parser, chunks: readonly Buffer[], turn: number, time: number): number {
  const bench = new Bench({ time, iterations: 1, warmup: false, throws: true })
  bench.add('round', () => parseMany(parser, chunks, turn))
  const [task] = bench.runSync()
  const result = task!.result
  if (result.state !== 'completed') throw new Error(`the round is ${result.state}`)
  return (result.latency.p50 * 1e6) / turn
}

/**
 * What a head allocates, in bytes: by how much the heap grows over many, with no collection between. For a process with
 * `--expose-gc` and a young generation that has room for all of it.
 */
export function allocationsOf(parser: Parser, chunks: readonly Buffer[]): { heap: number; external: number } {
  turnOf(parser, chunks, 40) // What V8 has not compiled yet allocates more.
  let count = 4
  while (grownOver(count, parser, chunks).heap < 5e5 && count < 4096) count *= 2
  // The least of three: compiling in the background grows the heap too.
  const all = [1, 2, 3].map(() => grownOver(count, parser, chunks)).sort((a, b) => a.heap - b.heap)
  return { heap: all[0]!.heap / count, external: all[0]!.external / count }
}

function grownOver(count: number, parser: Parser, chunks: readonly Buffer[]): { heap: number; external: number } {
  // The second one waits for the buffers that the first one found to be freed.
  globalThis.gc!()
  globalThis.gc!()
  const before = process.memoryUsage()
  parseMany(parser, chunks, count)
  const after = process.memoryUsage()
  return {
    heap: Math.max(0, after.heapUsed - before.heapUsed),
    external: Math.max(0, after.external - before.external),
  }
}
