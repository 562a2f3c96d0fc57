/** Steps in which the share grows. Sixteenths stay exact in sums and products of weights. */
const STEPS = 16

/** The share of its weight that a backend gets after it came up. It grows from a sixteenth to the whole. */
export class SlowStart {
  readonly #changed: () => void
  /** How long it takes (ms). 0: off. */
  #ms = 0
  #step = STEPS
  /** On the monotonic clock (ms). */
  #startedAt = 0
  #timer: NodeJS.Timeout | undefined

  /** `changed` is called for each step. */
  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** Above 0, up to 1. */
  get share(): number {
    return this.#step / STEPS
  }

  /** Sets how long it takes (ms). 0 ends one that runs. */
  use(ms: number): void {
    this.#ms = ms
    if (this.#step < STEPS) this.#grow()
  }

  /** The backend comes up. Its share becomes the least without a call of `changed`. */
  begin(): void {
    if (this.#ms === 0) return
    this.#step = 1
    this.#startedAt = performance.now()
    this.#schedule()
  }

  /** Ends it without a call of `changed`. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#step = STEPS
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const next = this.#startedAt + (this.#ms * this.#step) / (STEPS - 1)
    this.#timer = setTimeout(() => this.#grow(), Math.ceil(next - performance.now())).unref()
  }

  #grow(): void {
    const elapsed = performance.now() - this.#startedAt
    const step = elapsed < this.#ms ? 1 + Math.floor(((STEPS - 1) * elapsed) / this.#ms) : STEPS
    const isOther = step !== this.#step
    this.#step = step
    if (step < STEPS) this.#schedule()
    else clearTimeout(this.#timer)
    if (isOther) this.#changed()
  }
}
