import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { killAll, stopAll } from './processes.ts'
import { progress } from './progress.ts'

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }

/**
 * Makes a temporary folder. It is removed, and all started programs end, when this process exits or gets a signal. The
 * first Ctrl-C calls `interrupted` instead, if given.
 */
export function openWorkplace(interrupted?: () => void): string {
  const directory = mkdtempSync(join(os.tmpdir(), 'badass-bench-'))
  process.on('exit', () => {
    killAll()
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  })
  for (const [signal, number] of Object.entries(SIGNALS)) {
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
