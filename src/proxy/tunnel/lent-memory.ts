/** Size of one buffer in bytes. */
export const LENT_BYTES = 1_048_576

/** Maximum number of buffers lent at a time: 48 MiB for the whole process. */
const MAX_LENT = 48

/** The rest of the buffers is for clients that keep up, because a stalled client does not return its buffer. */
const MAX_LENT_TO_ALL = 16

/** Maximum number of free buffers that are kept. */
const MAX_FREE = 16

const free: Buffer[] = []
let lent = 0

/** Lends a buffer. Returns undefined if all are lent, or if the rest is reserved for clients that keep up. */
export function lendBuffer(keepsUp: boolean): Buffer | undefined {
  if (lent >= (keepsUp ? MAX_LENT : MAX_LENT_TO_ALL)) return undefined
  lent++
  return free.pop() ?? Buffer.allocUnsafeSlow(LENT_BYTES)
}

export function returnBuffer(buffer: Buffer): void {
  lent--
  if (free.length < MAX_FREE) free.push(buffer)
}
