/** Errors and warnings that reach the process instead of a connection. */
const EVENTS = ['uncaughtExceptionMonitor', 'unhandledRejection', 'warning']

/** Collects what goes wrong in the process until `stop`. */
export class Trouble {
  readonly #all: string[] = []

  constructor() {
    for (const event of EVENTS) process.on(event, this.#heard)
  }

  readonly #heard = (cause: unknown): void => {
    this.#all.push(cause instanceof Error ? `${cause.stack}` : String(cause))
  }

  /** Throws if anything went wrong. */
  check(): void {
    if (this.#all.length > 0) throw new Error(`uncaught in the process: ${this.#all.join('; ')}`)
  }

  stop(): void {
    for (const event of EVENTS) process.off(event, this.#heard)
  }
}

/** An error that names the case which caused it, as it stands in cases.ts. */
export function failedWith(cause: unknown, found: object): Error {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new Error(`${message}\n  case: ${JSON.stringify(found)}`, { cause })
}
