import cluster from 'node:cluster'
import { AdminPage } from '../admin/index.ts'
import { type Address, type Config, ConfigError } from '../config/index.ts'
import { exit } from '../exit.ts'
import type { Io } from '../output.ts'
import { makeTicketKeys, type SharedContext } from '../service/index.ts'
import { TaskQueue } from '../task-queue.ts'
import { VERSION } from '../version.ts'
import { canReusePort, SharedAddresses } from './addresses.ts'
import { Fleet } from './fleet.ts'
import { type Member, WorkerExited } from './member.ts'
import { type Orders, PortTaken, type Settings } from './messages.ts'
import { Overview } from './overview.ts'
import { WORKER_SETTINGS, type WorkerSettings } from './settings.ts'

/** Attempts to start on a port that the system chooses. */
const PORT_TRIES = 5

/** `badass` with several workers: starts, reloads, drains and replaces them. It serves no clients itself. */
export class Primary {
  readonly #shared: Pick<SharedContext, 'ticketKeys' | 'reusePort'>
  readonly #settings: WorkerSettings
  readonly #addresses = new SharedAddresses()
  readonly #fleet: Fleet
  readonly #overview: Overview
  readonly #admin: AdminPage
  /** The config in force. */
  #config: Config
  /** Worker starts and reloads run one at a time. */
  readonly #tasks = new TaskQueue()
  #drain: Promise<void> | undefined
  #isEnding = false
  #isStopped = false

