import type { Io } from '../output.ts'
import type { Member } from './member.ts'

/** ms for which a line without a subject is not repeated, whichever worker sends it. */
const RECENT_MS = 10_000

/** Prints the workers' lines. A line that several workers send is printed once. */
export class Relay {
  readonly #say: Io['say']
  /** The last line on each subject, and the worker that sent it first. */
  readonly #last = new Map<string, { line: string; member: Member | undefined }>()

  constructor(say: Io['say']) {
    this.#say = say
  }

  /** `about`: the subject of the line. A new line replaces the previous one on its subject. */
  forward(member: Member, line: string, about: string | undefined): void {
    const subject = about ?? line
    const last = this.#last.get(subject)
    const isKnown = last?.line === line && last.member !== member
    if (isKnown && last.member) return
    this.#last.set(subject, { line, member })
    // Without a subject no other line ends the state, so the same event may happen again later.
    if (about === undefined) setTimeout(() => this.#last.delete(subject), RECENT_MS).unref()
    if (!isKnown) this.#say(line)
  }

  /** The worker has ended. Its lines still count as printed, but the next worker that repeats one takes its place. */
  forget(member: Member): void {
    for (const last of this.#last.values()) if (last.member === member) last.member = undefined
  }
}
