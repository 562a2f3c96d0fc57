import type net from 'node:net'
import { type Balancer, type BalancerOptions, type Connection, type Counters, createBalancer } from '../../index.ts'
import { addUp } from '../../proxy/index.ts'
import type { Config } from '../config/index.ts'
import { readVersion } from '../version.ts'
import { AdminPage } from './admin-page.ts'
import { type Certificates, CertificateWatch } from './certificates.ts'
import { DescriptorWatch } from './descriptors.ts'
import { Generation } from './generation.ts'
import { type Change, Listeners } from './listeners.ts'
import { AccessLog } from './log.ts'
import { tellOf, tellOfRefusals } from './news.ts'
import { type Io, sparingly, standardIo } from './output.ts'
import { Terminator } from './terminator.ts'

/** ms for handshakes under way when a drain begins: as a proxy gives those who have connected and said nothing. */
const HANDSHAKE_MS = 1_000

/** What a service has in common with others that serve the same clients beside it. */
export interface Company {
  readonly ticketKeys: Buffer
  /** Each listens by itself, on the same ports. Without, on what a cluster's workers share. */
  readonly reusePort: boolean
  /** Ids of the backends that drain when it starts. */
  readonly drained: readonly string[]
}

/** What `badass` runs: listeners, a balancer and a proxy of one config after the other, an admin page, a log. */
export class Service {
  readonly balancer: Balancer
  readonly #io: Io
  readonly #company: Company | undefined
  /** What this machine lacks: one line, whoever meets it. */
  readonly #sayLack: (line: string) => void
  readonly #descriptors: DescriptorWatch
  readonly #listeners: Listeners
  readonly #terminator: Terminator
  readonly #admin: AdminPage
  #current: Generation
  /** Those before it whose connections have not all closed. */
  readonly #former = new Set<Generation>()
  /** What those have counted that are gone. */
  #counted = addUp([])
  #watch: CertificateWatch | undefined
  #log: AccessLog | undefined
  /** Ends what is told of PROXY headers, where there are any. */
  #hush: (() => void) | undefined
  /** Reloads, one after the other. */
  #reloads: Promise<void> = Promise.resolve()
  #drain: Promise<void> | undefined
  #isStopped = false

