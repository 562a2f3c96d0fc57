import { progress } from './progress.ts'

/** What stands in the way and is no fault of the bench: its message, one line, is all that is shown. */
export class Complaint extends Error {
  readonly exitCode: number

  /** 2 is for wrong arguments. */
  constructor(message: string, exitCode: 1 | 2 = 2) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Runs a program of the bench, and ends the process with the code that it returns, or that its complaint has. */
export function runMain(main: () => Promise<number>): void {
  main().then(
    (code) => process.exit(code),
    (error: Error) => {
      progress.end()
      const isExpected = error instanceof Complaint
      console.error(`bench: ${isExpected ? error.message : (error.stack ?? error)}`)
      process.exit(isExpected ? error.exitCode : 1)
    },
  )
}
