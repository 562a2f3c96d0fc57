import type { Backoff } from '../backoff.ts'
import type { EjectSettings } from './eject-options.ts'
import type { HealthSettings } from './health/index.ts'

/** When backends go down or are ejected, and how they come back. */
export interface BackendRules {
  readonly health: HealthSettings | undefined
  readonly backoff: Backoff
  readonly eject: EjectSettings | undefined
  /** ms; 0: none. */
  readonly slowStart: number
}
