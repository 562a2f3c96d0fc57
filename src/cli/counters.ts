import type { Counters } from '../index.ts'
import { addUp } from '../proxy/index.ts'

/** Counts of the service itself. */
const OWN = {
  /** Failed TLS handshakes, plain HTTP on a TLS port included. */
  handshakeFailures: 0,
  /** Clients over `maxConnections`. */
  turnedAway: 0,
  /** Connections over `maxConnectionsPerClient`. */
  limitedConnections: 0,
  /** Requests that got a 429, because their client was over a limit. */
  limitedRequests: 0,
  /** Requests that wait for a backend now. */
  queued: 0,
}

/** The counters of the proxies, and those of the service itself. */
export type ServiceCounters = Counters & typeof OWN

/** Adds up the counters of several services. */
export function addUpServices(all: readonly Readonly<ServiceCounters>[]): ServiceCounters {
  const own = { ...OWN }
  for (const one of all) for (const name of Object.keys(OWN) as (keyof typeof OWN)[]) own[name] += one[name]
  return { ...addUp(all), ...own }
}
