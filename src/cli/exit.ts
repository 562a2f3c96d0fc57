import { constants } from 'node:os'

const HANDLED = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

/** Restores the default action of signals, which end the process even during a blocked file read. */
function restoreSignals(): void {
  for (const signal of HANDLED) process.removeAllListeners(signal)
}

/** Loads under way that read files. */
let loads = 0

/** Counts a load that reads files while it is under way: a read of a FIFO or of a stalled NFS mount never ends. */
export async function counted<T>(load: Promise<T>): Promise<T> {
  loads++
  try {
    return await load
  } finally {
    loads--
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
    if (loads > 0) process.abort()
    process.exit(code)
  }
}

/** Ends the process at once. During a load it ends by a signal: `process.exit()` waits for file reads. */
export function exit(code: number): never {
  // Service managers treat SIGTERM as a clean end.
  if (loads > 0) exitBySignal(code === 0 ? 'SIGTERM' : 'SIGKILL')
  restoreSignals()
  process.exit(code)
}
