import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A load in a process of its own, on a core of its own; parent and child take turns, by messages. */
export class LoadClient {
  readonly #process: ChildProcess
  readonly #script: string
  readonly #inbox: unknown[] = []
  #wake: (() => void) | undefined

  /** `script` stands beside this file; it is told `options` as JSON. One that `yields` runs while nobody else wants to. */
  constructor(script: string, cpu: number, options: object, yields = false) {
    this.#script = script
    const path = fileURLToPath(new URL(script, import.meta.url))
    const policy = yields ? ['chrt', '--idle', '0'] : []
    const command = [...policy, process.execPath, path, JSON.stringify(options)]
    this.#process = spawn('taskset', ['-c', String(cpu), ...command], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#process.on('message', (message) => {
      this.#inbox.push(message)
      this.#wake?.()
    })
    this.#process.on('exit', () => this.#wake?.())
  }

  /** Says something, and waits for what is said back. */
  async ask<T>(message: unknown): Promise<T> {
    this.#process.send(message as object)
    return this.next()
  }

  /** The next thing that it says. Throws where it ends without a word. */
  async next<T>(): Promise<T> {
    while (this.#inbox.length === 0) {
      if (this.#isOver()) throw new Error(`${this.#script} ended with ${this.#process.exitCode} amid its work`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#inbox.shift() as T
  }

  async stop(): Promise<void> {
    if (this.#isOver()) return
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exit
  }

  #isOver(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null
  }
}

/** For the child: what it was told to begin with. */
export function optionsOf<T>(): T {
  // Where the parent is gone there is nothing to work for.
  process.on('disconnect', () => process.exit(1))
  return JSON.parse(process.argv[2]!) as T
}

/** For the child: says it, and waits for an answer. */
export async function say<T>(message: unknown): Promise<T> {
  process.send!(message)
  const [answer] = await once(process, 'message')
  return answer as T
}
