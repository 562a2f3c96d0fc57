import { spawn } from 'node:child_process'
import type { Io } from './output.ts'

const PROGRAM = 'systemd-notify'

/**
 * Tells the service manager what this process does, if the unit has `Type=notify` (sd_notify(3)). Node cannot send to the
 * datagram socket in NOTIFY_SOCKET, so the program systemd-notify does.
 */
export class Notifier {
  readonly #say: Io['say']
  readonly #isOn = Boolean(process.env.NOTIFY_SOCKET)
  /** One at a time, as they must arrive in order. */
  #sent: Promise<void> = Promise.resolve()
  #isStopping = false

  constructor(say: Io['say']) {
    this.#say = say
  }

  /** `status` is what `systemctl status` shows. */
  ready(status: string): void {
    this.#send(() => ['READY=1', `STATUS=${status}`])
  }

  /** `ready` follows. */
  reloading(): void {
    // On Linux this is CLOCK_MONOTONIC, which systemd compares with the time of its signal.
    this.#send(() => ['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`])
  }

  stopping(): void {
    if (!this.#isStopping) this.#send(() => ['STOPPING=1', 'STATUS=draining'])
    this.#isStopping = true
  }

  /** Resolves after all messages have been sent. systemd-notify waits at most 5 s for the service manager to read one. */
  async sent(): Promise<void> {
    await this.#sent
  }

  #send(message: () => string[]): void {
    if (this.#isOn && !this.#isStopping) this.#sent = this.#sent.then(() => this.#run(message()))
  }

  async #run(message: readonly string[]): Promise<void> {
    await new Promise<void>((resolve) => {
      const failed = (reason: string) => {
        this.#say(`cannot notify the service manager: ${PROGRAM} ${reason}`)
        resolve()
      }
      const child = spawn(PROGRAM, message, { stdio: 'ignore' })
      child.on('error', ({ message }) => failed(`cannot be run (${message})`))
      child.on('exit', (code) => (code === 0 ? resolve() : failed(`ended with ${code}`)))
    })
  }
}
