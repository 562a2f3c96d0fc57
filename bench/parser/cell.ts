import { CUTS, INPUTS } from './inputs.ts'
import { batchOf, check, timeRound } from './measure.ts'
import { PEERS } from './peers/index.ts'

// One peer with one input in a separate process, so that V8 optimises the code for that input only. Arguments: PEER INPUT
// CUT. A message with a number starts a round of that many ms. The answer is the time per head in ns.

const WARM_UP_MS = 150

const [peerName, inputName, cutName] = process.argv.slice(2)
const input = INPUTS.find(({ name }) => name === inputName)!
const chunks = CUTS.find(({ name }) => name === cutName)!.chunks(input.bytes)
const parser = PEERS.find(({ name }) => name === peerName)!.start()
check(peerName!, parser, chunks, input)
let batch = 0

process.on('message', (time: number) => {
  batch ||= batchOf(parser, chunks, WARM_UP_MS)
  process.send!(timeRound(parser, chunks, batch, time))
})