  /** @throws {TypeError} on what the config has wrong */
  private constructor(config: Config, io: Io, company: Company | undefined) {
    this.#io = io
    this.#company = company
    this.#sayLack = sparingly(io.say)
    this.#descriptors = new DescriptorWatch(this.#sayLack)
    this.balancer = createBalancer(this.#balancerOptions(config))
    try {
      this.#current = this.#generation(config)
    } catch (error) {
      this.balancer.close()
      throw error
    }
    tellOf(this.balancer, io.say)
    this.#terminator = new Terminator((socket) => this.#current.serve(socket), company?.ticketKeys)
    this.#listeners = new Listeners(
      { accept: (socket) => this.#accept(socket), say: this.#sayLack },
      company?.reusePort,
    )
    this.#admin = new AdminPage({
      balancer: this.balancer,
      counters: () => this.counters,
      isDraining: () => this.isDraining,
      version: readVersion(),
    })
  }

  /**
   * Resolves when it listens, and each name of the DNS has been looked up once.
   * @throws {Error} of one line where it cannot: a TypeError or a ConfigError where it is the config's fault
   */
  static async start(config: Config, io: Io = standardIo(), company?: Company): Promise<Service> {
    const service = new Service(config, io, company)
    try {
      const { commit } = await service.#prepare(service.#current)
      commit()
      return service
    } catch (error) {
      service.stop()
      throw error
    }
  }

  /** Where it listens: 'http://127.0.0.1:8080/', 'unix:/run/x.sock'. */
  get addresses(): string[] {
    return this.#listeners.urls(this.#current.config.tls.length > 0 ? 'https' : 'http')
  }

  /** Where the admin page is, with its token where that was made here. */
  get adminUrl(): string | undefined {
    return this.#admin.url
  }

  get isDraining(): boolean {
    return this.#drain !== undefined
  }

  /** ms that open connections have to end in, when it drains. */
  get grace(): number {
    return this.#current.config.grace
  }

  /** What has happened since the start, over all reloads. */
  get counters(): Counters {
    return addUp([this.#counted, ...[...this.#generations].map(({ proxy }) => proxy.counters)])
  }

  /**
   * Puts another config in force; what is open stays open, under the one that it came under.
   * @throws {Error} of one line; then the config before stays in force, whole
   */
  async reload(config: Config): Promise<void> {
    const reloaded = this.#reloads.then(() => this.prepare(config)).then(({ commit }) => commit())
    this.#reloads = reloaded.catch(() => undefined)
    await reloaded
    // A name that takes long to be looked up does not hold up the next reload, which may be without it.
    await this.balancer.resolved()
  }

  /**
   * Does all of a reload that may fail, and changes nothing yet. One after the other.
   * @throws {Error} of one line
   */
  async prepare(config: Config): Promise<Change> {
    this.#checkRunning()
    return this.#prepare(this.#generation(config))
  }

  /** Takes nobody new, and resets what has not ended after so many ms (default: the config's grace). Then all is over. */
  async drain(ms = this.grace): Promise<void> {
    this.#drain ??= this.#drained(ms)
    return this.#drain
  }

  /** Ends everything at once. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#listeners.close()
    this.#descriptors.stop()
    this.#watch?.stop()
    for (const generation of this.#generations) generation.destroy()
    this.#terminator.destroy()
    this.#log?.close()
    this.#hush?.()
    this.balancer.close()
    this.#admin.close()
  }

  get #generations(): Set<Generation> {
    return new Set([...this.#former, this.#current])
  }

  /** Does all of a start or a reload that may fail; what is returned does the rest, or undoes it. */
  async #prepare(next: Generation): Promise<Change> {
    const { config } = next
    const undo: (() => void)[] = []
    const abort = () => {
      for (const one of undo) one()
    }
    try {
      const tls = config.tls.length > 0 ? await this.#loadCertificates(config) : undefined
      const admin = await this.#admin.change(config.admin)
      undo.push(admin.abort)
      if (next === this.#current) {
        // The page is there first: it can be seen what it waits for.
        admin.commit()
        await this.balancer.resolved()
        this.#drainAsOthers()
      }
      const listeners = await this.#listeners.change(config.listen)
      undo.push(listeners.abort)
      const commit = () => {
        try {
          this.#checkRunning()
          // First, as it changes nothing where it fails.
          if (next !== this.#current) this.balancer.update(this.#balancerOptions(config))
        } catch (error) {
          abort()
          throw error
        }
        if (next !== this.#current) admin.commit()
        listeners.commit()
        this.#watch?.stop()
        this.#watch = tls?.watch
        this.#terminator.use(tls?.certificates, beforeTls(config))
        tls?.watch.start()
        this.#succeed(next)
      }
      return { commit, abort }
    } catch (error) {
      abort()
      throw error
    }
  }

  #drainAsOthers(): void {
    const known = new Set(this.balancer.backends.map(({ id }) => id))
    for (const id of this.#company?.drained ?? []) if (known.has(id)) this.balancer.drain(id)
  }

  /** From now on, who comes is served by this one. */
  #succeed(next: Generation): void {
    const former = this.#current
    this.#current = next
    if (former !== next) this.#retire(former)
    const { log, proxyProtocol } = next.config
    if (proxyProtocol) this.#hush ??= tellOfRefusals((connection) => this.#isOurs(connection), this.#io.say)
    if (log === 'none') {
      this.#log?.close()
      this.#log = undefined
    } else if (this.#log) {
      this.#log.format = log
    } else {
      this.#log = new AccessLog(log, (connection) => this.#isOurs(connection), this.#io.log)
    }
  }

  #retire(former: Generation): void {
    this.#former.add(former)
    former.whenIdle(() => {
      this.#counted = addUp([this.#counted, former.proxy.counters])
      this.#former.delete(former)
    })
  }

  async #loadCertificates(config: Config): Promise<{ watch: CertificateWatch; certificates: Certificates }> {
    const { say } = this.#io
    const [watch, certificates] = await CertificateWatch.load(config.tls, {
      changed: (renewed) => {
        this.#terminator.use(renewed, beforeTls(config))
        say('certificates have changed: the new ones are in use')
      },
      failed: (error) => say(`certificates have changed, and those before stay in use: ${error.message}`),
    })
    return { watch, certificates }
  }

  #accept(socket: net.Socket): void {
    this.#descriptors.taken()
    if (!this.#terminator.take(socket)) this.#current.serve(socket)
  }

  #isOurs(connection: Connection): boolean {
    return this.#current.has(connection)
  }

  async #drained(ms: number): Promise<void> {
    const start = performance.now()
    this.#listeners.close()
    await this.#terminator.settled(Math.min(ms, HANDSHAKE_MS))
    const left = Math.max(0, ms - (performance.now() - start))
    await Promise.all([...this.#generations].map(({ proxy }) => proxy.drain(left)))
    this.stop()
  }

  #generation(config: Config): Generation {
    return new Generation(config, {
      balancer: this.balancer,
      requested: (head, client) => this.#log?.request(head, client),
      say: this.#io.say,
      sayLack: this.#sayLack,
    })
  }

  #balancerOptions({ key, ...config }: Config): BalancerOptions {
    const { backends, algorithm, failover, health, backoff, secret, dns } = config
    return {
      backends,
      algorithm,
      failover,
      health,
      backoff,
      secret,
      dns,
      // Who a client is depends on whom the config of the day trusts.
      key: key === 'client' ? (head, client) => this.#current.forwarded.clientAddress(head, client) : key,
    }
  }

  #checkRunning(): void {
    if (this.#isStopped || this.isDraining) throw new Error('the service is about to end')
  }
}

function beforeTls({ limits, proxyProtocol }: Config) {
  return { headTimeout: limits.headTimeout, proxyProtocol }
}
