import { type Backoff, delayAfter } from '../../backoff.ts'
import { hostPort, isExhausted, readDest, type StreamDest, type StreamTarget } from '../../proxy/index.ts'
import { messageOf } from '../../show.ts'
import type { BackendCheck } from '../history.ts'
import { type HealthSettings, isIn, requestOf } from './options.ts'
import { type HttpCheck, Probe } from './probe.ts'
import { Semaphore } from './semaphore.ts'

/** Time-out of a probe without active checks (ms): long enough for two lost SYNs, which are resent after 1 and 3 s. */
const PROBE_TIMEOUT_MS = 5000
/** Concurrent checks per process: more would slow each other down until they time out. */
const MAX_CONCURRENT_CHECKS = 256

const semaphore = new Semaphore(MAX_CONCURRENT_CHECKS)

export interface HealthEvents {
  up(): void
  down(cause: Error): void
  /** A check passed. `drains`: it says that the backend drains. */
  passed?(drains: boolean): void
  /** A check has ended. One of the other events follows. */
  checked?(check: Omit<BackendCheck, 'at'>): void
  /** A check failed without changing the state. */
  failed?(cause: Error): void
}

/**
 * Tracks whether a backend is up. It starts as up and goes down after a failed connect or check. With settings it is
 * checked all the time; without, only while it is down, with a growing interval.
 */
export class Health {
  readonly #target: StreamTarget
  readonly #settings: HealthSettings | undefined
  readonly #backoff: Backoff
  readonly #events: HealthEvents
  readonly #random: () => number
  readonly #http: HttpCheck | undefined

  #isUp = true
  #isStopped = false
  /** No check has finished yet. */
  #isFirst = true
  /** Consecutive failed checks. Without settings: how often it went or stayed down since it was last up for long. */
  #failures = 0
  /** Consecutive passed checks. */
  #successes = 0
  /** When it last came up and when the last check began, on the monotonic clock (ms). */
  #upSince = performance.now()
  #startedAt = 0
  /** When the next check begins, on the same clock. */
  #nextAt: number | undefined
  #timer: NodeJS.Timeout | undefined
  #probe: Probe | undefined
  /** Releases the semaphore, or leaves its queue. */
  #release: () => void = () => undefined

  constructor(
    dest: StreamDest,
    settings: HealthSettings | undefined,
    backoff: Backoff,
    events: HealthEvents,
    random: () => number = Math.random,
  ) {
    this.#target = targetOf(readDest(dest) as StreamTarget, settings?.port)
    this.#settings = settings
    this.#backoff = backoff
    this.#events = events
    this.#random = random
    if (settings?.type === 'http') this.#http = httpCheckOf(settings, this.#target)
    // A random first delay spreads the checks of many backends over the interval.
    if (settings) this.#schedule(settings.interval * random())
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** ms until the next probe of a backend that is down; negative during the probe. */
  get retryIn(): number | undefined {
    return this.#isUp || this.#nextAt === undefined ? undefined : this.#nextAt - performance.now()
  }

  /** Reports a failed connect. Ignored while the backend is down: that connect may have begun long ago. */
  failed(cause: Error): void {
    if (this.#isStopped || !this.#isUp) return
    // A check under way would report an older state.
    this.#endCheck()
    this.#startedAt = performance.now()
    this.#successes = 0
    if (!this.#settings && this.#startedAt - this.#upSince > this.#backoff.max) this.#failures = 0
    this.#failures++
    this.#isUp = false
    this.#schedule(this.#delay())
    this.#events.down(cause)
  }

  /** Stops all timers and connections. No event follows. */
  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#endCheck()
    this.#nextAt = undefined
  }

  #schedule(delay: number): void {
    clearTimeout(this.#timer)
    const ms = Math.max(1, Math.round(delay))
    this.#nextAt = performance.now() + ms
    this.#timer = setTimeout(() => this.#check(), ms).unref()
  }

  /** ms until the next check. */
  #delay(): number {
    if (!this.#settings) return delayAfter(this.#failures, this.#backoff, this.#random)
    const { interval, fastInterval } = this.#settings
    const isBetween = this.#isUp ? this.#failures > 0 : this.#successes > 0
    const elapsed = performance.now() - this.#startedAt
    return (isBetween ? fastInterval : interval) * (0.9 + 0.2 * this.#random()) - elapsed
  }

  /** Starts a check when the semaphore allows it. The time-out starts then. */
  #check(): void {
    this.#release = semaphore.acquire(() => this.#start())
  }

  #endCheck(): void {
    this.#probe?.stop()
    this.#release()
  }

  #start(): void {
    this.#startedAt = performance.now()
    const timeout = this.#settings?.timeout ?? PROBE_TIMEOUT_MS
    this.#probe = new Probe(this.#target, this.#http, timeout, (error, status) => {
      this.#release()
      const duration = Math.round((performance.now() - this.#startedAt) * 10) / 10
      this.#events.checked?.({ duration, passed: !error, status, error: error && messageOf(error) })
      if (error && isLocalFailure(error)) return this.#checkSkipped(error)
      if (error) this.#checkFailed(error)
      else this.#checkPassed(status)
      this.#isFirst = false
    })
  }

  // Events are emitted last: a listener may stop the health checks, or throw.

  #checkPassed(status: number | undefined): void {
    const { rise } = this.#settings ?? { rise: 1 }
    this.#successes++
    if (this.#settings) this.#failures = 0
    const isBack = !this.#isUp && this.#successes >= rise
    if (isBack) {
      this.#isUp = true
      this.#upSince = performance.now()
    }
    if (this.#settings) this.#schedule(this.#delay())
    // First, so that a backend that comes up and drains gets no new clients in between.
    this.#events.passed?.(status !== undefined && isIn(this.#settings!.drainStatus, status))
    if (isBack && !this.#isStopped) this.#events.up()
  }

  /** The check failed for lack of local resources, which says nothing about the backend. */
  #checkSkipped(cause: Error): void {
    this.#schedule(this.#delay())
    this.#events.failed?.(cause)
  }

  #checkFailed(cause: Error): void {
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

/**
 * Whether this process is out of descriptors or memory. EADDRNOTAVAIL does not count: for an unreachable address it is
 * permanent.
 */
function isLocalFailure(error: NodeJS.ErrnoException): boolean {
  return isExhausted(error) && error.code !== 'EADDRNOTAVAIL'
}

/** With `port`, another server is checked. It may speak another protocol than the backend. */
function targetOf(target: StreamTarget, port: number | undefined): StreamTarget {
  if (port === undefined) return target
  const host = target.kind === 'port' ? target.host : 'localhost'
  const { retry, hostHeader } = target
  return { kind: 'port', port, host, tls: undefined, sendProxy: undefined, retry, hostHeader }
}

function httpCheckOf({ path, host, headers, status, drainStatus }: HealthSettings, target: StreamTarget): HttpCheck {
  return {
    request: requestOf(path, host ?? target.hostHeader ?? hostOf(target), headers),
    isExpected: (got) => isIn(status, got) || isIn(drainStatus, got),
    expects: [...status, ...drainStatus]
      .map(([least, most]) => (least === most ? least : `${least}-${most}`))
      .join(','),
  }
}

/** The default Host field. */
function hostOf(target: StreamTarget): string {
  return target.kind === 'port' ? hostPort(target.host, target.port) : 'localhost'
}
