import { readDuration, readNumber, readOptions } from '../../../bench/common/arguments.ts'
import { Complaint, runMain } from '../../../bench/common/complaint.ts'
import { progress } from '../../../bench/common/progress.ts'
import { openWorkplace } from '../../../bench/common/workplace.ts'
import { failuresOf, type Soak, soak } from './run.ts'

// Mixed clients against the command while its backends are killed:
//   npm run soak -- [--duration 20m | --short] [--seed N] [--workers N] [--requests first|every]

const FULL_SECONDS = 20 * 60
const SHORT_SECONDS = 45

function readArguments(args: string[]) {
  const values = readOptions(args, {
    short: { type: 'boolean', default: false },
    duration: { type: 'string' },
    seed: { type: 'string' },
    workers: { type: 'string' },
    requests: { type: 'string', default: 'first' },
  })
  if (values.short && values.duration !== undefined) throw new Complaint('--short: cannot be used with --duration')
  const seconds = readDuration('--duration', values.duration, values.short ? SHORT_SECONDS : FULL_SECONDS)
  const { requests } = values
  if (requests !== 'first' && requests !== 'every') throw new Complaint('--requests: expected first or every')
  return {
    requests: requests as 'first' | 'every',
    seconds,
    isShort: seconds < FULL_SECONDS,
    seed: readNumber('--seed', values.seed, 1 + Math.floor(Math.random() * 9999)),
    workers: readNumber('--workers', values.workers, 1),
  }
}

function print({ traffic, exchanges, backends, before, after, faultCount }: Soak): void {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
  console.table(exchanges)
  console.log(`${traffic.connections} connections, ${mib(traffic.received)} received, ${mib(traffic.sent)} sent`)
  console.log(`${backends.kills} backends killed, ${backends.blackouts} times all at once; ${backends.pauses} stopped`)
  for (const [name, { sockets, heap, resident }] of Object.entries({ before, after })) {
    console.log(`idle ${name} the load: ${sockets} sockets, ${mib(heap)} of heap, ${mib(resident)} resident`)
  }
  console.log(`${faultCount} faults`)
}

/** Exits with 1 on a fault and with 2 on a wrong argument. Ctrl-C ends the load early and still prints the summary. */
async function main(): Promise<number> {
  const options = readArguments(process.argv.slice(2))
  const interrupt = new AbortController()
  const directory = openWorkplace(() => interrupt.abort())
  progress.done(`seed ${options.seed}, ${options.seconds} s; Ctrl-C ends it early`)
  const result = await soak({ ...options, directory, signal: interrupt.signal, report: progress.done })
  progress.end()
  print(result)
  const failures = failuresOf(result)
  for (const failure of failures) console.error(`fault: ${failure}`)
  return failures.length > 0 ? 1 : 0
}

runMain(main)
