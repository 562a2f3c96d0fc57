/** Runs tasks one after the other. A task that fails does not stop the next. */
export class TaskQueue {
  #last: Promise<unknown> = Promise.resolve()

  /** Resolves or rejects as the task does. */
  async run<T>(task: () => T | Promise<T>): Promise<T> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => undefined)
    return done
  }
}
