import type { History } from './history.ts'
import type { SlowStart } from './slow-start.ts'

/** The weight of a backend: the operator's, or else that of its options. A slow start gives it a share of that. */
export class Weight {
  #ofOptions: number
  #ofOperator: number | undefined
  readonly #slowStart: SlowStart
  readonly #history: History

  constructor(ofOptions: number, slowStart: SlowStart, history: History) {
    this.#ofOptions = ofOptions
    this.#slowStart = slowStart
    this.#history = history
  }

  get inForce(): number {
    return this.#ofOperator ?? this.#ofOptions
  }

  get effective(): number {
    return this.inForce * this.#slowStart.share
  }

  /** The operator has set one. */
  get isOperators(): boolean {
    return this.#ofOperator !== undefined
  }

  setByOptions(weight: number): void {
    const before = this.inForce
    this.#ofOptions = weight
    this.#note(before, 'options')
  }

  /** Undefined: the one of the options is in force again. */
  setByOperator(weight: number | undefined): void {
    const before = this.inForce
    this.#ofOperator = weight
    this.#note(before, 'operator')
  }

  #note(before: number, by: 'operator' | 'options'): void {
    if (this.inForce !== before) this.#history.turned('weight', by, this.inForce)
  }
}
