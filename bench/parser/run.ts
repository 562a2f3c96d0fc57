import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { figureOf } from '../report/results.ts'
import type { Answer, Order } from './cell.ts'
import type { Cut, Input } from './inputs.ts'
import { PEERS } from './peers/index.ts'
import type { Result } from './results.ts'

const CELL = fileURLToPath(new URL('cell.js', import.meta.url))
/** MiB: no collection comes of itself while the memory is looked at. */
const FOR_MEMORY = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64']

type Reply<O extends Order> = Extract<Answer, O extends 'allocations' ? { heap: number } : { ns: number }>

async function ask<O extends Order>(child: ChildProcess, order: O): Promise<Reply<O>> {
  const done = new AbortController()
  const { signal } = done
  try {
    child.send(order)
    const exited = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`${child.spawnargs.slice(-3).join(', ')}: the process exited with ${code}`)
    })
    const [answer] = await Promise.race([once(child, 'message', { signal }), exited])
    exited.catch(() => {}) // Nobody waits for the exit any more.
    return answer
  } finally {
    done.abort()
  }
}

/** Runs a process for each peer, and ends them all. */
async function withPeers<T>(path: string, flags: string[], words: string[], use: (all: ChildProcess[]) => Promise<T>) {
  const children = PEERS.map(({ name }) => fork(CELL, [name, ...words], { execPath: path, execArgv: flags }))
  try {
    return await use(children)
  } finally {
    for (const child of children) child.kill()
  }
}

/** The time of a head in ns, in each of the rounds, for each peer. The peers take turns: A B C A B C. */
async function timeRounds(children: readonly ChildProcess[], rounds: number, time: number): Promise<number[][]> {
  const times: number[][] = children.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, child] of children.entries()) times[i]!.push((await ask(child, { time })).ns)
  }
  return times
}

async function allocations(children: readonly ChildProcess[]): Promise<Reply<'allocations'>[]> {
  const answers: Reply<'allocations'>[] = []
  for (const child of children) answers.push(await ask(child, 'allocations'))
  return answers
}

/** Every peer on every cell, one cell after the other. */
export async function* run(
  nodes: readonly { path: string; version: string }[],
  cells: readonly { input: Input; cut: Cut }[],
  rounds: number,
  time: number,
): AsyncGenerator<Result[]> {
  for (const { path, version: node } of nodes) {
    for (const { input, cut } of cells) {
      const words = [input.name, cut.name]
      const times = await withPeers(path, [], words, (all) => timeRounds(all, rounds, time))
      const memory = await withPeers(path, FOR_MEMORY, words, allocations)
      yield PEERS.map(({ name: peer, note }, i) => {
        const bytes = input.bytes.length
        const nsPerHead = figureOf(times[i]!)
        const headsPerSecond = 1e9 / nsPerHead.median
        const bytesPerSecond = headsPerSecond * bytes
        const { heap: heapBytesPerHead, external: externalBytesPerHead } = memory[i]!
        const figures = { nsPerHead, headsPerSecond, bytesPerSecond, heapBytesPerHead, externalBytesPerHead }
        return { input: input.name, bytes, cut: cut.name, peer, note, node, rounds, ...figures }
      })
    }
  }
}
