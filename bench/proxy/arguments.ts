import { readNumber, readOptions } from '../common/arguments.ts'
import { Complaint } from '../common/complaint.ts'
import { shortWorkloads, workloads } from './loads/index.ts'
import { peers } from './peers/index.ts'
import type { Peer, Workload } from './types.ts'

export interface Arguments {
  isShort: boolean
  /** Exit with 1 when badass is not cheap enough. */
  isGate: boolean
  rounds: number
  /** Seconds of a round. */
  seconds: number
  workloads: readonly Workload[]
  peers: readonly Peer[]
  /** The programs that run the peers of Node.js. */
  nodes: readonly string[]
  /** The folder for the results, if they are kept. */
  out: string | undefined
}

/** Variants of another peer, which the short form leaves out. */
const LONG_ONLY = [
  ...['badass modify', 'badass sticky', 'badass cli', 'badass cli every', 'badass cli all', 'haproxy http pooled'],
]

/** @throws {Complaint} on an unknown or wrong argument */
export function readArguments(args: string[]): Arguments {
  const values = readOptions(args, {
    short: { type: 'boolean', default: false },
    gate: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    only: { type: 'string' },
    peers: { type: 'string' },
    node: { type: 'string', multiple: true, default: [process.execPath] },
    out: { type: 'string' },
  })
  const { short: isShort, gate: isGate } = values
  const longPeers = peers.filter(({ group }) => group === undefined).map(({ name }) => name)
  const shortPeers = longPeers.filter((name) => !LONG_ONLY.includes(name))
  return {
    isShort,
    isGate,
    rounds: readNumber('--rounds', values.rounds, isShort ? 3 : 5),
    seconds: readNumber('--seconds', values.seconds, isShort ? 1 : 4),
    workloads: pick('--only', values.only, workloads, isShort ? shortWorkloads : undefined),
    peers: pick('--peers', values.peers, peers, isShort ? shortPeers : longPeers),
    nodes: values.node,
    out: values.out,
  }
}

/** The entries that are listed by name or group, in the order of `all`. */
function pick<T extends { name: string; group?: string }>(
  option: string,
  text: string | undefined,
  all: readonly T[],
  fallback: readonly string[] = all.map(({ name }) => name),
): readonly T[] {
  const wanted = text?.split(',').map((name) => name.trim()) ?? fallback
  const known = new Set(all.flatMap(({ name, group = name }) => [name, group]))
  const unknown = wanted.find((name) => !known.has(name))
  if (unknown !== undefined) throw new Complaint(`${option}: expected ${[...known].join(', ')}, got '${unknown}'`)
  return all.filter(({ name, group = name }) => wanted.includes(name) || wanted.includes(group))
}
