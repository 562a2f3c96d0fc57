import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort, type Program, start } from '../../../bench/common/processes.ts'
import type { History } from './history.ts'
import type { Random } from './random.ts'

interface Member {
  id: string
  host: string
  port: number
  program: Program
  /** Killed or stopped at the moment. */
  isAway: boolean
}

const SCRIPT = fileURLToPath(new URL('backend-main.js', import.meta.url))

/** Backend processes that are killed, restarted and stopped at random. */
export class Fleet {
  /** How often each kind of harm was done. */
  readonly counts = { kills: 0, blackouts: 0, pauses: 0 }
  readonly #members: Member[] = []
  readonly #history: History
  readonly #complain: (fault: string) => void

  constructor(history: History, complain: (fault: string) => void) {
    this.#history = history
    this.#complain = complain
  }

  async start(count: number): Promise<void> {
    for (let i = 1; i <= count; i++) {
      // Each has its own address, so that no other program takes its port while it is down.
      const place = { id: `b${i}`, host: `127.0.0.${10 + i}`, port: await freePort() }
      this.#members.push({ ...place, program: await this.#run(place), isAway: false })
    }
  }

  get ids(): string[] {
    return this.#members.map(({ id }) => id)
  }

  /** The backends as arguments of the command. */
  get targets(): string[] {
    return this.#members.map(({ id, host, port }) => `${host}:${port},id=${id}`)
  }

  /** Kills all backends, or kills or stops one. A single kill leaves at least one other up. */
  harm(random: Random): void {
    const now = performance.now()
    if (random.chance(0.1) && this.#members.every(({ isAway }) => !isAway)) {
      this.counts.blackouts++
      for (const member of this.#members) this.#restart(member, random.between(0, 2_000))
      return
    }
    const member = random.pick(this.#members)
    if (member.isAway) return
    if (random.chance(0.2)) return this.#pause(member, random.between(50, 1_000))
    const others = this.#members.filter((one) => one !== member && this.#history.wasUp(one.id, now, now))
    if (others.length > 0) this.#restart(member, random.between(0, 2_000))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map(({ program }) => program.stop()))
  }

  /** Resolves when every backend listens. */
  async allUp(): Promise<void> {
    while (this.#members.some(({ isAway }) => isAway)) await sleep(20)
  }

  #restart(member: Member, downMs: number): void {
    this.counts.kills++
    member.isAway = true
    const { ended, back } = this.#history.begin(member.id)
    const restarted = async () => {
      member.program.kill('SIGKILL')
      await member.program.closed
      ended()
      await sleep(downMs)
      member.program = await this.#run(member)
      back()
      member.isAway = false
    }
    restarted().catch((error: Error) => this.#complain(error.message))
  }

  #pause(member: Member, ms: number): void {
    this.counts.pauses++
    member.isAway = true
    member.program.kill('SIGSTOP')
    setTimeout(() => {
      member.program.kill('SIGCONT')
      member.isAway = false
    }, ms)
  }

  #run({ host, port, id }: Pick<Member, 'host' | 'port' | 'id'>): Promise<Program> {
    const complained = (text: string) => {
      for (const line of text.trim().split('\n')) this.#complain(`backend ${id}: ${line}`)
    }
    return start([process.execPath, SCRIPT, host, String(port), id], { complained })
  }
}
