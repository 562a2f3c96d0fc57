import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { killAll, stopAll } from './processes.ts'
import { progress } from './progress.ts'

/**
 * A folder for all that runs. When this process ends or is stopped, the folder goes, and so does all that was started.
 * `interrupted` is called with the first Ctrl-C, in the place of an end.
 */
export function openWorkplace(interrupted?: () => void): string {
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
    const end = () => {
      progress.silence()
      void stopAll().finally(() => process.exit(128 + number))
    }
    process.once(signal, () => {
      if (!interrupted || signal !== 'SIGINT') return end()
      process.once(signal, end)
      interrupted()
    })
  }
  return directory
}
