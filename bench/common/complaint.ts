/** What stands in the way and is no fault of the bench: its message, one line, is all that is shown. */
export class Complaint extends Error {
  readonly exitCode: number

  /** 2 is for wrong arguments. */
  constructor(message: string, exitCode: 1 | 2 = 2) {
    super(message)
    this.exitCode = exitCode
  }
}
