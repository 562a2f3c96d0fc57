import type { ClientInfo, Connection, Head } from '../../index.ts'
import type { Config } from '../config/index.ts'
import type { Io } from '../output.ts'
import { reportHookErrors } from './hook-errors.ts'
import { AccessLog, type Known } from './log.ts'
import type { LogFile } from './log-file.ts'
import { reportRefusals } from './notices.ts'

/** The access log and the error reports of a service, as the config in force sets them. */
export class Reporting {
  readonly #io: Io
  readonly #isOurs: (connection: Connection) => boolean
  #log: AccessLog | undefined
  /** Where the log goes instead of stdout. */
  #file: LogFile | undefined
  #stopRefusals: (() => void) | undefined
  #stopHookErrors: (() => void) | undefined

  constructor(io: Io, isOurs: (connection: Connection) => boolean) {
    this.#io = io
    this.#isOurs = isOurs
  }

  /** `file`: where the access log of this config goes instead of stdout. */
  use({ log, proxyProtocol }: Config, file: LogFile | undefined): void {
    void this.#file?.close()
    this.#file = file
    // Report the errors of the new hooks from scratch.
    this.#stopHookErrors?.()
    this.#stopHookErrors = reportHookErrors(this.#isOurs, this.#io.say)
    if (proxyProtocol) this.#stopRefusals ??= reportRefusals(this.#isOurs, this.#io.say)
    if (log === 'none') {
      this.#log?.close()
      this.#log = undefined
    } else if (this.#log) {
      this.#log.format = log
    } else {
      this.#log = new AccessLog(log, this.#isOurs, this.#write)
    }
  }

  readonly #write = (line: string): void => {
    if (this.#file) this.#file.write(line)
    else this.#io.log(line)
  }

  /** Opens the log's file again after a rotation. */
  async reopenLog(): Promise<void> {
    await this.#file?.reopen()
  }

  /** Call this with each request head before hooks change it. */
  request(head: Head, client: ClientInfo, known: Known): void {
    this.#log?.request(head, client, known)
  }

  /** Resolves when all lines have been written. */
  async close(): Promise<void> {
    this.#log?.close()
    this.#stopRefusals?.()
    this.#stopHookErrors?.()
    await this.#file?.close()
  }
}
