import type { BackendDetails, ProcessMetrics } from '../admin/index.ts'
import { type Config, ConfigError, type PoolSettings, readArguments } from '../config/index.ts'
import { counted, exit } from '../exit.ts'
import type { Change } from '../listening/index.ts'
import { lineByLine, Output } from '../output.ts'
import type { RequestLists } from '../recent-requests.ts'
import { Service } from '../service/index.ts'
import { TaskQueue } from '../task-queue.ts'
import { withTimeout } from '../timeout.ts'
import {
  failureOf,
  type Given,
  type Kind,
  type Message,
  type Order,
  type Report,
  type Result,
  type Settings,
  type Start,
} from './messages.ts'
import { shareOfLimits, shareOfPool } from './share.ts'

/** ms to write out the access log at the end. */
const LINGER_MS = 1_000

type Handlers = { [K in Kind]: (given: Given<K>) => Result<K> | Promise<Result<K>> }

/** A process that serves clients. It follows the orders of its primary and ends with it. */
export class Worker {
  readonly #argv: readonly string[]
  readonly #stdout = lineByLine(process.stdout)
  /** The access log. */
  #lines: Output | undefined
  #identity: Pick<Start, 'number' | 'count' | 'loadMs'> = { number: 1, count: 1, loadMs: 0 }
  #service: Service | undefined
  /** Starts, reloads and actions on backends run one at a time. */
  readonly #tasks = new TaskQueue()
  #change: Change | undefined

  constructor(argv: readonly string[]) {
    this.#argv = argv
    process.on('SIGTERM', () => this.#terminate())
    process.on('SIGUSR1', () => void this.#service?.reopenLog())
    // The primary has ended. Before Node's own listener: its process.exit() may hang.
    process.prependListener('disconnect', () => exit(0))
    process.on('message', (order: Order) => void this.#obey(order))
    post({ kind: 'ready' })
  }

  readonly #handlers: Handlers = {
    start: (given) => counted(this.#tasks.run(() => this.#start(given))),
    prepare: (settings) => counted(this.#tasks.run(() => this.#prepare(settings))),
    commit: () => this.#takeChange()?.commit(),
    abort: () => this.#takeChange()?.abort(),
    resolve: () => this.#service?.pools.resolved(),
    drain: (ms) => this.#leave(ms),
    act: (given) => this.#tasks.run(() => this.#act(given)),
    details: (id) => this.#details(id),
    report: () => this.#report(),
    metrics: () => this.#metrics(),
    certificates: () => this.#service?.files.certificates ?? [],
    recent: () => this.#recent(),
    reopenLog: () => this.#service?.reopenLog(),
    ping: () => undefined,
  }

  async #obey<K extends Order['kind']>({ id, kind, given }: Order & { kind: K }): Promise<void> {
    try {
      post({ kind: 'done', id, result: await this.#handlers[kind as K](given as Given<K>) })
    } catch (error) {
      post({ kind: 'failed', id, failure: failureOf(error) })
    }
  }

  async #start({ number, count, loadMs, ticketKeys, reusePort, drained, weights, ...settings }: Start): Promise<void> {
    this.#identity = { number, count, loadMs }
    const say = (line: string, about?: string) => post({ kind: 'say', line, about })
    this.#lines = new Output(this.#stdout, say)
    const log = this.#lines.writeSoon
    this.#service = await Service.start(
      await this.#configOf(settings),
      { log, say },
      { ticketKeys, reusePort, drained, weights },
    )
  }

  /** Without a service the worker failed to start: its replacement gets the new config. */
  async #prepare(settings: Settings): Promise<void> {
    this.#change = await this.#service?.prepare(await this.#configOf(settings))
  }

  /** Forgets the change: the next reload may be aborted before it is prepared here. */
  #takeChange(): Change | undefined {
    const change = this.#change
    this.#change = undefined
    return change
  }

  async #configOf({ config, hasHooks }: Settings): Promise<Config> {
    const { number, count } = this.#identity
    const share = <P extends PoolSettings>(pool: P): P => shareOfPool(pool, number, count)
    const limits = shareOfLimits(config, number, count)
    const routing = config.routing && { routing: { ...config.routing, pools: config.routing.pools.map(share) } }
    return { ...share(config), ...routing, ...limits, hooks: hasHooks ? await this.#loadHooks() : {} }
  }

  async #loadHooks(): Promise<Config['hooks']> {
    const request = readArguments(this.#argv)
    if (request.kind !== 'run') return {}
    // A worker that waited forever would take no other order.
    const { loadMs } = this.#identity
    const config = await withTimeout(request.load(), loadMs, () => {
      throw new ConfigError(
        `--config: did not load within ${loadMs / 1_000} s in a worker (a top-level await or a file read never settled)`,
      )
    })
    return config.hooks
  }

  #act(given: Given<'act'>): number {
    const pools = this.#service?.pools
    if (!pools?.has(given.id)) return 0
    if (given.action !== 'setWeight') return pools[given.action](given.id) ?? 0
    pools.setWeight(given.id, given.weight)
    return 0
  }

  #details(id: string): BackendDetails | null {
    const pools = this.#service?.pools
    if (!pools?.has(id)) return null
    const { number: worker } = this.#identity
    const { checks, transitions, ...rest } = pools.details(id)
    const label = <T extends object>(entries: readonly T[]) => entries.map((entry) => ({ ...entry, worker }))
    return { ...rest, checks: label(checks), transitions: label(transitions) }
  }

  #recent(): RequestLists | undefined {
    const { number: worker } = this.#identity
    const lists = this.#service?.recent
    const labelled = (all: RequestLists['failed']) => all.map((entry) => ({ ...entry, worker }))
    return lists && { slowest: labelled(lists.slowest), failed: labelled(lists.failed) }
  }

  #report(): Report | undefined {
    if (!this.#service) return undefined
    const { counters, pools, requests } = this.#service
    return { counters, backends: pools.backends, removed: pools.removed, requests: requests.take() }
  }

  async #metrics(): Promise<ProcessMetrics> {
    // The library takes time to load, so only a scrape loads it.
    const { processMetrics } = await import('../admin/process.ts')
    return processMetrics(String(this.#identity.number))
  }

  /** On SIGTERM: only the primary knows whether the whole group got it. */
  #terminate(): void {
    if (!this.#service) exit(0)
    post({ kind: 'terminated' })
  }

  async #leave(ms: number): Promise<void> {
    await this.#service?.drain(ms)
    const report = this.#report()
    const end = () => exit(0)
    setTimeout(end, LINGER_MS)
    this.#lines?.flush()
    this.#stdout.write('', () => (report ? post({ kind: 'report', report }, end) : end()))
  }
}

/** Without a channel the primary has ended, and this process is about to. */
function post(message: Message, sent: () => void = () => undefined): void {
  if (process.connected) process.send!(message, undefined, undefined, sent)
  else sent()
}
