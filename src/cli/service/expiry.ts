import type { CertificateStatus } from '../certificate-status.ts'
import type { Io } from '../output.ts'

const DAY_MS = 24 * 60 * 60_000
const CHECK_MS = 60 * 60_000
const WARN_DAYS = 14

/** Warns of certificates that end soon, of each at most once a day. */
export class ExpiryWatch {
  readonly #say: Io['say']
  readonly #read: () => readonly CertificateStatus[]
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout
  /** When each was warned of. */
  #warned = new Map<string, number>()

  constructor(say: Io['say'], read: () => readonly CertificateStatus[], now = Date.now) {
    this.#say = say
    this.#read = read
    this.#now = now
    this.#timer = setInterval(() => this.check(), CHECK_MS).unref()
  }

  check(): void {
    const now = this.#now()
    const warned = new Map<string, number>()
    for (const status of this.#read()) {
      const { use, file, notAfter } = status
      if (notAfter === undefined || notAfter - now >= WARN_DAYS * DAY_MS) continue
      const subject = `certificate ${use} ${file}`
      const key = `${subject} ${notAfter}`
      const last = this.#warned.get(key)
      // The clock may have been set back.
      const isDue = last === undefined || Math.abs(now - last) >= DAY_MS
      warned.set(key, isDue ? now : last)
      if (isDue) this.#say(warningOf(status, notAfter, now), subject)
    }
    this.#warned = warned
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

function warningOf({ use, file, earliest }: CertificateStatus, notAfter: number, now: number): string {
  const which = earliest === undefined ? '' : `, with ${earliest} in it,`
  const date = new Date(notAfter).toISOString().slice(0, 10)
  const days = Math.floor((notAfter - now) / DAY_MS)
  if (days < 0) return `certificate ${file} (${use})${which} expired on ${date}`
  const left = days === 0 ? 'less than a day' : days === 1 ? '1 day' : `${days} days`
  return `certificate ${file} (${use})${which} expires on ${date}, in ${left}`
}
