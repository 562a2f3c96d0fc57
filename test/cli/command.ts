import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { portOf } from './service/support.ts'

/** The built command, in a process of its own. */
export class Command {
  readonly #child: ReturnType<typeof spawn>
  stdout = ''
  stderr = ''
  /** The exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>

  private constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, ['dist/cli/main.js', ...args])
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

  /** Resolves when it has written so to stderr. */
  async said(text: string, times = 1): Promise<string> {
    while (this.stderr.split(text).length <= times) await once(this.#child.stderr!, 'data')
    return this.stderr
  }

  async logged(text: string): Promise<string> {
    while (!this.stdout.includes(text)) await once(this.#child.stdout!, 'data')
    return this.stdout
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
