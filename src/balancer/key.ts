import type { Head } from '../parser/index.ts'
import type { ClientInfo } from '../proxy/index.ts'
import { splitTarget } from '../request-target.ts'
import { show } from '../show.ts'

/** Returns the key that `hash` uses for a request. */
export type KeyOf = (head: Head, client: ClientInfo) => string

/** The part of a request that `hash` uses. */
export type KeyName = 'client' | 'path' | `${'header' | 'cookie' | 'query'}:${string}`

/**
 * Whether a value names a key. The names of fields and cookies are tokens (RFC 9110 5.1, RFC 6265 4.1.1), and that of a
 * query parameter is any text.
 */
export function isKey(value: unknown): value is KeyName {
  return typeof value === 'string' && /^(?:client|path|(?:header|cookie):[!#$%&'*+\-.^_`|~\w]+|query:.+)$/s.test(value)
}

/** Makes the function for a `key` option. Falls back to the client's address, which is empty for a Unix socket. */
export function keyReader(key: string | KeyOf): KeyOf {
  const read = readerOf(key)
  return (head, client) => read(head, client) || (client.remoteAddress ?? '')
}

function readerOf(key: string | KeyOf): (head: Head, client: ClientInfo) => string | undefined {
  if (typeof key === 'function') return (head, client) => checked(key(head, client))
  if (key === 'client') return () => undefined
  if (key === 'path') return (head) => splitTarget(head)?.path
  const [kind] = key.split(':', 1)
  const name = key.slice(kind!.length + 1)
  if (kind === 'cookie') return (head) => cookieOf(head, name)
  if (kind === 'query') return (head) => new URLSearchParams(splitTarget(head)?.query).get(name) ?? undefined
  return (head) => head.get(name)
}

/** The value of the first cookie with that name (RFC 6265 5.4). */
function cookieOf(head: Head, name: string): string | undefined {
  const prefix = `${name}=`
  const pairs = head.getAll('cookie').flatMap((field) => field.split(';'))
  return pairs
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(prefix))
    ?.slice(prefix.length)
}

/** @throws {TypeError} for anything but a string or nothing, which would give all clients one key */
function checked(key: unknown): string | undefined {
  if (key === undefined || key === null || typeof key === 'string') return key ?? undefined
  throw new TypeError(`key: returned ${show(key)}; expected a string`)
}
