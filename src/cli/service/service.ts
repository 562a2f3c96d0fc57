import type net from 'node:net'
import type { KeyOf } from '../../index.ts'
import { AdminPage } from '../admin/index.ts'
import { type Config, poolsOf } from '../config/index.ts'
import type { ServiceCounters } from '../counters.ts'
import type { Change } from '../listening/index.ts'
import { type Io, standardIo, throttled } from '../output.ts'
import { withTimeout } from '../timeout.ts'
import { VERSION } from '../version.ts'
import { Admission } from './admission.ts'
import { readTargets, type Targets } from './backend-tls.ts'
import { ClientLimits } from './client-limits.ts'
import { DescriptorWatch } from './descriptors.ts'
import { FilesInForce } from './files-in-force.ts'
import { Generation } from './generation.ts'
import { Generations } from './generations.ts'
import { Listeners } from './listeners.ts'
import { LogFile } from './log-file.ts'
import { announceBackends } from './notices.ts'
import { type PoolOptions, Pools, poolOptions } from './pools.ts'
import { Reporting } from './reporting.ts'
import type { SharedContext } from './shared-context.ts'
import { TlsFiles } from './tls-files.ts'

/** ms for handshakes under way when a drain begins. A proxy gives silent connections the same. */
const HANDSHAKE_MS = 1_000

/** ms for the last lines of the access log. */
const LOG_MS = 1_000

/** `badass` in one process: listeners, balancers, proxy, admin page and log. A reload replaces the config. */
export class Service {
  readonly pools: Pools
  readonly #io: Io
  readonly #shared: SharedContext | undefined
  /** Reports a lack of local resources, at most one line in 10 s. */
  readonly #sayLack: (line: string) => void
  readonly #descriptors: DescriptorWatch
  readonly #listeners: Listeners
  readonly #admission: Admission
  readonly #limits: ClientLimits
  readonly #admin: AdminPage
  readonly #generations: Generations
  readonly files: FilesInForce
  /** The backends with the current contents of their certificate files. */
  #targets: Targets
  readonly #reporting: Reporting
  /** Reloads run one at a time. */
  #reloads: Promise<void> = Promise.resolve()
  #drain: Promise<void> | undefined
  #isEnding = false
  #isStopped = false
  /** Resolves when the access log has been written. */
  #written: Promise<void> = Promise.resolve()

