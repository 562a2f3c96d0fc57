import type { AdminStatus } from './controls.ts'
import { type Moved, Series } from './series.ts'

/** Counts since the start. A restarted worker or a backend that is added again may set them back. */
export type Counts = Pick<AdminStatus, 'connections' | 'total' | 'bytesRead' | 'bytesWritten'>

/** The samples of a service or a backend, from its counts. */
export class CountedSeries extends Series {
  /** The name of the backend's pool. */
  readonly pool: string
  #now: Counts | undefined
  /** As of the sample before. */
  #then: Counts | undefined

  constructor(n: number, pool = '') {
    super(n)
    this.pool = pool
  }

  /** It has counts of the present sample. */
  get isPresent(): boolean {
    return this.#now !== undefined
  }

  /** Adds counts of the present sample. */
  add(counts: Counts): void {
    const { connections, total, bytesRead, bytesWritten } = counts
    const sum = this.#now
    this.#now = {
      connections: connections + (sum?.connections ?? 0),
      total: total + (sum?.total ?? 0),
      bytesRead: bytesRead + (sum?.bytesRead ?? 0),
      bytesWritten: bytesWritten + (sum?.bytesWritten ?? 0),
    }
  }

  /** Call this when the counts of a sample are complete. `pool`: the one to which they count too. */
  settle(pool?: Series): void {
    const [now, then] = [this.#now, this.#then]
    this.#now = undefined
    this.#then = now
    if (!now) return
    for (const one of pool ? [this, pool] : [this]) {
      one.addOpen(now.connections)
      if (then) one.addMoved(differenceOf(now, then))
    }
  }
}

/** If a count went down, what moved since is unknown, and nothing is added. */
function differenceOf(now: Counts, then: Counts): Moved {
  return {
    total: Math.max(0, now.total - then.total),
    read: Math.max(0, now.bytesRead - then.bytesRead),
    written: Math.max(0, now.bytesWritten - then.bytesWritten),
  }
}
