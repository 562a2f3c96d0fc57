/** How a run says how far it is. */
export interface Progress {
  /** What goes on now. */
  now(text: string): void
  /** What came of a part of the work. */
  done(text: string): void
}

const { stderr } = process
const CLEAR = '\r\x1b[K'
let isSilent = false

/** On a terminal the last line tells what goes on; elsewhere only what is done is written. */
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
  /** What fails from now on fails because it is stopped. */
  silence() {
    isSilent = true
  },
}
