import { type ChildProcess, spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'

/** A load generator in a process of its own, on a given core. Parent and child exchange messages in turns. */
export class LoadClient {
  readonly #process: ChildProcess
  readonly #messages: AsyncIterator<[unknown]>

  /** `script` lies beside this file and gets `options` as JSON. With `yields` it runs only while its core is idle. */
  constructor(script: string, cpu: number, options: object, yields = false) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    const policy = yields ? ['chrt', '--idle', '0'] : []
    const command = ['-c', String(cpu), ...policy, process.execPath, path, JSON.stringify(options)]
    this.#process = spawn('taskset', command, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#messages = on(this.#process, 'message', { close: ['exit'] }) as AsyncIterator<[unknown]>
  }

  /** Sends a message and waits for the answer. */
  async ask<T>(message: unknown): Promise<T> {
    this.#process.send(message as object)
    return this.next()
  }

  /** The next message of the child. @throws {Error} when the child ends */
  async next<T>(): Promise<T> {
    const { value, done } = await this.#messages.next()
    if (done) throw new Error(`the load generator ended with code ${this.#process.exitCode}`)
    return value[0] as T
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exit
  }
}

/** For the child: its options. */
export function optionsOf<T>(): T {
  process.on('disconnect', () => process.exit(1))
  return JSON.parse(process.argv[2]!) as T
}

/** For the child: sends a message and waits for the answer. */
export async function say<T>(message: unknown): Promise<T> {
  process.send!(message)
  const [answer] = await once(process, 'message')
  return answer as T
}

/** Opens a WebSocket with a mask of zeros, which costs nothing: the load shares its core with the backend. */
export async function openWebSocket(port: number): Promise<WebSocket> {
  const options = {
    generateMask: (mask: Buffer) => void mask.fill(0),
    perMessageDeflate: false,
    handshakeTimeout: 5000,
  }
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, options)
  await once(socket, 'open')
  return socket
}
