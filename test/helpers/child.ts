import { type ChildProcess, fork } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

/**
 * Where the children listen. On Linux an address of their own: while one of them is dead nobody else takes its port,
 * as connections and the servers of other tests are at 127.0.0.1.
 */
const HOST = process.platform === 'linux' ? '127.0.0.2' : '127.0.0.1'

/**
 * A program of test/helpers that listens in a process of its own: it can be killed, and started again at the same port.
 * It is given HOST and PORT, sends `{ port }` when it listens, and what else it sends is a 'message' here.
 */
export class Child extends EventEmitter<{ message: [message: unknown] }> {
  readonly host = HOST
  port = 0
  readonly #script: string
  readonly #env: NodeJS.ProcessEnv
  #process!: ChildProcess

  private constructor(script: string, env: NodeJS.ProcessEnv) {
    super()
    this.#script = fileURLToPath(new URL(script, import.meta.url))
    this.#env = env
  }

  /** Runs until the test is over. */
  static async start(script: string, env: NodeJS.ProcessEnv = {}): Promise<Child> {
    const child = new Child(script, env)
    onTestFinished(() => child.kill())
    await child.restart()
    return child
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** Ends it with SIGKILL: it does no more, and the kernel resets or ends what it had open. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill('SIGKILL')
    await once(this.#process, 'exit')
  }

  /** Starts it, once more after a kill. */
  async restart(): Promise<void> {
    const env = { ...process.env, ...this.#env, HOST, PORT: String(this.port) }
    const started = fork(this.#script, { env, execArgv: [] })
    this.#process = started
    const ready = new Promise<number>((resolve, reject) => {
      started.once('message', (message: { port: number }) => resolve(message.port))
      started.once('exit', (code) => reject(new Error(`${this.#script} ended with ${code} before it listened`)))
    })
    this.port = await ready
    started.on('message', (message) => this.emit('message', message))
  }
}
