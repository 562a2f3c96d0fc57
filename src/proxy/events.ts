import { channel } from 'node:diagnostics_channel'
import type { Head } from '../parser/index.ts'
import type { Dest } from './dest.ts'
import type { ProxyError } from './error.ts'
import type { RequestTimes } from './request-record.ts'

/** The messages of the channels. `C` is the type of a connection. */
export interface Events<C> {
  /** A connection was accepted. */
  open: { connection: C }
  /** A destination was chosen. Published again for each Dest that errback returns. */
  routed: { connection: C; head: Head; dest: Dest }
  /** A new connection to a backend is about to be opened. Not published if an idle one is used. */
  connecting: { connection: C; dest: Dest }
  /** The backend is connected. */
  connected: { connection: C; dest: Dest }
  /** A request head has arrived, and lookup is about to get it. With `requests: 'first'`, the first of a connection. */
  start: { connection: C; head: Head }
  /**
   * A final response begins: badass's own, a hook's, or with `requests: 'every'` a backend's. Otherwise the responses of
   * backends pass unread. `head` is undefined if the request head was refused, and `response` if the response is not a
   * backend's.
   */
  response: {
    connection: C
    head: Head | undefined
    dest: Dest | undefined
    status: number
    response: Head | undefined
    times: RequestTimes | undefined
  }
  /**
   * A request that started is over: its response was sent, or its connection is closed. After an upgrade, and with
   * `requests: 'first'`, that is when the connection closes. The bytes are those that the client's connection has moved
   * since the request before.
   */
  end: {
    connection: C
    head: Head
    dest: Dest | undefined
    status: number | undefined
    response: Head | undefined
    bytesRead: number
    bytesWritten: number
    times: RequestTimes
  }
  /** Something failed. The connection may continue with another destination. */
  error: { connection: C; error: ProxyError; dest: Dest | undefined }
  /** Both sockets are destroyed. This is the last message of each connection. */
  close: { connection: C }
}

type Name = keyof Events<unknown>

const channels = {
  open: channel('badass:connection:open'),
  routed: channel('badass:connection:routed'),
  connecting: channel('badass:connection:connecting'),
  connected: channel('badass:connection:connected'),
  start: channel('badass:request:start'),
  response: channel('badass:request:response'),
  end: channel('badass:request:end'),
  error: channel('badass:connection:error'),
  close: channel('badass:connection:close'),
}

/** Calls the listener for each message of a channel. Returns a function that ends the subscription. */
export function subscribe(name: Name, listener: (message: unknown) => void): () => void {
  channels[name].subscribe(listener)
  return () => void channels[name].unsubscribe(listener)
}

/** Listeners of this package. They do not count as subscribers, so mistakes in hooks are still printed. */
const followers = new Set<(message: Events<unknown>['error']) => void>()

/** Like `subscribe('error')`, but for this package: an error without other subscribers is still printed. */
export function follow(listener: (message: Events<unknown>['error']) => void): () => void {
  followers.add(listener)
  return () => void followers.delete(listener)
}

/** Check this before `publish`, so that a channel without subscribers costs nothing. */
export function hasSubscribers(name: Name): boolean {
  return channels[name].hasSubscribers
}

export function publish<K extends Name>(name: K, message: Events<unknown>[K]): void {
  channels[name].publish(message)
}

export function publishError(message: Events<unknown>['error']): void {
  for (const listener of followers) listener(message)
  channels.error.publish(message)
}