  private constructor(config: Config, argv: readonly string[], io: Io, settings: WorkerSettings, reusePort: boolean) {
    this.#config = config
    this.#settings = settings
    this.#shared = { ticketKeys: makeTicketKeys(), reusePort }
    this.#fleet = new Fleet({
      count: config.workers,
      argv,
      say: io.say,
      grace: () => this.grace,
      admit: (member) => this.#admit(member),
      abandoned: () => this.#checkDescriptors(io.say),
      settings,
    })
    this.#overview = new Overview(this.#fleet)
    this.#admin = new AdminPage({
      balancer: this.#overview,
      counters: () => this.#fleet.stats.counters,
      requests: () => this.#fleet.stats.requests,
      isDraining: () => this.isEnding,
      inForce: () => ({ config: this.#config, listeners: this.#addresses.all() }),
      certificates: () => this.#overview.certificates(),
      recent: () => (this.#config.admin?.requests ? this.#overview.recent() : undefined),
      say: io.say,
      version: VERSION,
      workers: this.#overview,
    })
  }

  /**
   * Resolves when all workers serve. `argv`: the arguments of the command, from which workers load the hooks.
   * @throws {Error} with a one-line message; a TypeError or ConfigError if the config is at fault
   */
  static async start(
    config: Config,
    argv: readonly string[],
    io: Io,
    settings: WorkerSettings = WORKER_SETTINGS,
  ): Promise<Primary> {
    if (!cluster.isPrimary) throw new ConfigError('--workers: expected 1, as badass runs as a cluster worker itself')
    const reusePort = await canReusePort()
    for (let left = PORT_TRIES - 1; ; left--) {
      const primary = new Primary(config, argv, io, settings, reusePort)
      try {
        await primary.#start()
        return primary
      } catch (error) {
        primary.stop()
        // Port 0: another program may take the port that the system chose before a worker listens there.
        const isOfSystem = config.listen.some((address) => 'port' in address && address.port === 0)
        if (left === 0 || !isOfSystem || !(error instanceof PortTaken)) throw error
      }
    }
  }

  async #start(): Promise<void> {
    // Start the admin page first, so that it shows the start-up.
    const admin = await this.#admin.change(this.#config.admin)
    admin.commit()
    const listening = await this.#addresses.change(this.#config.listen)
    listening.commit()
    await this.#fleet.start()
  }

  get addresses(): string[] {
    return this.#addresses.all().map(({ url }) => url)
  }

  get adminUrl(): string | undefined {
    return this.#admin.url
  }

  /** The process is about to end. Before the drain, clients are still accepted. */
  get isEnding(): boolean {
    return this.#isEnding
  }

  /** ms to go on accepting clients after the signal to end. */
  get shutdownDelay(): number {
    return this.#config.shutdownDelay
  }

  get grace(): number {
    return this.#config.grace
  }

  /**
   * Puts another config in force, in all workers or in none.
   * @throws {Error} with a one-line message; the old config then stays in force
   */
  async reload(config: Config): Promise<void> {
    await this.#tasks.run(() => this.#reload(config))
    await Promise.all(this.#fleet.members.map((member) => unlessGone(member, member.ask('resolve'))))
  }

  /** Opens the file of the access log again, in all workers. */
  async reopenLog(): Promise<void> {
    await Promise.all(this.#fleet.members.map((member) => unlessGone(member, member.ask('reopenLog'))))
  }

  /** Reports on /healthz that the process is about to end. Clients are still accepted. */
  announceEnd(): void {
    this.#isEnding = true
    this.#fleet.ignoreSignals()
  }

  /** Stops accepting clients, and resets those left after `ms` (default: the config's grace). */
  async drain(ms = this.grace): Promise<void> {
    this.#isEnding = true
    this.#addresses.retract()
    this.#drain ??= this.#fleet.drain(ms).then(() => this.stop())
    return this.#drain
  }

  /** Ends everything at once. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#addresses.retract()
    this.#fleet.kill()
    this.#admin.close()
  }

  async #reload(config: Config): Promise<void> {
    this.#checkRunning()
    const admin = await this.#admin.change(config.admin)
    const { members } = this.#fleet
    const ask = <K extends 'prepare' | 'commit' | 'abort'>(kind: K, ...given: Parameters<Orders[K]>) =>
      Promise.allSettled(
        members.map((member) => unlessGone(member, member.askOrKill(this.#settings.answerMs, kind, ...given))),
      )
    let listening: Awaited<ReturnType<SharedAddresses['change']>> | undefined
    try {
      listening = await this.#addresses.change(config.listen)
      const results = await ask('prepare', settingsOf(config, listening.addresses))
      this.#checkRunning()
      const failed = results.find((result) => result.status === 'rejected')
      if (failed) throw failed.reason
      listening.publish()
    } catch (error) {
      admin.abort()
      listening?.abort()
      await ask('abort')
      throw error
    }
    admin.commit()
    listening.commit()
    this.#config = config
    const results = await ask('commit')
    // Its replacement gets the new config.
    for (const [i, { status }] of results.entries()) if (status === 'rejected') members[i]!.kill()
    await this.#overview.prune()
  }

  /** Sends the config in force to a worker. No reload runs meanwhile. */
  async #admit(member: Member): Promise<void> {
    await Promise.race([member.ready, member.gone])
    const started = await this.#tasks.run(() => {
      member.isConfigured = true
      return {
        // In an object, so that the queue does not wait for the answer.
        answer: member.ask('start', {
          ...settingsOf(this.#config, this.#addresses.addresses),
          ...this.#shared,
          drained: [...this.#overview.drained],
          weights: this.#overview.weights,
          number: member.number,
          count: this.#fleet.count,
          loadMs: this.#settings.loadMs,
        }),
      }
    })
    await started.answer
    this.#addresses.publish()
  }

  /** The last worker has closed the descriptors of this process. The service manager still has the sockets. */
  #checkDescriptors(say: Io['say']): void {
    if (!this.#config.listen.some((address) => 'fd' in address)) return
    say('all workers have ended, and with them the passed sockets: exiting, to be started with them again')
    exit(1)
  }

  #checkRunning(): void {
    if (this.#isStopped || this.isEnding) throw new Error('the service is about to end')
  }
}

function settingsOf({ hooks, ...config }: Config, listen: Address[]): Settings {
  const { admin } = config
  const own = { admin: undefined, countsRequests: admin !== undefined, recordsRequests: admin?.requests === true }
  return { config: { ...config, ...own, listen }, hasHooks: Object.keys(hooks).length > 0 }
}

/** Ignores errors of workers that have ended or are leaving: their replacements get the config in force. */
async function unlessGone(member: Member, answer: Promise<void>): Promise<void> {
  try {
    await answer
  } catch (error) {
    if (!(error instanceof WorkerExited || member.isLeaving)) throw error
  }
}
