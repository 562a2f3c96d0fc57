import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Progress } from '../common/progress.ts'
import { figureOf, type Result } from '../report/results.ts'
import { type Backend, startBackend } from './backends/index.ts'
import { checkField } from './loads/ask.ts'
import type { Peer, Running, Sample, Workload } from './types.ts'
import { usageOf } from './usage.ts'

/** How the bench is run. */
export interface Plan {
  workloads: readonly Workload[]
  peers: readonly Peer[]
  nodes: readonly { path: string; version: string }[]
  rounds: number
  seconds: number
  isShort: boolean
  cpus: { peer: number; load: number }
  /** A folder for all that runs. */
  directory: string
  progress: Progress
}

/** A peer, as one Node runs it. */
interface Contender {
  name: string
  peer: Peer
  node: { path: string; version: string }
  directory: string
  running: Running | undefined
}

/** What one contender has done of a workload so far. */
interface Score {
  contender: Contender
  samples: (Sample & { cpu: number })[]
  version: string
  failed?: string
}

/** Seconds that a peer of Node's works before it is timed: V8 compiles for a new kind of work, and throws away, for thousands of units. */
const WARM_UP_S = 8
const SHORT_WARM_UP_S = 1

/** More than any round takes that comes to an end at all. */
const ROUND_LIMIT_S = 60

/** How many of the unit's own (µs, ms) make the CPU second or the byte that is measured. */
function scaleOf(unit: string): number {
  if (unit.startsWith('µs')) return 1e6
  if (unit.startsWith('ms')) return 1e3
  if (unit.startsWith('KB')) return 1e-3
  throw new RangeError(`an unknown unit: ${unit}`)
}

/** Every workload, each with rounds in which all peers take their turns: what disturbs, disturbs all of them. */
export class Runner {
  readonly #plan: Plan
  readonly #contenders: readonly Contender[]
  #backend: (Backend & { kind: Workload['backend'] }) | undefined

