import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { isExhausted, messageOf } from '../../proxy/index.ts'

/** ms from an accepted client to the look. */
const LOOK_MS = 1_000

/**
 * Looks whether file descriptors are left. Where there are none, Node closes whom it accepts, and tells nobody: whoever
 * got in is served, and no error ever shows. It looks when clients have come, and again for as long as there are none.
 */
export class DescriptorWatch {
  readonly #say: (line: string) => void
  #timer: NodeJS.Timeout | undefined

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  /** A client has taken a descriptor. */
  taken(): void {
    this.#timer ??= setTimeout(() => this.#look(), LOOK_MS).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /** Not over the thread pool: what it takes is given back before anybody can miss it. */
  #look(): void {
    this.#timer = undefined
    try {
      closeSync(openSync(devNull, 'r'))
    } catch (cause) {
      if (!isExhausted(cause)) return
      this.#say(`a fault of this machine: clients are turned away: ${messageOf(cause)}`)
      this.taken()
    }
  }
}
