import cluster from 'node:cluster'
import { messageOf } from '../../show.ts'
import { LONGEST_MS } from '../../validate.ts'
import type { Io } from '../output.ts'
import { type Answers, answersOf, awake, soon } from './answers.ts'
import { Member, type MemberEvents, WorkerExited } from './member.ts'
import type { Action, Kind, Orders, Report } from './messages.ts'
import { Relay } from './relay.ts'
import { RestartBackoff } from './restart-backoff.ts'
import type { WorkerSettings } from './settings.ts'
import { FleetStats } from './stats.ts'

/** ms after the end of its drain before a worker is killed. */
const GRACE_MS = 5_000
/** ms before a worker that got a SIGTERM is replaced: the whole group may have got it. */
const SIGNAL_MS = 100
/** Attempts to start a worker that ends before it runs any of our code. */
const FIRST_TRIES = 3

export interface FleetOptions {
  count: number
  /** The arguments of the command. */
  argv: readonly string[]
  say: Io['say']
  /** ms that a worker has for its drain. */
  grace(): number
  /** Starts the service in a worker. Resolves when it serves. */
  admit(member: Member): Promise<void>
  /** No worker listens any more. Replacements follow. */
  abandoned(): void
  settings: WorkerSettings
}

/** A fixed number of workers. A worker that ends is replaced. */
export class Fleet {
  readonly stats = new FleetStats()
  /** Number of workers that replaced another. */
  restarts = 0
  readonly #options: FleetOptions
  readonly #members = new Set<Member>()
  readonly #relay: Relay
  readonly #backoff = new RestartBackoff()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #heart: NodeJS.Timeout
  /** Replace workers that end. False until all have started, and during the drain. */
  #isKept = false
  /** All workers are to end, or have ended. */
  #isOver = false
  #ignoresSignals = false
  readonly #events: MemberEvents = {
    say: (member, line, about) => this.#relay.forward(member, line, about),
    report: (member, report) => this.#take(member, report),
    terminated: (member) => this.#terminated(member),
  }

  constructor(options: FleetOptions) {
    this.#options = options
    this.#relay = new Relay(options.say)
    const { exec, beatMs } = options.settings
    // Without SO_REUSEPORT the workers share a socket and accept by themselves. Passing connections on would double the
    // cost, and one on its way to a killed worker would stay open. This must be set before setupPrimary().
    if (!process.env.NODE_CLUSTER_SCHED_POLICY) cluster.schedulingPolicy = cluster.SCHED_NONE
    // 'advanced': messages contain Buffers and Infinity.
    cluster.setupPrimary({ exec, execArgv: execArgv(), args: [...options.argv], serialization: 'advanced' })
    process.on('exit', this.kill)
    this.#heart = setInterval(() => this.#beat(), beatMs).unref()
  }

  get count(): number {
    return this.#options.count
  }

  /** Workers that a reload concerns. Others have no config yet, or are leaving. */
  get members(): Member[] {
    return this.configured.filter(({ isLeaving }) => !isLeaving)
  }

  get serving(): number {
    return [...this.#members].filter(({ isServing, isSilent }) => isServing && !isSilent).length
  }

  /** Resolves when all serve. @throws {Error} with a one-line message if a worker does not start, or ends meanwhile */
  async start(): Promise<void> {
    let fail: (error: Error) => void
    const failed = new Promise<never>((_, reject) => {
      fail = reject
    })
    const numbers = Array.from({ length: this.#options.count }, (_, i) => i + 1)
    const started = numbers.map(async (number) => {
      const member = await this.#startFirst(number)
      void member.gone.then((how) => fail(endedEarly(number, member.failure ?? how)))
    })
    await Promise.race([failed, Promise.all(started)])
    this.#isKept = true
  }

  /** Collects a report from every worker. For a silent worker its last report counts. */
  async report(): Promise<void> {
    // A late report counts too: its requests are in no other one.
    const ask = (member: Member) => member.ask('report').then((report) => this.#take(member, report))
    await Promise.all(awake(this.configured).map((member) => soon(ask(member))))
    this.stats.prune()
  }

  /** Applies an action to a backend in every worker. Returns the results of those that answer in time. */
  async act(action: Action): Promise<number[]> {
    return answersOf(this.configured, 'act', action)
  }

  /** Sends the same order to those of some workers that are not silent. Returns the results of those that answer in time. */
  async askAll<K extends Kind>(members: readonly Member[], kind: K, ...given: Parameters<Orders[K]>): Answers<K> {
    return answersOf(awake(members), kind, ...given)
  }

  /** Workers that get a SIGTERM go on, as the whole group may have got it: the order to drain follows. */
  ignoreSignals(): void {
    this.#ignoresSignals = true
  }

  /** Drains all workers for up to `ms`. Resolves when all have ended. */
  async drain(ms: number): Promise<void> {
    this.#release()
    const timer = setTimeout(this.kill, Math.min(ms + GRACE_MS, LONGEST_MS))
    for (const member of this.#members) {
      if (member.isConfigured) member.ask('drain', ms).catch(() => undefined)
      else member.kill()
    }
    await Promise.all([...this.#members].map(({ gone }) => gone))
    clearTimeout(timer)
    clearInterval(this.#heart)
  }

  /** Kills all workers. */
  readonly kill = (): void => {
    this.#release()
    clearInterval(this.#heart)
    for (const member of this.#members) member.kill()
  }

  /** Workers that can be sent orders. */
  get configured(): Member[] {
    return [...this.#members].filter(({ isConfigured }) => isConfigured)
  }

  /** Stops replacing workers. */
  #release(): void {
    this.#isKept = false
    this.#isOver = true
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #create(number: number): Member {
    const member = new Member(number, this.#events)
    this.#members.add(member)
    void member.gone.then((how) => this.#left(member, how))
    return member
  }

  /** Starts a worker. Retries if it ends before it runs our code: a `pkill -HUP` to all processes can do that. */
  async #startFirst(number: number): Promise<Member> {
    for (let left = FIRST_TRIES - 1; ; left--) {
      const member = this.#create(number)
      try {
        await this.#admit(member)
        return member
      } catch (error) {
        if (!(error instanceof WorkerExited)) throw error
        const how = await member.gone
        // A worker that `kill` ended is not started again: it would outlive the failed start.
        if (this.#isOver || member.isBooted || left === 0) throw endedEarly(number, member.failure ?? how)
      }
    }
  }

  /** Ignores reports of an ended worker: its counts are final. */
  #take(member: Member, report: Report | undefined): void {
    if (report && this.#members.has(member)) this.stats.update(member, report)
  }

  async #admit(member: Member): Promise<void> {
    await this.#options.admit(member)
    member.isServing = true
  }

  #left(member: Member, how: string): void {
    this.#members.delete(member)
    this.stats.retire(member)
    this.#relay.forget(member)
    if (!this.#isKept) return
    if (![...this.#members].some(({ isServing }) => isServing)) this.#options.abandoned()
    if (member.isLeaving) return
    const { number, startedAt, failure = how } = member
    this.#replaceLater(number, performance.now() - startedAt, failure)
  }

  /** Kills workers that are stopped or in an endless loop, so that nothing waits for them forever. */
  #beat(): void {
    const { lostBeats, beatMs } = this.#options.settings
    for (const member of this.#members) {
      if (member.beat() > lostBeats) member.kill(`did not answer for ${(lostBeats * beatMs) / 1_000} s and was killed`)
    }
  }

  /** `uptime` in ms. */
  #replaceLater(number: number, uptime: number, how: string): void {
    const delay = this.#backoff.delayAfter(number, uptime)
    const when = delay < 1_000 ? '' : ` in ${delay / 1_000} s`
    this.#options.say(`worker ${number} ${how}; replacing it${when}`)
    this.#after(delay, () => this.#replace(number))
  }

  /** The worker keeps accepting clients until its replacement does. */
  #terminated(member: Member): void {
    if (this.#ignoresSignals) return
    // A second SIGTERM ends it at once.
    if (member.isLeaving) return member.kill()
    const { number } = member
    const drain = async () => {
      member.isServing = false
      const ms = this.#options.grace()
      const timer = setTimeout(() => member.kill(), Math.min(ms + GRACE_MS, LONGEST_MS))
      void member.gone.then(() => clearTimeout(timer))
      await member.ask('drain', ms).catch(() => undefined)
    }
    member.isLeaving = true
    if (!this.#isKept) return void drain()
    this.#after(SIGNAL_MS, async () => {
      member.isLeaving = !this.#ignoresSignals
      if (!member.isLeaving) return
      this.#options.say(`worker ${number} got SIGTERM; replacing it`)
      await this.#replace(number)
      await drain()
    })
  }

  /** Calls back after `ms`, unless the drain begins first. */
  #after(ms: number, act: () => Promise<void>): void {
    if (!this.#isKept) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      void act()
    }, ms)
    this.#timers.add(timer)
  }

  /** Resolves when the replacement serves or has failed. A failed one is replaced in turn. */
  async #replace(number: number): Promise<void> {
    this.restarts++
    let member: Member | undefined
    try {
      member = this.#create(number)
      await Promise.race([this.#admit(member), member.gone])
    } catch (error) {
      // Node throws if there is no memory for a process.
      if (!member) return this.#replaceLater(number, 0, `could not be started: ${messageOf(error)}`)
      if (error instanceof WorkerExited) return
      member.kill(`cannot start: ${messageOf(error)}`)
    }
  }
}

function endedEarly(number: number, how: string): Error {
  return new Error(`worker ${number} ${how} before all could serve`)
}

/** Node's arguments. --disable-sigusr1, where Node has it, keeps an early SIGUSR1 from opening the inspector. */
function execArgv(): string[] {
  const flag = '--disable-sigusr1'
  return process.allowedNodeEnvironmentFlags.has(flag) ? [...process.execArgv, flag] : process.execArgv
}
