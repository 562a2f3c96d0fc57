import { setTimeout as sleep } from 'node:timers/promises'
import { Complaint } from '../common/complaint.ts'
import { describeCommit, describeMachine } from '../common/machine.ts'
import { Command } from './command.ts'
import { Fleet } from './fleet.ts'
import { History } from './history.ts'
import { Load } from './load.ts'
import { Random } from './random.ts'
import type { Sample, Soak } from './results.ts'

export interface Plan {
  seconds: number
  seed: number
  workers: number
  isShort: boolean
  /** For the sockets of observers. */
  directory: string
  /** Ends the load before its time. */
  signal: AbortSignal
  /** Called with how it stands. */
  stands(standing: Standing): void
}

/** How far it is. */
export interface Standing {
  sample: Sample
  connections: number
  bytes: number
  mismatches: number
  faults: number
  kills: number
}

const BACKENDS = 4
const SAMPLES = 120
/** One sample of so many comes after a collection of the garbage. */
const CLEAN = 6
const FAULTS_SHOWN = 20
/** ms for the sockets of a command without load: one side that does not end has a minute. */
const CLOSE_MS = 75_000

/** Runs the load against the command. @throws {Complaint} where the command ends before its time */
export async function soak(plan: Plan): Promise<Soak> {
  const { seconds, seed, workers, isShort, directory } = plan
  const start = { date: new Date().toISOString(), ...(await describeCommit()), machine: describeMachine() }
  const faults: string[] = []
  let faultCount = 0
  let mismatches = 0
  const complain = (what: string) => {
    faultCount++
    // Clients and backends find them.
    if (what.includes('Mismatch: ')) mismatches++
    if (faults.length < FAULTS_SHOWN) faults.push(what)
  }
  const history = new History()
  const fleet = new Fleet(history, complain)
  await fleet.start(BACKENDS)
  const command = await Command.start(fleet.targets, { workers, directory, complain })
  const before = { sockets: await fewestSockets(command, Infinity), clean: (await command.look(true)).heap }
  const load = new Load({ port: command.port, history, backends: fleet.ids }, complain)
  const began = performance.now()
  load.start(seed)
  const isOn = () => performance.now() - began < seconds * 1000 && !plan.signal.aborted && !command.isOver
  const harming = harm(fleet, new Random(seed), plan, isOn)
  const stands = (sample: Sample) => {
    const { connections, sent, received } = load.traffic
    const { kills } = fleet.counts
    plan.stands({ sample, connections, bytes: sent + received, mismatches, faults: faultCount, kills })
  }
  const samples = await watch(command, load, plan, { began, isOn, stands })
  const loaded = (performance.now() - began) / 1000
  await Promise.all([load.stop(), harming])
  await fleet.whole()
  if (command.isOver) throw new Complaint(['the command has ended', ...faults.slice(0, 6)].join('; '), 1)
  const after = { sockets: await fewestSockets(command, before.sockets), ...(await command.look(true)) }
  await command.stop()
  await fleet.stop()
  return {
    ...start,
    ...{ versions: { node: process.versions.node }, isShort, seed, workers, seconds: loaded },
    ...{ connections: load.traffic.connections, sent: load.traffic.sent, received: load.traffic.received },
    ...{ exchanges: load.exchanges, backends: fleet.counts, mismatches, faults, faultCount },
    sockets: { before: before.sockets, after: after.sockets },
    clean: { before: before.clean, after: after.heap },
    delay: after.delayInAll,
    samples,
  }
}

/** Checks of the backends' health come and go: what counts is the least of a while. Waits for it to be no more than that. */
async function fewestSockets(command: Command, goal: number): Promise<number> {
  const deadline = performance.now() + (goal === Infinity ? 1_000 : CLOSE_MS)
  let fewest = Infinity
  while (performance.now() < deadline && (goal === Infinity || fewest > goal) && !command.isOver) {
    fewest = Math.min(fewest, command.sockets())
    await sleep(20)
  }
  return fewest
}

async function harm(fleet: Fleet, random: Random, { isShort }: Plan, isOn: () => boolean): Promise<void> {
  const [least, most] = isShort ? [300, 1_500] : [1_000, 4_000]
  while (isOn()) {
    await sleep(random.between(least, most))
    if (isOn()) fleet.harm(random)
  }
}

async function watch(
  command: Command,
  load: Load,
  { seconds, signal }: Plan,
  { began, isOn, stands }: { began: number; isOn: () => boolean; stands: (sample: Sample) => void },
): Promise<Sample[]> {
  const samples: Sample[] = []
  const interval = Math.max(1_000, (seconds * 1000) / SAMPLES)
  while (isOn()) {
    const due = began + (samples.length + 1) * interval - performance.now()
    await sleep(Math.max(0, due), undefined, { signal }).catch(() => undefined)
    try {
      const { rss, heap, external, delay } = await command.look(false)
      const at = (performance.now() - began) / 1000
      const sample: Sample = { at, rss, heap, external, delay, open: load.traffic.open }
      if (samples.length % CLEAN === CLEAN - 1) sample.clean = (await command.look(true)).heap
      samples.push(sample)
      stands(sample)
    } catch (error) {
      // It has ended while it was asked.
      if (!command.isOver) await sleep(500)
      if (!command.isOver) throw error
    }
  }
  return samples
}
