import { type ProxyErrorCode, proxyErrorCodes } from './error.ts'

/**
 * How a connection ended: the code of its last error, 'ok' without an error or if a backend was reached after it, or
 * 'silent' if the client sent no byte of a request.
 */
export type ConnectionOutcome = ProxyErrorCode | 'ok' | 'silent'

/** Counts since the start. */
export interface Counters {
  /** Connections accepted. */
  accepted: number
  /** Open connections. */
  open: number
  /** Successful connections to backends. With `requests: 'every'`, reused ones count again. */
  connected: number
  /** Request heads that were routed. With `requests: 'first'`, one of each connection. */
  requests: number
  /** Requests that went to a backend connection which had served another one. */
  reuses: number
  /** Requests that were sent again: the connection that they reused failed, or `errback` named another Dest. */
  retries: number
  /** Refused request heads and PROXY headers: malformed, too large, or from an untrusted peer. */
  badHeads: number
  /** Failed connections to backends. One client connection may count several. */
  connectFailures: number
  /** Bytes received from clients. */
  bytesRead: number
  /** Bytes sent to clients. */
  bytesWritten: number
  /** Closed connections by outcome. Their sum and `open` make `accepted`. */
  outcomes: Record<ConnectionOutcome, number>
}

/** Counters at zero. */
export function newCounters(): Counters {
  const outcomes = ['ok', 'silent', ...Object.keys(proxyErrorCodes)].map((outcome) => [outcome, 0])
  return {
    accepted: 0,
    open: 0,
    connected: 0,
    requests: 0,
    reuses: 0,
    retries: 0,
    badHeads: 0,
    connectFailures: 0,
    bytesRead: 0,
    bytesWritten: 0,
    outcomes: Object.fromEntries(outcomes),
  }
}

/** Adds up the counters of several servers. */
export function addUp(all: Iterable<Readonly<Counters>>): Counters {
  const { outcomes, ...sum } = newCounters()
  for (const { outcomes: more, ...counts } of all) {
    add(sum, counts)
    add(outcomes, more)
  }
  return { ...sum, outcomes }
}

function add<K extends string>(sum: Record<K, number>, more: Readonly<Record<K, number>>): void {
  for (const name of Object.keys(sum) as K[]) sum[name] += more[name]
}
