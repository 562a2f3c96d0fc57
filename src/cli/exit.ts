import { constants } from 'node:os'

const HANDLED = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

/** Restores the default action of signals, which end the process even during a blocked file read. */
function restoreSignals(): void {
  for (const signal of HANDLED) process.removeAllListeners(signal)
}

/** Reads and writes of files under way. */
let uses = 0

/** Counts a use of files while it is under way: a FIFO or a stalled NFS mount may block it forever. */
export async function counted<T>(use: Promise<T>): Promise<T> {
  uses++
  try {
    return await use
  } finally {
    uses--
  }
}

/** Ends the process at once by a signal. */
export function exitBySignal(signal: NodeJS.Signals): never {
  const code = 128 + constants.signals[signal]
  restoreSignals()
  try {
    process.emit('exit', code)
  } finally {
    process.kill(process.pid, signal)
    // Process 1 of a container ignores its own signals.
    if (uses > 0) process.abort()
    process.exit(code)
  }
}

/** Ends the process at once. `process.exit()` waits for file operations, so while one runs it ends by a signal. */
export function exit(code: number): never {
  // Service managers treat SIGTERM as a clean end.
  if (uses > 0) exitBySignal(code === 0 ? 'SIGTERM' : 'SIGKILL')
  restoreSignals()
  process.exit(code)
}
