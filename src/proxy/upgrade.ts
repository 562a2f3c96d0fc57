import type { Head } from '../parser/index.ts'

/** RFC 9110 7.8: protocol = protocol-name ["/" protocol-version]. */
const PROTOCOL = /^[!#$%&'*+\-.^_`|~\w]+(?:\/[!#$%&'*+\-.^_`|~\w]+)?$/
/** HTTP/2 (RFC 7540 3.2): the hooks would not see its requests. */
const H2C = /^h2c?(?:\/|$)/i
const NO_PROTOCOLS: ReadonlySet<string> = new Set()

/** The elements of a list field (RFC 9110 5.6.1). */
export function listOf(value = ''): string[] {
  return value.split(',').map((element) => element.trim())
}

/** Returns the protocols to offer to the backend, and removes all others from Upgrade. */
export function offer(head: Head, mayUpgrade: boolean): ReadonlySet<string> {
  const value = head.get('upgrade')
  if (value === undefined) return NO_PROTOCOLS
  const all = listOf(value)
  const isList = all.every((name) => name === '' || PROTOCOL.test(name))
  const kept = mayUpgrade && isList ? all.filter((name) => name !== '' && !H2C.test(name)) : []
  if (kept.length === 0) head.delete('Upgrade')
  else if (kept.length < all.length) head.set('Upgrade', kept.join(', '))
  return new Set(kept.map((name) => name.toLowerCase()))
}
