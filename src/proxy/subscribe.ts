import type { Connection } from './connection.ts'
import { type Events, follow, subscribe as subscribeUntyped } from './events.ts'

/**
 * The messages of the `node:diagnostics_channel` channels, by the last part of their names (`badass:connection:open`
 * and so on). A channel without subscribers costs one check of a flag.
 */
export type ConnectionEvents = Events<Connection>

/** Calls the listener for each message of a channel. Returns a function that ends the subscription. */
export function subscribe<K extends keyof ConnectionEvents>(
  name: K,
  listener: (message: ConnectionEvents[K]) => void,
): () => void {
  return subscribeUntyped(name, (message) => listener(message as ConnectionEvents[K]))
}

/** Like `subscribe('error')`, but does not count as a subscriber. */
export function followErrors(listener: (message: ConnectionEvents['error']) => void): () => void {
  return follow((message) => listener(message as ConnectionEvents['error']))
}
