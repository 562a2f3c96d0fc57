/** Where a run says how far it is. */
export interface Progress {
  /** Shows the current step. */
  now(text: string): void
  /** Writes a line about a finished step. */
  done(text: string): void
}

const { stderr } = process
const CLEAR = '\r\x1b[K'
let isSilent = false

/** Writes to stderr. The current step is shown on a terminal only, in its last line. */
export const progress: Progress & { end(): void; silence(): void } = {
  now(text) {
    if (stderr.isTTY && !isSilent) stderr.write(CLEAR + text.slice(0, (stderr.columns ?? 80) - 1))
  },
  done(text) {
    if (!isSilent) stderr.write(`${stderr.isTTY ? CLEAR : ''}${text}\n`)
  },
  end() {
    if (stderr.isTTY) stderr.write(CLEAR)
  },
  /** Stops all output, for a run that is being interrupted. */
  silence() {
    isSilent = true
  },
}
