import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { onTestFinished } from 'vitest'
import { portOf } from './service/support.ts'

/** The built command, in a process of its own. */
export class Command {
  readonly #child: ReturnType<typeof spawn>
  stdout = ''
  stderr = ''
  /** The exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>

  private constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}, fds: readonly number[] = []) {
    // systemd sets LISTEN_PID to the process that it starts.
    const line = ['-c', 'LISTEN_PID=$$ exec "$0" dist/cli/main.js "$@"', process.execPath, ...args]
    this.#child = spawn('sh', line, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe', ...fds] })
    onTestFinished(() => void this.#child.kill('SIGKILL'))
    this.#child.stdout!.on('data', (chunk) => {
      this.stdout += chunk
    })
    this.#child.stderr!.on('data', (chunk) => {
      this.stderr += chunk
    })
    this.exited = once(this.#child, 'close').then(([code, signal]) => code ?? signal)
  }

  static start(...args: readonly string[]): Command {
    return new Command(args)
  }

  /** `options`: Node's own. */
  static startWith(options: string, ...args: readonly string[]): Command {
    return new Command(args, { NODE_OPTIONS: options })
  }

  static startIn(env: NodeJS.ProcessEnv, ...args: readonly string[]): Command {
    return new Command(args, env)
  }

  /** With these listening sockets, as systemd passes them. */
  static startAt(sockets: Readonly<Record<string, number>>, ...args: readonly string[]): Command {
    const fds = Object.values(sockets)
    const names = Object.keys(sockets).map((name) => name.replace(/#.*/, ''))
    return new Command(args, { LISTEN_FDS: String(fds.length), LISTEN_FDNAMES: names.join(':') }, fds)
  }

  /** Resolves when it has written so to stderr. */
  async said(text: string, times = 1): Promise<string> {
    await this.#until(() => this.stderr.split(text).length > times, this.#child.stderr!, text)
    return this.stderr
  }

  async logged(text: string): Promise<string> {
    await this.#until(() => this.stdout.includes(text), this.#child.stdout!, text)
    return this.stdout
  }

  /** Throws when the command ends first. */
  async #until(isThere: () => boolean, output: Readable, text: string): Promise<void> {
    while (!isThere()) {
      const ended = await Promise.race([once(output, 'data').then(() => undefined), this.exited])
      if (ended !== undefined && !isThere()) throw new Error(`ended with ${ended} before '${text}': ${this.stderr}`)
    }
  }

  /** The port that it says it listens on. */
  async port(): Promise<number> {
    const [, url] = /listening on (http\S+)\n/.exec(await this.said('/\n'))!
    return portOf(url)
  }

  get pid(): number {
    return this.#child.pid!
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Whoever read its access log leaves. */
  closeStdout(): void {
    this.#child.stdout!.destroy()
  }
}
