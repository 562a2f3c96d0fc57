import { readNumber, readOptions } from '../common/arguments.ts'
import { Complaint } from '../common/complaint.ts'
import { shortWorkloads, workloads } from './loads/index.ts'
import { peers } from './peers/index.ts'
import type { Peer, Workload } from './types.ts'

export interface Arguments {
  isShort: boolean
  /** Whether a run that is not cheap enough fails. */
  isGate: boolean
  rounds: number
  /** Of each round. */
  seconds: number
  workloads: readonly Workload[]
  peers: readonly Peer[]
  /** The programs that run the peers of Node's. */
  nodes: readonly string[]
  /** Where the results go; nowhere where not said. */
  out: string | undefined
}

const options = {
  short: { type: 'boolean', default: false },
  gate: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  only: { type: 'string' },
  peers: { type: 'string' },
  node: { type: 'string', multiple: true },
  out: { type: 'string' },
} as const

/** @throws {Complaint} on an argument that is unknown or wrong */
export function readArguments(args: string[]): Arguments {
  const values = readOptions(args, options)
  const { short: isShort, gate: isGate } = values
  return {
    isShort,
    isGate,
    rounds: readNumber('--rounds', values.rounds, isShort ? 3 : 5),
    seconds: readNumber('--seconds', values.seconds, isShort ? 1 : 4),
    workloads: pick('--only', values.only, workloads, isShort ? shortWorkloads : undefined),
    peers: pick('--peers', values.peers, peers, isShort ? shortPeers() : undefined),
    nodes: values.node ?? [process.execPath],
    out: values.out,
  }
}

/** What is asked for by name or group, in the order of `all`. */
function pick<T extends { name: string; group?: string }>(
  option: string,
  text: string | undefined,
  all: readonly T[],
  byDefault: readonly string[] = all.map(({ name }) => name),
): readonly T[] {
  const wanted = text?.split(',').map((name) => name.trim()) ?? byDefault
  const known = new Set(all.flatMap(({ name, group = name }) => [name, group]))
  const unknown = wanted.find((name) => !known.has(name))
  if (unknown !== undefined) throw new Complaint(`${option}: no '${unknown}'; takes ${[...known].join(', ')}`)
  return all.filter(({ name, group = name }) => wanted.includes(name) || wanted.includes(group))
}

/** One of each kind: what badass does with more hooks, and haproxy with another option, is for the long form. */
function shortPeers(): string[] {
  const without = ['badass modify', 'badass sticky', 'badass cli', 'haproxy http pooled']
  return peers.map(({ name }) => name).filter((name) => !without.includes(name))
}
