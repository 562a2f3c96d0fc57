import { setTimeout as sleep } from 'node:timers/promises'
import { Complaint } from '../../../bench/common/complaint.ts'
import { Command } from './command.ts'
import { Fleet } from './fleet.ts'
import { History } from './history.ts'
import type { Counts } from './judge.ts'
import { Load } from './load.ts'
import { Random } from './random.ts'
import type { Traffic } from './wire.ts'

export interface Plan {
  requests: 'first' | 'every'
  seconds: number
  seed: number
  workers: number
  /** Harm the backends more often. */
  isShort: boolean
  /** A folder for the observers' sockets. */
  directory: string
  /** Ends the load early. */
  signal: AbortSignal
  /** Receives a line about the state of the run now and then. */
  report(line: string): void
}

/** The result of a soak. `before` and `after` are the command without load; heap and resident memory are in bytes. */
export interface Soak {
  traffic: Traffic
  /** By kind of client. */
  exchanges: Record<string, Counts>
  backends: Fleet['counts']
  /** The first faults, as text. */
  faults: string[]
  faultCount: number
  before: Idle
  after: Idle
}

interface Idle {
  sockets: number
  heap: number
  resident: number
}

const MIB = 2 ** 20
const BACKENDS = 4
const FAULTS_SHOWN = 20
const REPORTS = 20
/** ms for the command to close its sockets: a client that does not end its side has a minute. */
const CLOSE_MS = 75_000
/**
 * Bytes by which the heap may grow between `before` and `after`. Compiled code and caches take a few MB. A leak of 1 KB a
 * connection takes far more in a 20-minute run.
 */
const MAX_GROWTH = 16 * MIB

/** Runs the load against the command. @throws {Complaint} when the command ends early */
export async function soak(plan: Plan): Promise<Soak> {
  const { requests, seconds, seed, workers, directory, signal } = plan
  const faults: string[] = []
  let faultCount = 0
  const complain = (fault: string) => {
    faultCount++
    if (faults.length < FAULTS_SHOWN) faults.push(fault)
  }
  const history = new History()
  const fleet = new Fleet(history, complain)
  await fleet.start(BACKENDS)
  const command = await Command.start(fleet.targets, { requests, workers, directory, complain })
  const before = await idle(command)
  const load = new Load({ port: command.port, requests, history, backends: fleet.ids }, complain)
  load.start(seed)
  const end = performance.now() + seconds * 1000
  const isOn = () => performance.now() < end && !signal.aborted && !command.hasEnded
  const harming = harm(fleet, new Random(seed), plan, isOn)
  for (let next = performance.now(); isOn(); await sleep(200)) {
    if (performance.now() < next) continue
    next += Math.max(5_000, (seconds * 1000) / REPORTS)
    const { connections, received } = load.traffic
    const left = `${Math.round((end - performance.now()) / 1000)} s left`
    const memory = `RSS ${(command.resident() / MIB).toFixed(0)} MiB`
    plan.report(
      `${left}: ${connections} connections, ${(received / MIB).toFixed(0)} MiB received, ${memory}, ${faultCount} faults`,
    )
  }
  await Promise.all([load.stop(), harming])
  await fleet.allUp()
  if (command.hasEnded) throw new Complaint(['the command ended', ...faults.slice(0, 6)].join('; '), 1)
  const after = await idle(command, before.sockets)
  await command.stop()
  await fleet.stop()
  const { traffic, exchanges } = load
  return { traffic, exchanges, backends: fleet.counts, faults, faultCount, before, after }
}

/** Health checks open and close sockets, so the smallest number of a while counts. Waits for it to fall to `goal`. */
async function idle(command: Command, goal?: number): Promise<Idle> {
  const deadline = performance.now() + (goal === undefined ? 1_000 : CLOSE_MS)
  let sockets = Infinity
  while (performance.now() < deadline && (goal === undefined || sockets > goal) && !command.hasEnded) {
    sockets = Math.min(sockets, command.sockets())
    await sleep(20)
  }
  return { sockets, heap: await command.heap(), resident: command.resident() }
}

async function harm(fleet: Fleet, random: Random, { isShort }: Plan, isOn: () => boolean): Promise<void> {
  const [least, most] = isShort ? [300, 1_500] : [1_000, 4_000]
  while (isOn()) {
    await sleep(random.between(least, most))
    if (isOn()) fleet.harm(random)
  }
}

/** Why a soak failed, one line a reason. Empty: it passed. */
export function failuresOf({ faults, faultCount, before, after, exchanges }: Soak): string[] {
  const failures = faults.slice()
  if (faultCount > faults.length) failures.push(`and ${faultCount - faults.length} more`)
  for (const [name, { complete, aborted, rejected }] of Object.entries(exchanges)) {
    if (complete + aborted + rejected === 0) failures.push(`${name}: no exchange was completed`)
  }
  if (after.sockets > before.sockets) failures.push(`${after.sockets - before.sockets} sockets were left open`)
  const growth = after.heap - before.heap
  if (growth > MAX_GROWTH) failures.push(`the heap has grown by ${(growth / MIB).toFixed(1)} MiB`)
  return failures
}
