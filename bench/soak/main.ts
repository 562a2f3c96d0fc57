import { runMain } from '../common/complaint.ts'
import { progress } from '../common/progress.ts'
import { openWorkplace } from '../common/workplace.ts'
import { readArguments } from './arguments.ts'
import { formatReport, formatStanding, saveSoak } from './report.ts'
import { complaintsOf } from './results.ts'
import { type Standing, soak } from './run.ts'

// Mixed clients against the command, for long, while its backends are killed.
//   --duration 20m  --short  --seed N  --workers N  --out FOLDER

/** Of all samples, every so many has a line where there is no terminal. */
const LINES = 12

/** Exits with 1 where anything was not as it has to be, with 2 on a wrong argument. Ctrl-C: ends early, with its report. */
async function main(): Promise<number> {
  const { out, ...options } = readArguments(process.argv.slice(2))
  const interrupt = new AbortController()
  const directory = openWorkplace(() => interrupt.abort())
  progress.done(`seed ${options.seed}, ${options.seconds} s; Ctrl-C ends it early`)
  let samples = 0
  const stands = (standing: Standing) => {
    const line = formatStanding(standing)
    if (++samples % LINES === 0) progress.done(line)
    else progress.now(line)
  }
  const result = await soak({ ...options, directory, signal: interrupt.signal, stands })
  progress.end()
  console.log(`\n${formatReport(result)}\n`)
  // What was cut short is not what is kept.
  if (out !== undefined && !interrupt.signal.aborted) for (const file of saveSoak(result, out)) console.log(file)
  const complaints = complaintsOf(result)
  for (const complaint of complaints) console.error(`fault: ${complaint}`)
  return complaints.length > 0 ? 1 : 0
}

runMain(main)
