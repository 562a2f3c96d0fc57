import { channel } from 'node:diagnostics_channel'
import type { Head } from '../parser/index.ts'
import type { Connection } from './connection.ts'
import type { ProxyError } from './error.ts'
import type { Dest } from './upstream.ts'

/**
 * What the channels of `node:diagnostics_channel` carry, by the last word of their names (`badass:connection:open` and
 * so on). A channel that nobody subscribes to costs one look at a flag.
 */
export interface ConnectionEvents {
  /** A connection was accepted. */
  open: { connection: Connection }
  /** A destination was found; again for each that errback gives. */
  routed: { connection: Connection; head: Head; dest: Dest }
  /** The destination was reached. */
  connected: { connection: Connection; dest: Dest }
  /** Something failed; a connection may go on after it, to another destination. */
  error: { connection: Connection; error: ProxyError; dest: Dest | undefined }
  /** Both sockets are destroyed. Comes once for each `open`, and last. */
  close: { connection: Connection }
}

const channels = {
  open: channel('badass:connection:open'),
  routed: channel('badass:connection:routed'),
  connected: channel('badass:connection:connected'),
  error: channel('badass:connection:error'),
  close: channel('badass:connection:close'),
}

/** Calls back for each message of a channel, until what is returned is called. */
export function hear<K extends keyof ConnectionEvents>(
  name: K,
  heard: (message: ConnectionEvents[K]) => void,
): () => void {
  const listener = (message: unknown) => heard(message as ConnectionEvents[K])
  channels[name].subscribe(listener)
  return () => void channels[name].unsubscribe(listener)
}

export function isHeard(name: keyof ConnectionEvents): boolean {
  return channels[name].hasSubscribers
}

export function publish<K extends keyof ConnectionEvents>(name: K, message: ConnectionEvents[K]): void {
  channels[name].publish(message)
}
