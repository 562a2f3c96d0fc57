import { existsSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { ifThere, residentOf, socketsOf } from '../../../bench/common/proc.ts'
import { LISTENING, type Program, start } from '../../../bench/common/processes.ts'

/** The lines that the command may write to stderr while backends come and go. */
const EXPECTED = [
  /^badass: reading (?:every request|only the first request of each connection) \(--requests (?:every|first)\)$/,
  /^badass: listening on http:\/\/\S+$/,
  /^badass: backend b\d is up$/,
  /^badass: backend b\d is down: /,
  /^badass: \d+ workers serve$/,
  /^badass: SIGTERM: draining /,
]

interface Options {
  requests: 'first' | 'every'
  workers: number
  /** A folder for the observers' sockets. */
  directory: string
  complain(fault: string): void
}

/** The `badass` command in processes of its own. */
export class Command {
  readonly port: number
  readonly #program: Program
  readonly #directory: string
  hasEnded = false

  private constructor(port: number, program: Program, directory: string) {
    this.port = port
    this.#program = program
    this.#directory = directory
    void program.closed.then(() => {
      this.hasEnded = true
    })
  }

  /** Resolves when every worker serves. Each unexpected line on stderr is a fault. */
  static async start(
    targets: readonly string[],
    { requests, workers, directory, complain }: Options,
  ): Promise<Command> {
    const observer = new URL(`observer.js?in=${encodeURIComponent(directory)}`, import.meta.url)
    const main = fileURLToPath(new URL('dist/cli/main.js', import.meta.resolve('badass/package.json')))
    const command = [
      ...[process.execPath, '--expose-gc', '--import', observer.href, main],
      ...['--listen', '127.0.0.1:0', '--workers', String(workers), '--sticky'],
      ...['--requests', requests],
      ...['--health', '/healthz,interval=250ms,timeout=5s,rise=1'],
      ...targets,
    ]
    let rest = ''
    const complained = (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        if (!EXPECTED.some((pattern) => pattern.test(line))) complain(`the command wrote to stderr: ${line}`)
      }
    }
    const program = await start(command, { ready: LISTENING, complained })
    return new Command(Number(program.firstLine), program, directory)
  }

  /** Bytes of the V8 heap in use after a garbage collection, over all processes. */
  async heap(): Promise<number> {
    const paths = this.#program.pids().map((pid) => join(this.#directory, `${pid}.sock`))
    const heaps = paths.filter((path) => existsSync(path)).map(async (path) => Number(await text(net.connect(path))))
    return sum(await Promise.all(heaps))
  }

  /** Resident memory of all processes, in bytes. */
  resident(): number {
    return sum(this.#program.pids().map((pid) => ifThere(() => residentOf(pid)) ?? 0))
  }

  /** The number of open sockets in all processes. */
  sockets(): number {
    return sum(this.#program.pids().map((pid) => ifThere(() => socketsOf(pid)) ?? 0))
  }

  async stop(): Promise<void> {
    await this.#program.stop()
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}
