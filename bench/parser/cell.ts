/**
 * One peer on one input with one cut, in a process of its own, so that none runs on code that V8 has shaped for other
 * input or for another peer. Its arguments name them; each message asks for a round of so many ms, or for what a head
 * allocates.
 */
import { CUTS, INPUTS } from './inputs.ts'
import { allocationsOf, check, timeRound, turnOf } from './measure.ts'
import { PEERS } from './peers/index.ts'

/** Of work before the first round, in ms: what V8 makes of the code has then settled. */
const WARMUP = 150

export type Order = { time: number } | 'allocations'
export type Answer = { ns: number } | { heap: number; external: number }

const [peerName, inputName, cutName] = process.argv.slice(2)
const input = INPUTS.find(({ name }) => name === inputName)!
const chunks = CUTS.find(({ name }) => name === cutName)!.chunks(input.bytes)
const parser = PEERS.find(({ name }) => name === peerName)!.start()
check(peerName!, parser, chunks, input)
let turn = 0

process.on('message', (order: Order) => {
  if (order === 'allocations') {
    process.send!(allocationsOf(parser, chunks))
  } else {
    turn ||= turnOf(parser, chunks, WARMUP)
    process.send!({ ns: timeRound(parser, chunks, turn, order.time) })
  }
})
