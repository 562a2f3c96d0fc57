import { progress } from './progress.ts'

/** An error that is not a bug of the bench. Only its message is shown, in one line. */
export class Complaint extends Error {
  readonly exitCode: number

  /** Exit code 2 means a wrong argument. */
  constructor(message: string, exitCode: 1 | 2 = 2) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Runs `main` and exits with the code that it returns, or with that of its error. */
export function runMain(main: () => Promise<number>): void {
  main().then(
    (code) => process.exit(code),
    (error: Error) => {
      progress.end()
      const isComplaint = error instanceof Complaint
      console.error(`bench: ${isComplaint ? error.message : (error.stack ?? error)}`)
      process.exit(isComplaint ? error.exitCode : 1)
    },
  )
}