  /** @throws {TypeError} if the config is invalid */
  private constructor(config: Config, targets: Targets, io: Io, shared: SharedContext | undefined) {
    this.#targets = targets
    this.#io = io
    this.#shared = shared
    this.#sayLack = throttled(io.say)
    this.#limits = new ClientLimits(io.say)
    this.files = new FilesInForce(io.say)
    this.#descriptors = new DescriptorWatch(this.#sayLack)
    this.pools = new Pools(this.#poolOptions(config), (balancer, prefix) => announceBackends(balancer, prefix, io.say))
    try {
      this.#generations = new Generations(this.#generation(config))
    } catch (error) {
      this.pools.close()
      throw error
    }
    this.#reporting = new Reporting(io, this.pools, (connection) => this.#generations.has(connection))
    const serve = (socket: net.Socket) => this.#current.serve(socket)
    this.#admission = new Admission({ serve, limits: this.#limits, say: io.say, ticketKeys: shared?.ticketKeys })
    this.#listeners = new Listeners({ accept: this.#accept, say: this.#sayLack }, shared?.reusePort)
    this.#admin = new AdminPage({
      balancer: this.pools,
      counters: () => this.counters,
      requests: () => this.#reporting.totals,
      isDraining: () => this.isEnding,
      inForce: () => ({ config: this.#current.config, listeners: this.#listeners.all() }),
      certificates: () => this.files.certificates,
      recent: () => this.recent,
      say: io.say,
      version: VERSION,
    })
  }

  /**
   * Resolves when it listens and each DNS name has been looked up once.
   * @throws {Error} with a one-line message; a TypeError or ConfigError if the config is at fault
   */
  static async start(config: Config, io: Io = standardIo(), shared?: SharedContext): Promise<Service> {
    const service = new Service(config, await readTargets(poolsOf(config)), io, shared)
    try {
      const { commit } = await service.#prepare(service.#current)
      commit()
      return service
    } catch (error) {
      service.stop()
      throw error
    }
  }

  /** URLs that it listens on: 'http://127.0.0.1:8080/', 'unix:/run/x.sock'. */
  get addresses(): string[] {
    return this.#listeners.all().map(({ url }) => url)
  }

  /** URL of the admin page, with its token if that was generated. */
  get adminUrl(): string | undefined {
    return this.#admin.url
  }

  /** The process is about to end. Before the drain, clients are still accepted. */
  get isEnding(): boolean {
    return this.#isEnding
  }

  /** ms to go on accepting clients after the signal to end. */
  get shutdownDelay(): number {
    return this.#current.config.shutdownDelay
  }

  /** ms that open connections have to end during a drain. */
  get grace(): number {
    return this.#current.config.grace
  }

  get requests(): Reporting['requests'] {
    return this.#reporting.requests
  }

  get recent(): Reporting['recent'] {
    return this.#reporting.recent
  }

  /** Counters since the start, across reloads. */
  get counters(): ServiceCounters {
    const own = { ...this.#admission.counters, ...this.#limits.counters, queued: this.pools.queued }
    return { ...this.#generations.counters, ...own }
  }

  /**
   * Puts another config in force. Open connections end as `drainConnections` describes, under their own config.
   * @throws {Error} with a one-line message; the old config then stays in force
   */
  async reload(config: Config): Promise<void> {
    const reloaded = this.#reloads.then(() => this.prepare(config)).then(({ commit }) => commit())
    this.#reloads = reloaded.catch(() => undefined)
    await reloaded
    // Outside the queue, so that a slow DNS name does not block the next reload, which may not contain it.
    await this.pools.resolved()
  }

  /**
   * Does the part of a reload that may fail, and changes nothing yet. Call it once at a time.
   * @throws {Error} with a one-line message
   */
  async prepare(config: Config): Promise<Change> {
    this.#checkRunning()
    return this.#prepare(this.#generation(config))
  }

  /** Opens the file of the access log again, after a rotation has renamed it. */
  async reopenLog(): Promise<void> {
    await this.#reporting.reopenLog()
  }

  /** Reports on /healthz that the process is about to end. Clients are still accepted. */
  announceEnd(): void {
    this.#isEnding = true
  }

  /** Stops accepting clients, and resets those left after `ms` (default: the config's grace). */
  async drain(ms = this.grace): Promise<void> {
    this.announceEnd()
    this.#drain ??= this.#drained(ms)
    return this.#drain
  }

  /** Ends everything at once. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#listeners.close()
    this.#descriptors.stop()
    this.files.stop()
    this.#generations.destroy()
    this.#admission.destroy()
    this.#written = this.#reporting.close()
    this.pools.close()
    this.#admin.close()
  }

  get #current(): Generation {
    return this.#generations.current
  }

  /** Does the part of a start or reload that may fail. The result commits or aborts it. */
  async #prepare(next: Generation): Promise<Change> {
    const { config } = next
    const undo: (() => void)[] = []
    const abort = () => {
      for (const one of undo) one()
    }
    try {
      const files = await this.#load(config)
      const log = config.logFile === undefined ? undefined : await LogFile.open(config.logFile, this.#io.say)
      undo.push(() => void log?.close())
      const admin = await this.#admin.change(config.admin)
      undo.push(admin.abort)
      if (next === this.#current) {
        // Start the admin page first, so that it shows the start-up.
        admin.commit()
        await this.pools.resolved()
        if (this.#shared) this.pools.restore(this.#shared)
        // Clients of the first listener may come before the last one listens.
        this.#admission.use(files.certificates, config)
      }
      const listeners = await this.#listeners.change(config.listen)
      undo.push(listeners.abort)
      const commit = () => {
        try {
          this.#checkRunning()
          // First, because it changes nothing if it fails.
          this.#update(config, files.targets)
        } catch (error) {
          abort()
          throw error
        }
        if (next !== this.#current) admin.commit()
        listeners.commit()
        this.#admission.use(files.certificates, config)
        this.files.use(files)
        this.#generations.succeed(next, () => this.pools.closeRemoved())
        this.#reporting.use(config, log)
      }
      return { commit, abort }
    } catch (error) {
      abort()
      throw error
    }
  }

  async #load(config: Config): Promise<TlsFiles> {
    return TlsFiles.load(config, this.#io.say, {
      certificates: (renewed) => this.#admission.use(renewed, config),
      targets: (renewed) => this.#update(config, renewed),
    })
  }

  /** Updates the pools' backends. @throws {TypeError} before anything has changed */
  #update(config: Config, targets: Targets): void {
    const former = this.#targets
    this.#targets = targets
    try {
      this.pools.update(this.#poolOptions(config))
    } catch (error) {
      this.#targets = former
      throw error
    }
  }

  readonly #accept = (socket: net.Socket, isTls: boolean): void => {
    this.#descriptors.taken()
    this.#admission.take(socket, isTls)
  }

  async #drained(ms: number): Promise<void> {
    const start = performance.now()
    await this.#listeners.finish()
    await this.#admission.settled(Math.min(ms, HANDSHAKE_MS))
    const left = Math.max(0, ms - (performance.now() - start))
    await this.#generations.drain(left)
    this.stop()
    await withTimeout(this.#written, LOG_MS, () => undefined)
  }

  #generation(config: Config): Generation {
    return new Generation(config, {
      pools: this.pools,
      limits: this.#limits,
      requested: (head, client, known) => this.#reporting.request(head, client, known),
      sayLack: this.#sayLack,
    })
  }

  #poolOptions(config: Config): PoolOptions {
    // The client's address depends on the `trust` of the config in force.
    const clientAddress: KeyOf = (head, client) => this.#current.forwarded.clientAddress(head, client)
    return poolOptions(config, this.#targets, clientAddress)
  }

  #checkRunning(): void {
    if (this.#isStopped || this.isEnding) throw new Error('the service is about to end')
  }
}
