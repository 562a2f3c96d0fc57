import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { isExhausted } from '../../proxy/index.ts'
import { messageOf } from '../../show.ts'

/** ms from an accepted client to the check. */
const LOOK_MS = 1_000

/**
 * Warns when file descriptors run out. Node then closes new connections without an event. Checks after clients have been
 * accepted, and repeats while none are left.
 */
export class DescriptorWatch {
  readonly #say: (line: string) => void
  #timer: NodeJS.Timeout | undefined

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  /** Call this for each accepted client. */
  taken(): void {
    this.#timer ??= setTimeout(() => this.#look(), LOOK_MS).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /** Synchronous, so that nothing else can miss the descriptor meanwhile. */
  #look(): void {
    this.#timer = undefined
    try {
      closeSync(openSync(devNull, 'r'))
    } catch (cause) {
      if (!isExhausted(cause)) return
      this.#say(`out of file descriptors, new clients are closed: ${messageOf(cause)}`)
      this.taken()
    }
  }
}
