import type { Counters } from '../index.ts'
import { addUp } from '../proxy/index.ts'

/** The counters of the proxies, and those of the service itself. */
export interface ServiceCounters extends Counters {
  /** Failed TLS handshakes, plain HTTP on a TLS port included. */
  handshakeFailures: number
  /** Clients over `maxConnections`. */
  turnedAway: number
  /** Requests that wait for a backend now. */
  queued: number
}

/** Adds up the counters of several services. */
export function addUpServices(all: readonly Readonly<ServiceCounters>[]): ServiceCounters {
  const sum = { ...addUp(all), handshakeFailures: 0, turnedAway: 0, queued: 0 }
  for (const { handshakeFailures, turnedAway, queued } of all) {
    sum.handshakeFailures += handshakeFailures
    sum.turnedAway += turnedAway
    sum.queued += queued
  }
  return sum
}
