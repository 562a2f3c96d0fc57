import { type Config, readArguments } from '../config/index.ts'
import { type Change, lineByLine, Output, Service } from '../service/index.ts'
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
import { portionOf } from './share.ts'
import { Turns } from './turns.ts'

/** ms for the access log to be written when all else is over. */
const LINGER_MS = 1_000

type Handlers = { [K in Kind]: (given: Given<K>) => Result<K> | Promise<Result<K>> }

/** One of several processes that serve. It does what its primary says, and ends with it. */
export class Worker {
  readonly #argv: readonly string[]
  readonly #stdout = lineByLine(process.stdout)
  #given: Pick<Start, 'number' | 'count'> = { number: 1, count: 1 }
  #service: Service | undefined
  /** A start, a reload that is being prepared, what is done to backends: one after the other. */
  readonly #turns = new Turns()
  #change: Change | undefined
  #wasTold = false

  constructor(argv: readonly string[]) {
    this.#argv = argv
    process.on('SIGTERM', () => this.#terminate())
    process.on('message', (order: Order) => void this.#obey(order))
    post({ kind: 'ready' })
  }

  readonly #handlers: Handlers = {
    start: (given) => this.#turns.take(() => this.#start(given)),
    prepare: (settings) => this.#turns.take(() => this.#prepare(settings)),
    commit: () => this.#takeChange()?.commit(),
    abort: () => this.#takeChange()?.abort(),
    resolve: () => this.#service?.balancer.resolved(),
    drain: (ms) => this.#leave(ms),
    act: (given) => this.#turns.take(() => this.#act(given)),
    report: ({ withMetrics }) => this.#report(withMetrics),
  }

  async #obey<K extends Order['kind']>({ id, kind, given }: Order & { kind: K }): Promise<void> {
    try {
      post({ kind: 'done', id, result: await this.#handlers[kind as K](given as Given<K>) })
    } catch (error) {
      post({ kind: 'failed', id, failure: failureOf(error) })
    }
  }

  async #start({ number, count, ticketKeys, reusePort, drained, ...settings }: Start): Promise<void> {
    this.#given = { number, count }
    const say = (line: string, about?: string) => post({ kind: 'say', line, about })
    const { write: log } = new Output(this.#stdout, say)
    this.#service = await Service.start(
      await this.#configOf(settings),
      { log, say },
      { ticketKeys, reusePort, drained },
    )
  }

  /** One that could not start is about to be replaced, by one that has the config in force then. */
  async #prepare(settings: Settings): Promise<void> {
    this.#change = await this.#service?.prepare(await this.#configOf(settings))
  }

  /** Once only: the next reload may be given up before it is prepared here. */
  #takeChange(): Change | undefined {
    const change = this.#change
    this.#change = undefined
    return change
  }

  async #configOf({ config, hasHooks }: Settings): Promise<Config> {
    const { number, count } = this.#given
    const backends = config.backends.map((target) => portionOf(target, number, count))
    return { ...config, backends, hooks: hasHooks ? await this.#loadHooks() : {} }
  }

  async #loadHooks(): Promise<Config['hooks']> {
    const request = readArguments(this.#argv)
    return request.kind === 'run' ? (await request.load()).hooks : {}
  }

  #act({ action, id }: Given<'act'>): number {
    const balancer = this.#service?.balancer
    return balancer?.backends.some((backend) => backend.id === id) ? (balancer[action](id) ?? 0) : 0
  }

  async #report(withMetrics: boolean): Promise<Report | undefined> {
    // Its library takes time to load: not where nobody asks.
    const metrics = withMetrics ? await import('../admin/process.ts') : undefined
    const text = await metrics?.processMetrics(String(this.#given.number))
    const service = this.#service
    return service && { counters: service.counters, backends: service.balancer.backends, metrics: text }
  }

  /** A signal to this process alone, or to all of the group: the primary knows. A second one ends it at once. */
  #terminate(): void {
    if (this.#wasTold || !this.#service) process.exit(0)
    this.#wasTold = true
    post({ kind: 'told' })
  }

  async #leave(ms: number): Promise<void> {
    await this.#service?.drain(ms)
    const report = await this.#report(false)
    const exit = () => process.exit(0)
    setTimeout(exit, LINGER_MS)
    this.#stdout.write('', () => (report ? post({ kind: 'report', report }, exit) : exit()))
  }
}

/** Without a channel the primary is gone, and this process about to end. */
function post(message: Message, sent: () => void = () => undefined): void {
  if (process.connected) process.send!(message, undefined, undefined, sent)
  else sent()
}
