import type { ClientInfo, Connection, Head } from '../../index.ts'
import type { Config } from '../config/index.ts'
import type { Io } from '../output.ts'
import { reportHookErrors } from './hook-errors.ts'
import { AccessLog } from './log.ts'
import { reportRefusals } from './notices.ts'

/** The access log and the error reports of a service, as the config in force sets them. */
export class Reporting {
  readonly #io: Io
  readonly #isOurs: (connection: Connection) => boolean
  #log: AccessLog | undefined
  #stopRefusals: (() => void) | undefined
  #stopHookErrors: (() => void) | undefined

  constructor(io: Io, isOurs: (connection: Connection) => boolean) {
    this.#io = io
    this.#isOurs = isOurs
  }

  use({ log, proxyProtocol }: Config): void {
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
      this.#log = new AccessLog(log, this.#isOurs, this.#io.log)
    }
  }

  /** Call this with each request head before it is changed. */
  request(head: Head, client: ClientInfo): void {
    this.#log?.request(head, client)
  }

  close(): void {
    this.#log?.close()
    this.#stopRefusals?.()
    this.#stopHookErrors?.()
  }
}
