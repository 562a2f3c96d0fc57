import type { ClientInfo, Connection, Head } from '../../index.ts'
import type { Config } from '../config/index.ts'
import type { Io } from '../output.ts'
import type { RequestLists } from '../recent-requests.ts'
import type { RequestCounts } from '../request-counts.ts'
import { RequestTotals } from '../request-totals.ts'
import { reportHookErrors } from './hook-errors.ts'
import { AccessLog, type Known } from './log.ts'
import type { LogFile } from './log-file.ts'
import { reportRefusals } from './notices.ts'
import type { Pools } from './pools.ts'
import { RequestCounter } from './request-counter.ts'
import { RequestRecorder } from './request-recorder.ts'

/** The access log, the error reports and the counts of requests of a service, as the config in force sets them. */
export class Reporting {
  readonly requests: RequestCounter
  readonly #pools: Pools
  readonly #totals = new RequestTotals()
  readonly #io: Io
  readonly #isOurs: (connection: Connection) => boolean
  #log: AccessLog | undefined
  #recorder: RequestRecorder | undefined
  /** Where the log goes instead of stdout. */
  #file: LogFile | undefined
  #stopRefusals: (() => void) | undefined
  #stopHookErrors: (() => void) | undefined

  constructor(io: Io, pools: Pools, isOurs: (connection: Connection) => boolean) {
    this.#pools = pools
    this.requests = new RequestCounter(pools, isOurs)
    this.#io = io
    this.#isOurs = isOurs
  }

  /** `file`: where the access log of this config goes instead of stdout. */
  use({ log, proxyProtocol, admin, countsRequests, recordsRequests }: Config, file: LogFile | undefined): void {
    this.requests.use(admin !== undefined || countsRequests === true)
    if (admin?.requests || recordsRequests) {
      this.#recorder ??= new RequestRecorder(this.#pools)
    } else {
      this.#recorder?.close()
      this.#recorder = undefined
    }
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
      this.#log = new AccessLog(log, this.#pools, this.#isOurs, this.#write)
    }
  }

  /** The requests that this process has counted. Read it from time to time, so that removed backends are forgotten. */
  get totals(): RequestCounts[] {
    this.#totals.add(this.requests.take())
    this.#totals.prune(() => this.#pools.backends)
    return this.#totals.all
  }

  /** The slowest and the failed requests of this process. Undefined: they are not recorded. */
  get recent(): RequestLists | undefined {
    return this.#recorder?.lists
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
    this.#recorder?.request(head, client, known)
  }

  /** Resolves when all lines have been written. */
  async close(): Promise<void> {
    this.requests.use(false)
    this.#log?.close()
    this.#recorder?.close()
    this.#stopRefusals?.()
    this.#stopHookErrors?.()
    await this.#file?.close()
  }
}
