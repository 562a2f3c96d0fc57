/** Work that is done one after the other, whatever becomes of what was before. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Resolves with what the task returns, once it was its turn. */
  async take<T>(task: () => T | Promise<T>): Promise<T> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => undefined)
    return done
  }
}
