import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { killAll, stopAll } from '../common/processes.ts'
import { progress } from '../common/progress.ts'

/** A folder for all that runs. When this process ends or is stopped, the folder goes, and so does all that was started. */
export function openWorkplace(): string {
  const directory = mkdtempSync(join(os.tmpdir(), 'badass-bench-'))
  process.on('exit', () => {
    killAll()
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  })
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.once(signal, () => {
      progress.silence()
      void stopAll().finally(() => process.exit(128 + number))
    })
  }
  return directory
}
