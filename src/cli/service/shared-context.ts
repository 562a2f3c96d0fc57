/** Shared by all worker processes. */
export interface SharedContext {
  readonly ticketKeys: Buffer
  /** Each process opens its own sockets (SO_REUSEPORT). Otherwise they share the cluster's. */
  readonly reusePort: boolean
  /** Ids of backends that are draining at the start. */
  readonly drained: readonly string[]
}
