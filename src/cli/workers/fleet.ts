import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../../proxy/index.ts'
import type { Io } from '../service/index.ts'
import { Gone, Member, type MemberEvents } from './member.ts'
import type { Action, Report } from './messages.ts'
import { News } from './news.ts'
import { Restarts } from './restart.ts'
import { Tally } from './tally.ts'

/** ms for a worker to tell of itself: one that is busy for longer is taken for as it was when it told last. */
const REPORT_MS = 1_000
/** ms past the time that a worker has to end in, before it is killed. */
const GRACE_MS = 5_000
/** ms before one that was told to end is replaced: all of us may have been told. */
const SIGNAL_MS = 100
const LONGEST_MS = 2 ** 31 - 1

export interface FleetOptions {
  count: number
  /** The arguments of the command. */
  argv: readonly string[]
  say: Io['say']
  /** ms that a worker has to end in. */
  grace(): number
  /** Has a worker start; resolves when it serves. */
  admit(member: Member): Promise<void>
}

/** So many workers, each of which is replaced when it ends. */
export class Fleet {
  readonly tally = new Tally()
  /** How many have taken the place of others. */
  restarts = 0
  readonly #options: FleetOptions
  readonly #members = new Set<Member>()
  readonly #news: News
  readonly #policy = new Restarts()
  readonly #timers = new Set<NodeJS.Timeout>()
  /** Who ends is replaced: not before all have started, nor at the end. */
  #isKept = false
  readonly #events: MemberEvents = {
    say: (member, line, about) => this.#news.hear(member, line, about),
    report: (member, report) => this.#take(member, report),
    told: (member) => this.#told(member),
  }

  constructor(options: FleetOptions) {
    this.#options = options
    this.#news = new News(options.say)
    const exec = fileURLToPath(new URL('main.js', import.meta.url))
    // Where workers share a socket, they accept by themselves. Handing each connection on costs as much again, and one
    // that is on its way to a worker that is killed would stay open for ever. Once all is set up it is too late to say so.
    if (!process.env.NODE_CLUSTER_SCHED_POLICY) cluster.schedulingPolicy = cluster.SCHED_NONE
    // 'advanced', as there are bytes and infinite numbers in what is sent.
    cluster.setupPrimary({ exec, args: [...options.argv], serialization: 'advanced' })
    process.on('exit', this.kill)
  }

  get count(): number {
    return this.#options.count
  }

  /** Those that are to go on: who has no config yet gets the one that is in force then. */
  get members(): Member[] {
    return this.#given.filter(({ isLeaving }) => !isLeaving)
  }

  get serving(): number {
    return [...this.#members].filter(({ isServing }) => isServing).length
  }

  /** Resolves when all serve. @throws {Error} of one line where one does not, or no longer */
  async start(): Promise<void> {
    const numbers = Array.from({ length: this.#options.count }, (_, i) => i + 1)
    const members = numbers.map((number) => this.#create(number))
    const isOneGone = Promise.race(members.map(({ gone, number }) => gone.then((how) => `worker ${number} ${how}`)))
    const ended = isOneGone.then((how) => {
      throw new Error(`${how} before all could serve`)
    })
    const admitted = members.map((member) =>
      this.#admit(member).catch((error: unknown) => (error instanceof Gone ? ended : Promise.reject(error))),
    )
    await Promise.race([ended, Promise.all(admitted)])
    this.#isKept = true
  }

  /** Has every worker tell what it knows of itself. Returns the texts of their metrics, where those are wanted. */
  async report(withMetrics: boolean): Promise<string[]> {
    const texts = await Promise.all(
      this.#given.map(async (member) => {
        const report = await soon(member.ask('report', { withMetrics }))
        if (!report) return undefined
        this.#take(member, report)
        // Who takes its place has the same label.
        return member.isLeaving ? undefined : report.metrics
      }),
    )
    return texts.filter((text) => text !== undefined)
  }

  /** Has every worker do something to a backend. Returns what each says that answers soon. */
  async act(action: Action, id: string): Promise<number[]> {
    const counts = await Promise.all(this.#given.map((member) => soon(member.ask('act', { action, id }))))
    return counts.filter((count) => count !== undefined)
  }

  /** Lets what is open end within so many ms. Resolves when no worker is left. */
  async drain(ms: number): Promise<void> {
    this.#release()
    const timer = setTimeout(this.kill, Math.min(ms + GRACE_MS, LONGEST_MS))
    for (const member of this.#members) {
      if (member.isGiven) member.ask('drain', ms).catch(() => undefined)
      else member.kill()
    }
    await Promise.all([...this.#members].map(({ gone }) => gone))
    clearTimeout(timer)
  }

  /** Ends all at once. */
  readonly kill = (): void => {
    this.#release()
    for (const member of this.#members) member.kill()
  }

  /** Those that take orders: to others they would be lost. */
  get #given(): Member[] {
    return [...this.#members].filter(({ isGiven }) => isGiven)
  }

  /** From now on, who ends has ended. */
  #release(): void {
    this.#isKept = false
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #create(number: number): Member {
    const member = new Member(number, this.#events)
    this.#members.add(member)
    void member.gone.then((how) => this.#left(member, how))
    return member
  }

  /** It may come late: what is gone has been counted. */
  #take(member: Member, report: Report): void {
    if (this.#members.has(member)) this.tally.update(member, report)
  }

  async #admit(member: Member): Promise<void> {
    await this.#options.admit(member)
    member.isServing = true
  }

  #left(member: Member, how: string): void {
    this.#members.delete(member)
    this.tally.retire(member)
    this.#news.forget(member)
    if (member.isLeaving || !this.#isKept) return
    const { number, bornAt, failure } = member
    this.#replaceLater(number, performance.now() - bornAt, failure === undefined ? how : `cannot start: ${failure}`)
  }

  /** After so short or long a life in ms. */
  #replaceLater(number: number, lifeMs: number, how: string): void {
    const delay = this.#policy.delayAfter(number, lifeMs)
    const when = delay < 1_000 ? '' : ` in ${delay / 1_000} s`
    this.#options.say(`worker ${number} ${how}; a new one takes its place${when}`)
    this.#after(delay, () => this.#replace(number))
  }

  /** It takes clients until another does. */
  #told(member: Member): void {
    const { number } = member
    const drain = async () => {
      member.isServing = false
      await member.ask('drain', this.#options.grace()).catch(() => undefined)
    }
    member.isLeaving = true
    if (!this.#isKept) return void drain()
    this.#after(SIGNAL_MS, async () => {
      this.#options.say(`worker ${number} was told to end; a new one takes its place`)
      await this.#replace(number)
      await drain()
    })
  }

  /** Unless all end before. */
  #after(ms: number, act: () => Promise<void>): void {
    if (!this.#isKept) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      void act()
    }, ms)
    this.#timers.add(timer)
  }

  /** Resolves when the new one serves, or has failed to: then there will be another. */
  async #replace(number: number): Promise<void> {
    this.restarts++
    let member: Member | undefined
    try {
      member = this.#create(number)
      await Promise.race([this.#admit(member), member.gone])
    } catch (error) {
      // Node throws where there is no memory for a process.
      if (!member) return this.#replaceLater(number, 0, `could not be started: ${messageOf(error)}`)
      if (!(error instanceof Gone)) member.failure = messageOf(error)
      member.kill()
    }
  }
}

/** Nothing, where it takes too long. */
async function soon<T>(answer: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), REPORT_MS).unref()
  })
  const first = await Promise.race([answer.catch(() => undefined), late])
  clearTimeout(timer)
  return first
}
