import { hostPort, type StreamDest } from '../../proxy/index.ts'
import { type Backoff, delayAfter } from '../backoff.ts'
import { type HealthSettings, requestOf } from './options.ts'
import { type HttpCheck, Probe } from './probe.ts'

/** ms for a probe without active checks: time for two lost SYNs, which are sent again after 1 and 3 seconds. */
const PROBE_TIMEOUT = 5000
/** The first checks of many backends are spread over this part of the interval. */
const SPREAD = 0.1

export interface HealthEvents {
  up(): void
  down(cause: Error): void
  /** A check failed, and the backend stays what it is: still up, or down as before. */
  failed?(cause: Error): void
}

/**
 * Whether one backend is up. It is until a connect for a client fails, or a check does. With settings it is checked all
 * the time; without, only while it is down, ever more rarely.
 */
export class Health {
  readonly #dest: StreamDest
  readonly #settings: HealthSettings | undefined
  readonly #backoff: Backoff
  readonly #events: HealthEvents
  readonly #random: () => number
  readonly #http: HttpCheck | undefined

  #isUp = true
  #isStopped = false
  /** No check has ended yet. */
  #isFirst = true
  /** Checks that failed in a row; without settings, times that it was down or stayed so, since it last was up for long. */
  #failures = 0
  /** Checks that passed in a row. */
  #successes = 0
  /** By the clock of `performance`, which nobody sets: when it last came up, and when the last check began. */
  #upSince = performance.now()
  #startedAt = 0
  #retryAt: number | undefined
  #timer: NodeJS.Timeout | undefined
  #probe: Probe | undefined

  constructor(
    dest: StreamDest,
    settings: HealthSettings | undefined,
    backoff: Backoff,
    events: HealthEvents,
    random: () => number = Math.random,
  ) {
    this.#dest = dest
    this.#settings = settings
    this.#backoff = backoff
    this.#events = events
    this.#random = random
    if (settings?.type === 'http') this.#http = httpCheckOf(settings, dest)
    if (settings) this.#schedule(settings.interval * SPREAD * random())
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** ms since 1970 of the next probe of one that is down; past, while that goes on. */
  get retryAt(): number | undefined {
    return this.#isUp ? undefined : this.#retryAt
  }

  /** A connect for a client failed. One more changes nothing while it is down: it may have begun long ago. */
  failed(cause: Error): void {
    if (this.#isStopped || !this.#isUp) return
    // A check that has begun before says nothing of now.
    this.#probe?.stop()
    this.#startedAt = performance.now()
    this.#successes = 0
    if (!this.#settings && this.#startedAt - this.#upSince > this.#backoff.max) this.#failures = 0
    this.#failures++
    this.#isUp = false
    this.#schedule(this.#delay())
    this.#events.down(cause)
  }

  /** No event comes after this, and no timer and no connection is left. */
  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#probe?.stop()
    this.#retryAt = undefined
  }

  #schedule(delay: number): void {
    clearTimeout(this.#timer)
    const ms = Math.max(1, Math.round(delay))
    this.#retryAt = Date.now() + ms
    this.#timer = setTimeout(() => this.#check(), ms).unref()
  }

  /** ms to the next check. */
  #delay(): number {
    if (!this.#settings) return delayAfter(this.#failures, this.#backoff, this.#random)
    const elapsed = performance.now() - this.#startedAt
    return this.#settings.interval * (0.9 + 0.2 * this.#random()) - elapsed
  }

  #check(): void {
    this.#startedAt = performance.now()
    const timeout = this.#settings?.timeout ?? PROBE_TIMEOUT
    this.#probe = new Probe(this.#dest, this.#http, timeout, (error) => {
      if (error) this.#missed(error)
      else this.#passed()
      this.#isFirst = false
    })
  }

  // Each event comes last: whoever hears it may stop us, or throw.

  #passed(): void {
    const { rise } = this.#settings ?? { rise: 1 }
    this.#successes++
    if (this.#settings) this.#failures = 0
    const isBack = !this.#isUp && this.#successes >= rise
    if (isBack) {
      this.#isUp = true
      this.#upSince = performance.now()
    }
    if (this.#settings) this.#schedule(this.#delay())
    if (isBack) this.#events.up()
  }

  #missed(cause: Error): void {
    const fall = this.#isFirst ? 1 : this.#settings?.fall
    this.#failures++
    this.#successes = 0
    const isGone = this.#isUp && fall !== undefined && this.#failures >= fall
    if (isGone) this.#isUp = false
    this.#schedule(this.#delay())
    if (isGone) this.#events.down(cause)
    else this.#events.failed?.(cause)
  }
}

function httpCheckOf({ path, host, status }: HealthSettings, dest: StreamDest): HttpCheck {
  return {
    request: requestOf(path, host ?? hostOf(dest)),
    isExpected: (got) => status.some(([least, most]) => least <= got && got <= most),
    expects: status.map(([least, most]) => (least === most ? least : `${least}-${most}`)).join(','),
  }
}

/** What the Host field says where nobody has said it. */
function hostOf(dest: StreamDest): string {
  if (!('port' in dest)) return 'localhost'
  return hostPort(dest.host ?? 'localhost', dest.port)
}
