import type { Io } from '../service/index.ts'
import type { Member } from './member.ts'

/** ms for which a line that is the news of nothing in particular is the same, whoever says it. */
const RECENT_MS = 10_000

/** Says what several workers find out, each for itself, once. */
export class News {
  readonly #say: Io['say']
  /** The last line on each thing, and whose it was. */
  readonly #last = new Map<string, { line: string; member: Member | undefined }>()

  constructor(say: Io['say']) {
    this.#say = say
  }

  hear(member: Member, line: string, about: string | undefined): void {
    const subject = about ?? line
    const last = this.#last.get(subject)
    const isKnown = last?.line === line && last.member !== member
    if (isKnown && last.member) return
    this.#last.set(subject, { line, member })
    // Nothing tells when that is over: it may happen again, and to another.
    if (about === undefined) setTimeout(() => this.#last.delete(subject), RECENT_MS).unref()
    if (!isKnown) this.#say(line)
  }

  /** What it has said is still the latest; but when another says it again, that one is heard from then on. */
  forget(member: Member): void {
    for (const last of this.#last.values()) if (last.member === member) last.member = undefined
  }
}
