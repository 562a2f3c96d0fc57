import cluster from 'node:cluster'
import { type Address, type Config, ConfigError } from '../config/index.ts'
import { AdminPage, type Company, type Io, makeTicketKeys } from '../service/index.ts'
import { readVersion } from '../version.ts'
import { Fleet } from './fleet.ts'
import { Gone, type Member } from './member.ts'
import type { Orders, Settings } from './messages.ts'
import { Overview } from './overview.ts'
import { canReusePort, Places } from './places.ts'
import { Turns } from './turns.ts'

/** ms between two reports, where somebody may ask for what was counted: what a worker that dies counted since is lost. */
const REPORT_EVERY_MS = 5_000

/** What `badass` runs with several workers: it serves nobody itself, but sees to it that they do, as one. */
export class Primary {
  readonly #company: Pick<Company, 'ticketKeys' | 'reusePort'>
  readonly #places = new Places()
  readonly #fleet: Fleet
  readonly #overview: Overview
  readonly #admin: AdminPage
  readonly #timer: NodeJS.Timeout
  /** In force. */
  #config: Config
  /** Starts of workers and reloads, one after the other. */
  readonly #turns = new Turns()
  #drain: Promise<void> | undefined
  #isStopped = false

  private constructor(config: Config, argv: readonly string[], io: Io, reusePort: boolean) {
    this.#config = config
    this.#company = { ticketKeys: makeTicketKeys(), reusePort }
    this.#fleet = new Fleet({
      count: config.workers,
      argv,
      say: io.say,
      grace: () => this.grace,
      admit: (member) => this.#admit(member),
    })
    this.#overview = new Overview(this.#fleet)
    this.#admin = new AdminPage({
      balancer: this.#overview,
      counters: () => this.#fleet.tally.counters,
      isDraining: () => this.isDraining,
      version: readVersion(),
      workers: this.#overview,
    })
    this.#timer = setInterval(() => void (this.adminUrl && this.#fleet.report(false)), REPORT_EVERY_MS).unref()
  }

  /**
   * Resolves when all workers serve. `argv`: the arguments of the command, for those that load its hooks themselves.
   * @throws {Error} of one line where one cannot: a TypeError or a ConfigError where it is the config's fault
   */
  static async start(config: Config, argv: readonly string[], io: Io): Promise<Primary> {
    if (!cluster.isPrimary) throw new ConfigError('--workers: takes 1 where badass is a worker of a cluster itself')
    const primary = new Primary(config, argv, io, await canReusePort())
    try {
      // The page is there first: it can be seen what it waits for.
      const admin = await primary.#admin.change(config.admin)
      admin.commit()
      const places = await primary.#places.change(config.listen)
      places.commit()
      await primary.#fleet.start()
      return primary
    } catch (error) {
      primary.stop()
      throw error
    }
  }

  get addresses(): string[] {
    return this.#places.urls(this.#config.tls.length > 0 ? 'https' : 'http')
  }

  get adminUrl(): string | undefined {
    return this.#admin.url
  }

  get isDraining(): boolean {
    return this.#drain !== undefined
  }

  get grace(): number {
    return this.#config.grace
  }

  /**
   * Puts another config in force, in all workers or in none.
   * @throws {Error} of one line; then the config before stays in force, whole
   */
  async reload(config: Config): Promise<void> {
    await this.#turns.take(() => this.#reload(config))
    await Promise.all(this.#fleet.members.map((member) => unlessGone(member, member.ask('resolve'))))
  }

  /** Takes nobody new, and resets what has not ended after so many ms (default: the config's grace). Then all is over. */
  async drain(ms = this.grace): Promise<void> {
    this.#drain ??= this.#fleet.drain(ms).then(() => this.stop())
    return this.#drain
  }

  /** Ends everything at once. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    clearInterval(this.#timer)
    this.#fleet.kill()
    this.#admin.close()
  }

  async #reload(config: Config): Promise<void> {
    this.#checkRunning()
    const admin = await this.#admin.change(config.admin)
    const { members } = this.#fleet
    const ask = <K extends 'prepare' | 'commit' | 'abort'>(kind: K, ...given: Parameters<Orders[K]>) =>
      Promise.allSettled(members.map((member) => unlessGone(member, member.ask(kind, ...given))))
    let places: Awaited<ReturnType<Places['change']>>
    try {
      places = await this.#places.change(config.listen)
      const results = await ask('prepare', settingsOf(config, places.addresses))
      this.#checkRunning()
      const failed = results.find((result) => result.status === 'rejected')
      if (failed) throw failed.reason
    } catch (error) {
      admin.abort()
      await ask('abort')
      throw error
    }
    admin.commit()
    places.commit()
    this.#config = config
    const results = await ask('commit')
    // It is replaced by one that has the config.
    for (const [i, { status }] of results.entries()) if (status === 'rejected') members[i]!.kill()
    await this.#overview.prune()
  }

  /** Gives a worker the config in force, which no reload is about to change. */
  async #admit(member: Member): Promise<void> {
    await member.ready
    const started = await this.#turns.take(() => {
      member.isGiven = true
      return {
        // In an object: whoever is next in turn does not wait for it.
        answer: member.ask('start', {
          ...settingsOf(this.#config, this.#places.addresses),
          ...this.#company,
          drained: [...this.#overview.drained],
          number: member.number,
          count: this.#fleet.count,
        }),
      }
    })
    await started.answer
  }

  #checkRunning(): void {
    if (this.#isStopped || this.isDraining) throw new Error('the service is about to end')
  }
}

function settingsOf({ hooks, ...config }: Config, listen: Address[]): Settings {
  return { config: { ...config, listen, admin: undefined }, hasHooks: Object.keys(hooks).length > 0 }
}

/** Who ends, or is about to, is replaced by one that has the config in force: what it says of this one is no matter. */
async function unlessGone(member: Member, answer: Promise<void>): Promise<void> {
  try {
    await answer
  } catch (error) {
    if (!(error instanceof Gone || member.isLeaving)) throw error
  }
}
