import inspector from 'node:inspector'

/** Without --inspect-port, which does not open the inspector. */
const ASKED_FOR = /--inspect(-brk|-wait)?(=|\s|$)/
const wasAskedFor = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((text) => ASKED_FOR.test(text))

/**
 * Closes an inspector that Node opened on a SIGUSR1 before our handler was installed: anyone who connects to it can run
 * code. Node may open it again in the first turn of the event loop, so this checks once more after that.
 */
export function closeEarlyInspector(): void {
  if (wasAskedFor) return
  closeIfOpen()
  setImmediate(() => setImmediate(closeIfOpen))
}

function closeIfOpen(): void {
  if (inspector.url() !== undefined) inspector.close()
}
