import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Node } from '../common/machine.ts'
import { figureOf, type Result } from '../common/results.ts'
import type { Cut, Input } from './inputs.ts'
import { PEERS } from './peers/index.ts'

const CELL = fileURLToPath(new URL('cell.js', import.meta.url))

/** Runs a round of `time` ms in the process. Resolves with ns a head. */
function ask(child: ChildProcess, time: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const exited = (code: number | null) =>
      reject(new Error(`${child.spawnargs.slice(-3).join(', ')}: the process exited with ${code}`))
    child.once('exit', exited)
    child.once('message', (ns) => {
      child.off('exit', exited)
      resolve(ns as number)
    })
    child.send(time)
  })
}

/** All peers with one input. They take turns: A B C A B C. */
export async function runCell(
  { path, version: node }: Node,
  { input, cut }: { input: Input; cut: Cut },
  rounds: number,
  time: number,
): Promise<Result[]> {
  const children = PEERS.map(({ name }) => fork(CELL, [name, input.name, cut.name], { execPath: path }))
  const times: number[][] = children.map(() => [])
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [i, child] of children.entries()) times[i]!.push(await ask(child, time))
    }
  } finally {
    for (const child of children) child.kill()
  }
  return PEERS.map(({ name: peer, note }, i) => ({
    workload: `${input.name}, ${cut.name}`,
    title: `a head of ${input.bytes.length} bytes, ${cut.name}`,
    unit: 'ns a head',
    peer,
    kind: peer.startsWith('HeadScanner') ? 'badass' : 'npm',
    note,
    node,
    rounds,
    cost: figureOf(times[i]!),
  }))
}
