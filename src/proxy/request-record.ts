import type { Head } from '../parser/index.ts'

/** Durations of a request in ms. A phase that the request has not reached is undefined. */
export interface RequestTimes {
  /** From the end of its head to the choice of a destination. */
  queue: number | undefined
  /** From there to the backend connection that was used, with failed attempts before it. */
  connect: number | undefined
  /** From there to the first byte of the response, interim responses included. */
  firstByte: number | undefined
  /** From the end of its head until now. */
  total: number
}

/** Collects what the channels tell about a request. Made only if a channel has subscribers. */
export class RequestRecord {
  /** With lookup's edits, once it has run. */
  readonly head: Head
  status: number | undefined
  /** The head of the backend's response. */
  response: Head | undefined
  readonly #start = performance.now()
  #routed: number | undefined
  #connected: number | undefined
  #answered: number | undefined

  constructor(head: Head) {
    this.head = head
  }

  routed(): void {
    this.#routed ??= performance.now()
  }

  connected(): void {
    this.#connected = performance.now()
    this.#answered = undefined
  }

  /** The backend has sent its first byte. */
  answered(): void {
    this.#answered = performance.now()
  }

  get times(): RequestTimes {
    return {
      queue: between(this.#start, this.#routed),
      connect: between(this.#routed, this.#connected),
      firstByte: between(this.#connected, this.#answered),
      total: performance.now() - this.#start,
    }
  }
}

function between(from: number | undefined, to: number | undefined): number | undefined {
  return from === undefined || to === undefined ? undefined : to - from
}
