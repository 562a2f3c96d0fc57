import type { Drainer } from './drain.ts'

/** What a Backend tells its balancer. */
export interface BackendEvents {
  /** Its availability, weight or number of connections has changed. */
  changed(): void
  up(): void
  down(cause: Error): void
  ejected(cause: Error): void
  /** Whether it drains has changed. `by`: who began or ended the drain. */
  drains(isDraining: boolean, by: Drainer): void
  /** An ejection is over. */
  returned(): void
  /** Whether enough others are left. */
  mayEject(): boolean
}
