import { inspect } from 'node:util'
import type { Head } from '../../parser/index.ts'
import type { ClientInfo } from '../../proxy/index.ts'

/** What the hash of a request goes by. */
export type KeyOf = (head: Head, client: ClientInfo) => string

/** Reads the key that an option names; the client's address where there is none. */
export function keyReader(key: string | KeyOf): KeyOf {
  const read = readerOf(key)
  return (head, client) => read(head, client) || addressOf(client)
}

function readerOf(key: string | KeyOf): (head: Head, client: ClientInfo) => string | undefined {
  if (typeof key === 'function') return (head, client) => checked(key(head, client))
  if (key === 'client') return () => undefined
  if (key === 'path') return (head) => pathOf(head.target ?? '')
  const name = key.slice('header:'.length)
  return (head) => head.get(name)
}

/** @throws {TypeError} on what is neither a string nor nothing: every client would have the same key */
function checked(key: unknown): string | undefined {
  if (key === undefined || key === null || typeof key === 'string') return key ?? undefined
  throw new TypeError(`key: returned ${inspect(key, { depth: 0 })}; takes a string`)
}

/** The path of a target (RFC 9112 3.2), without its query. None in '*', which also begins an HTTP/2 connection. */
function pathOf(target: string): string | undefined {
  if (target === '*') return undefined
  const path = target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?]*/i, '').replace(/\?.*/s, '')
  return path === '' ? '/' : path
}

/** The same for a client whether the listener that took it knows of IPv6 or not. Empty for one of a Unix socket. */
function addressOf({ remoteAddress = '' }: ClientInfo): string {
  return remoteAddress.replace(/^::ffff:(?=[\d.]+$)/i, '')
}
