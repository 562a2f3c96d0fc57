import { once } from 'node:events'
import { existsSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ifThere, residentOf, socketsOf } from '../common/proc.ts'
import { freePort, type Program, start } from '../common/processes.ts'
import type { Delay, Look } from './observer.ts'

/** How the processes of the command are, together. Memory in bytes, delays in ms: those of the one that is the latest. */
export interface State {
  rss: number
  heap: number
  external: number
  delay: Delay
  delayInAll: Delay
}

/** All that it may say on stderr while backends come and go. */
const EXPECTED = [
  /^badass: listening on http:\/\/\S+$/,
  /^badass: backend b\d is up$/,
  /^badass: backend b\d is down: /,
  /^badass: \d+ workers serve$/,
  /^badass: SIGTERM: draining /,
]

function worst(delays: readonly Delay[]): Delay {
  const most = (key: keyof Delay) => Math.max(0, ...delays.map((delay) => delay[key]))
  return { p50: most('p50'), p99: most('p99'), max: most('max') }
}

/** The command, in processes of its own, seen from outside and inside. */
export class Command {
  readonly port: number
  readonly #program: Program
  readonly #directory: string
  /** It has ended. */
  isOver = false

  private constructor(port: number, program: Program, directory: string) {
    this.port = port
    this.#program = program
    this.#directory = directory
    void program.closed.then(() => {
      this.isOver = true
    })
  }

  static async start(
    targets: readonly string[],
    { workers, directory, complain }: { workers: number; directory: string; complain: (what: string) => void },
  ): Promise<Command> {
    const port = await freePort()
    const observer = new URL(`observer.js?in=${encodeURIComponent(directory)}`, import.meta.url)
    const main = fileURLToPath(new URL('dist/cli/main.js', import.meta.resolve('badass/package.json')))
    const line = [
      ...[process.execPath, '--expose-gc', '--import', observer.href, main],
      ...['--listen', `127.0.0.1:${port}`, '--workers', String(workers), '--sticky'],
      ...['--health', '/healthz,interval=250ms,timeout=5s,rise=1'],
      ...targets,
    ]
    let rest = ''
    let serve: () => void = () => undefined
    // One worker that listens is not all of them.
    const serving = new Promise<void>((resolve) => {
      serve = resolve
    })
    const complained = (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        if (!EXPECTED.some((one) => one.test(line))) complain(`the command says: ${line}`)
        if (line.startsWith('badass: listening')) serve()
      }
    }
    const program = await start(line, { port, complained })
    await serving
    return new Command(port, program, directory)
  }

  /** How it is now, or (`isClean`) when the garbage has been collected. */
  async look(isClean: boolean): Promise<State> {
    const pids = this.#program.pids().filter((pid) => existsSync(this.#socketOf(pid)))
    const looks = await Promise.all(pids.map((pid) => this.#ask(pid, isClean ? 'gc' : 'look')))
    const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)
    return {
      rss: sum(this.#program.pids().map((pid) => ifThere(() => residentOf(pid)) ?? 0)),
      heap: sum(looks.map(({ heapUsed }) => heapUsed)),
      external: sum(looks.map(({ external }) => external)),
      delay: worst(looks.map(({ delay }) => delay)),
      delayInAll: worst(looks.map(({ delayInAll }) => delayInAll)),
    }
  }

  /** How many sockets its processes have. */
  sockets(): number {
    return this.#program.pids().reduce((count, pid) => count + (ifThere(() => socketsOf(pid)) ?? 0), 0)
  }

  async stop(): Promise<void> {
    await this.#program.stop()
  }

  #socketOf(pid: number): string {
    return join(this.#directory, `${pid}.sock`)
  }

  async #ask(pid: number, word: string): Promise<Look> {
    const socket = net.connect(this.#socketOf(pid))
    let said = ''
    socket.setEncoding('utf8').on('data', (text) => (said += text))
    socket.write(word)
    await once(socket, 'close')
    return JSON.parse(said) as Look
  }
}
