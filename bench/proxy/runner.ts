import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Node } from '../common/machine.ts'
import { usageOf } from '../common/proc.ts'
import type { Progress } from '../common/progress.ts'
import { figureOf, type Result } from '../common/results.ts'
import { type Backend, startBackend } from './backends/index.ts'
import { checkField } from './loads/ask.ts'
import type { Peer, Running, Sample, Workload } from './types.ts'

export interface Plan {
  workloads: readonly Workload[]
  peers: readonly Peer[]
  nodes: readonly Node[]
  rounds: number
  seconds: number
  isShort: boolean
  cpus: { peer: number; load: number }
  /** A temporary folder. */
  directory: string
  progress: Progress
}

/** A peer on one Node. */
interface Contender {
  name: string
  peer: Peer
  node: Node
  directory: string
  running?: Running | undefined
}

/** What one contender has done in a workload so far. */
interface Score {
  contender: Contender
  samples: (Sample & { cpu: number })[]
  version: string
  failed?: string
}

/** Seconds of load before the first round, for peers of Node.js: V8 goes on optimising for thousands of requests. */
const WARM_UP_S = 8
const SHORT_WARM_UP_S = 3
/** Longer than any round that ends at all. */
const ROUND_LIMIT_S = 60
/** How many of a unit make a CPU second or a byte. */
const SCALES: Record<string, number> = { µs: 1e6, ms: 1e3, KB: 1e-3 }

/** Runs every workload in rounds. In each round all peers take a turn, so that a disturbance hits all of them. */
export class Runner {
  readonly #plan: Plan
  readonly #contenders: readonly Contender[]
  #backend: (Backend & { kind: Workload['backend'] }) | undefined

  constructor(plan: Plan) {
    this.#plan = plan
    this.#contenders = plan.peers.flatMap((peer) =>
      (peer.kind === 'native' ? plan.nodes.slice(0, 1) : plan.nodes).map((node) => {
        const name = plan.nodes.length > 1 && peer.kind !== 'native' ? `${peer.name} (Node ${node.version})` : peer.name
        return { name, peer, node, directory: join(plan.directory, name.replace(/\W+/g, '-')) }
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

  /** Starts the peer, checks its answers and warms it up. */
  async #prepare(workload: Workload, score: Score): Promise<void> {
    const { contender } = score
    const { progress, isShort } = this.#plan
    progress.now(`${workload.name}: checking ${contender.name}`)
    await this.#attempt(score, async () => {
      const running = await this.#start(contender)
      score.version = running.version
      await workload.check(running.port, contender.peer)
      await checkField(running.port, contender.peer)
      if (!workload.wantsWarmUp || contender.peer.kind === 'native') return
      await this.#measure(workload, contender, isShort ? SHORT_WARM_UP_S : WARM_UP_S)
    })
  }

  async #playRound(workload: Workload, scores: readonly Score[], round: number): Promise<void> {
    const { progress, rounds, seconds } = this.#plan
    const title = `${workload.name}, round ${round} of ${rounds}`
    const costs: string[] = []
    // Every round starts with another peer, because the first turn differs from the rest.
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

  /** Records a failure in the score. A peer that failed is stopped, and starts again for the next workload. */
  async #attempt(score: Score, work: () => Promise<void>): Promise<void> {
    const { contender } = score
    const done = new AbortController()
    const limit = (ROUND_LIMIT_S + 5 * this.#plan.seconds) * 1000
    const working = work()
    const overdue = sleep(limit, undefined, { signal: done.signal }).then(() => {
      throw new Error(`not done after ${limit / 1000} s`)
    })
    overdue.catch(() => {})
    try {
      await Promise.race([working, overdue])
    } catch (error) {
      score.failed = (error as Error).message || String(error)
      this.#plan.progress.done(`${contender.name} failed: ${score.failed}`)
      await stop(contender)
      // Overdue work usually ends with its peer. Do not wait for it for ever.
      await Promise.race([working.catch(() => {}), sleep(5000, undefined, { ref: false })])
    } finally {
      done.abort()
    }
  }

  async #start(contender: Contender): Promise<Running> {
    const { peer, node, directory } = contender
    const place = { node: node.path, cpu: this.#plan.cpus.peer, backend: this.#backend!.port, directory }
    contender.running ??= await peer.start(place)
    return contender.running
  }

  async #measure(workload: Workload, contender: Contender, seconds: number): Promise<Sample & { cpu: number }> {
    const { port, pids } = await this.#start(contender)
    const usage = () => (contender.peer.isBaseline ? { cpu: 0, memory: 0 } : usageOf(pids()))
    const before = usage().cpu
    const sample = await workload.run({ port, backend: this.#backend!.port, seconds, cpu: this.#plan.cpus.load, usage })
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

/** The cost or memory of a unit of work, in the workload's unit. */
function figureIn({ unit }: Workload, { memory, cpu, units }: Sample & { cpu: number }): number {
  return SCALES[unit.slice(0, 2)]! * (memory ?? cpu / units)
}

function resultOf(workload: Workload, { contender, samples, version, failed }: Score): Result {
  const { name: peer, kind, reads, note, isBaseline } = contender.peer
  const result: Result = {
    ...{ workload: workload.name, title: workload.title, unit: workload.unit, peer, kind, reads, note },
    ...(isBaseline && { isBaseline: true }),
    version,
    ...(kind !== 'native' && { node: contender.node.version }),
    rounds: samples.length,
  }
  if (failed) return { ...result, failed }
  const latencies = samples.flatMap(({ latency }) => latency ?? [])
  const percentile = (key: 'p50' | 'p99' | 'p999') => figureOf(latencies.map((latency) => latency[key]))
  const figure = figureOf(samples.map((sample) => figureIn(workload, sample)))
  const hasMemory = samples.every(({ memory }) => memory !== undefined)
  return {
    ...result,
    ...(!isBaseline && (hasMemory ? { memory: figure } : { cost: figure })),
    rate: figureOf(samples.map(({ units, seconds }) => units / seconds)),
    ...(latencies.length > 0 && {
      latency: { p50: percentile('p50'), p99: percentile('p99'), p999: percentile('p999') },
    }),
  }
}
