import { type ChildProcess, fork } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { ownHost } from './net.ts'

/**
 * A program of test/helpers that listens in a separate process. It can be killed and restarted at the same port.
 * It gets HOST and PORT, sends `{ port }` once it listens, and its other messages are emitted as 'message'.
 */
export class Child extends EventEmitter<{ message: [message: unknown] }> {
  readonly host = ownHost
  port = 0
  readonly #script: string
  readonly #env: NodeJS.ProcessEnv
  #process!: ChildProcess

  private constructor(script: string, env: NodeJS.ProcessEnv) {
    super()
    this.#script = fileURLToPath(new URL(script, import.meta.url))
    this.#env = env
  }

  /** Runs until the end of the test. */
  static async start(script: string, env: NodeJS.ProcessEnv = {}): Promise<Child> {
    const child = new Child(script, env)
    onTestFinished(() => child.kill())
    await child.restart()
    return child
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** Ends it with SIGKILL. The kernel then resets or ends its connections. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill('SIGKILL')
    await once(this.#process, 'exit')
  }

  /** Starts it, also again after a kill. */
  async restart(): Promise<void> {
    const env = { ...process.env, ...this.#env, HOST: ownHost, PORT: String(this.port) }
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
