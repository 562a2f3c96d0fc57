import { type Figures, History, INTERVAL_MS } from './history.ts'

/** Takes samples while it is on. */
export class Sampler {
  readonly #take: () => Promise<Figures>
  #history = new History()
  #timer: NodeJS.Timeout | undefined
  #isTaking = false

  /** `take` returns the present figures. */
  constructor(take: () => Promise<Figures>) {
    this.#take = take
  }

  /** Empty while it is off. */
  get history(): History {
    return this.#history
  }

  start(): void {
    if (this.#timer) return
    this.#timer = setInterval(() => void this.#sample(), INTERVAL_MS).unref()
    void this.#sample()
  }

  /** Forgets all samples. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#history = new History()
  }

  async #sample(): Promise<void> {
    if (this.#isTaking) return
    this.#isTaking = true
    const history = this.#history
    try {
      history.add(await this.#take())
    } finally {
      this.#isTaking = false
    }
  }
}
