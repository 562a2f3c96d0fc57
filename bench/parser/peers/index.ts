import { js, node } from './node.ts'
import { scanner, scannerNew, scannerStrings, scannerThree } from './scanner.ts'
import { floor, split } from './simple.ts'
import type { Peer } from './types.ts'
import { wasm } from './wasm.ts'

export type { Parser, Peer } from './types.ts'

export const PEERS: readonly Peer[] = [scanner, scannerNew, scannerThree, scannerStrings, node, wasm, js, split, floor]
