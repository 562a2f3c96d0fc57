import net from 'node:net'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'

// Is loaded into the processes of the command before it begins (--import), and tells how they are: to each word on the
// socket DIR/PID.sock one Look as JSON. 'gc' has the garbage collected first.

/** What a process says of itself. Memory in bytes, delays in ms. */
export interface Look {
  heapUsed: number
  /** Outside of the heap of V8, buffers for most. */
  external: number
  /** How late the event loop was, since the look before, and in all. */
  delay: Delay
  delayInAll: Delay
}

export interface Delay {
  p50: number
  p99: number
  max: number
}

/** ms between the times at which the delay is taken: the histogram has it in each of its values. */
const RESOLUTION = 10

const latest = monitorEventLoopDelay({ resolution: RESOLUTION })
const all = monitorEventLoopDelay({ resolution: RESOLUTION })

function delayOf(histogram: typeof all): Delay {
  const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION)
  return { p50: ms(histogram.percentile(50)), p99: ms(histogram.percentile(99)), max: ms(histogram.max) }
}

function look(): Look {
  const { heapUsed, external } = process.memoryUsage()
  const delay = delayOf(latest)
  latest.reset()
  return { heapUsed, external, delay, delayInAll: delayOf(all) }
}

/** A collection that we ask for is no delay of theirs. */
function collect(): void {
  latest.disable()
  all.disable()
  globalThis.gc?.()
  latest.enable()
  all.enable()
}

latest.enable()
all.enable()
const directory = new URL(import.meta.url).searchParams.get('in')
if (directory !== null) {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (word: Buffer) => {
      if (word.toString() === 'gc') collect()
      socket.end(JSON.stringify(look()))
    })
  })
  // Exclusive: in a worker of a cluster too, it is this process that answers.
  server.listen({ path: join(directory, `${process.pid}.sock`), exclusive: true }).unref()
}
