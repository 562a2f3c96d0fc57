/** Limits how many checks run at a time. The others wait in order of arrival. */
export class Semaphore {
  readonly #most: number
  #taken = 0
  readonly #waiting = new Set<() => void>()

  constructor(most: number) {
    this.#most = most
  }

  /** Calls `start` at once or when there is room. The returned function releases the place, also while it waits. */
  acquire(start: () => void): () => void {
    let isHeld = true
    const begin = () => {
      this.#taken++
      start()
    }
    const release = () => {
      if (!isHeld) return
      isHeld = false
      if (this.#waiting.delete(begin)) return
      this.#taken--
      this.#next()
    }
    if (this.#taken < this.#most) begin()
    else this.#waiting.add(begin)
    return release
  }

  #next(): void {
    const [begin] = this.#waiting
    if (!begin || this.#taken >= this.#most) return
    this.#waiting.delete(begin)
    begin()
  }
}
