/** Shared by all worker processes. */
export interface SharedContext extends Operated {
  readonly ticketKeys: Buffer
  /** Each process opens its own sockets (SO_REUSEPORT). Otherwise they share the cluster's. */
  readonly reusePort: boolean
}

/** What an operator has changed before the start. */
export interface Operated {
  /** Ids of backends that are draining. */
  readonly drained: readonly string[]
  /** Weights of backends by their ids, in place of those of the config. */
  readonly weights: ReadonlyMap<string, number>
}