  constructor(plan: Plan) {
    this.#plan = plan
    this.#contenders = plan.peers.flatMap((peer) =>
      (peer.kind === 'native' ? plan.nodes.slice(0, 1) : plan.nodes).map((node) => {
        const name = plan.nodes.length > 1 && peer.kind !== 'native' ? `${peer.name} (Node ${node.version})` : peer.name
        return { name, peer, node, directory: join(plan.directory, name.replace(/\W+/g, '-')), running: undefined }
      }),
    )
  }

  async run(): Promise<Result[]> {
    const results: Result[] = []
    for (const workload of this.#plan.workloads) {
      await this.#useBackend(workload.backend)
      const scores = this.#contenders
        .filter(({ peer }) => isFor(peer, workload) && workload.suits(peer))
        .map((contender): Score => ({ contender, samples: [], version: '' }))
      for (const score of scores) await this.#prepare(workload, score)
      for (let round = 1; round <= this.#plan.rounds; round++) await this.#playRound(workload, scores, round)
      results.push(...scores.map((score) => resultOf(workload, score)))
    }
    await this.#useBackend(undefined)
    return results
  }

  async #useBackend(kind: Workload['backend'] | undefined): Promise<void> {
    if (this.#backend?.kind === kind) return
    for (const contender of this.#contenders) await stop(contender)
    await this.#backend?.stop()
    this.#backend = kind && { kind, ...(await startBackend(kind, join(this.#plan.directory, 'backend'))) }
  }

  /** Starts the peer and checks its answers, and has it warm. */
  async #prepare(workload: Workload, score: Score): Promise<void> {
    const { contender } = score
    this.#plan.progress.now(`${workload.name}: ${contender.name} is checked`)
    await this.#attempt(score, async () => {
      const running = await this.#start(contender)
      score.version = running.version
      await workload.check(running.port, contender.peer)
      await checkField(running.port, contender.peer)
      // What is native compiles nothing as it runs.
      if (workload.wantsWarmUp && contender.peer.kind !== 'native')
        await this.#measure(workload, contender, this.#plan.isShort ? SHORT_WARM_UP_S : WARM_UP_S)
    })
  }

  async #playRound(workload: Workload, scores: readonly Score[], round: number): Promise<void> {
    const { progress, rounds, seconds } = this.#plan
    const title = `${workload.name}, round ${round} of ${rounds}`
    const costs: string[] = []
    // Another one goes first each time: whoever does has what the round before has left of the machine.
    const first = (round - 1) % Math.max(1, scores.length)
    for (const score of [...scores.slice(first), ...scores.slice(0, first)]) {
      const { contender } = score
      if (score.failed) continue
      progress.now(`${title}: ${contender.name}`)
      await this.#attempt(score, async () => {
        if (workload.isFresh) await stop(contender)
        const sample = await this.#measure(workload, contender, seconds)
        score.samples.push(sample)
        if (!contender.peer.isBaseline) costs.push(`${contender.name} ${figureIn(workload, sample).toPrecision(3)}`)
      })
    }
    progress.done(`${title} (${workload.unit}): ${costs.join(', ')}`)
  }

  /** What fails says so in the results. The peer may be in any state then: it is started anew for the next workload. */
  async #attempt(score: Score, work: () => Promise<void>): Promise<void> {
    const { contender } = score
    const overdue = new AbortController()
    const limit = (ROUND_LIMIT_S + 5 * this.#plan.seconds) * 1000
    const working = work()
    try {
      await Promise.race([
        working,
        sleep(limit, undefined, { signal: overdue.signal }).then(() => {
          throw new Error(`not done after ${limit / 1000} s`)
        }),
      ])
    } catch (error) {
      score.failed = (error as Error).message || String(error)
      this.#plan.progress.done(`${contender.name} failed: ${score.failed}`)
      await stop(contender)
      // Without its peer, what was overdue ends too; a load that does not see that is left behind.
      await Promise.race([working.catch(() => {}), sleep(5000, undefined, { ref: false })])
    } finally {
      overdue.abort()
    }
  }

  async #start(contender: Contender): Promise<Running> {
    const { peer, node, directory } = contender
    const place = { node: node.path, cpu: this.#plan.cpus.peer, backend: this.#backend!.port, directory }
    contender.running ??= await peer.start(place)
    return contender.running
  }

  async #measure(workload: Workload, contender: Contender, seconds: number): Promise<Sample & { cpu: number }> {
    const { isShort, cpus } = this.#plan
    const { port, pids } = await this.#start(contender)
    const usage = () => (contender.peer.isBaseline ? { cpu: 0, memory: 0 } : usageOf(pids()))
    const before = usage().cpu
    const sample = await workload.run({ port, backend: this.#backend!.port, seconds, isShort, cpu: cpus.load, usage })
    return { cpu: usage().cpu - before, ...sample }
  }
}

async function stop(contender: Contender): Promise<void> {
  await contender.running?.stop()
  contender.running = undefined
}

function isFor({ only }: Peer, { name, group = name }: Workload): boolean {
  return only === undefined || only.includes(name) || only.includes(group)
}

/** The figure that counts. */
function figureIn({ unit }: Workload, sample: Sample & { cpu: number }): number {
  return scaleOf(unit) * (sample.memory ?? sample.cpu / sample.units)
}

function resultOf(workload: Workload, { contender, samples, version, failed }: Score): Result {
  const { peer, node } = contender
  const result: Result = {
    workload: workload.name,
    title: workload.title,
    unit: workload.unit,
    peer: peer.name,
    kind: peer.kind,
    reads: peer.reads,
    note: peer.note,
    ...(peer.isBaseline && { isBaseline: true }),
    version,
    ...(peer.kind !== 'native' && { node: node.version }),
    rounds: samples.length,
  }
  if (failed) return { ...result, failed }
  const latencies = samples.flatMap(({ latency }) => latency ?? [])
  const figure = figureOf(samples.map((sample) => figureIn(workload, sample)))
  return {
    ...result,
    ...(!peer.isBaseline &&
      (samples.every(({ memory }) => memory !== undefined) ? { memory: figure } : { cost: figure })),
    rate: figureOf(samples.map(({ units, seconds }) => units / seconds)),
    ...(latencies.length > 0 && {
      latency: {
        p50: figureOf(latencies.map(({ p50 }) => p50)),
        p99: figureOf(latencies.map(({ p99 }) => p99)),
        p999: figureOf(latencies.map(({ p999 }) => p999)),
      },
    }),
  }
}
