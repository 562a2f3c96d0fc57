import { js, node } from './node.ts'
import { scanners } from './scanner.ts'
import { floor, split } from './simple.ts'
import type { Peer } from './types.ts'
import { wasm } from './wasm.ts'

export type { Parser, Peer } from './types.ts'

export const PEERS: readonly Peer[] = [...scanners, node, wasm, js, split, floor]
