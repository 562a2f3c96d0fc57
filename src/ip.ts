import { remember } from './remember.ts'

/** RFC 3986 3.2.2: eight groups, or fewer with one '::'. An IPv4 address may replace the last two. No zone. */
export function isIPv6(text: string): boolean {
  const halves = text.split('::')
  if (halves.length > 2) return false
  let groups = 0
  for (const [at, half] of halves.entries()) {
    if (half === '') continue
    const parts = half.split(':')
    for (const [i, part] of parts.entries()) {
      const isLast = at === halves.length - 1 && i === parts.length - 1
      if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups += 1
      else if (isLast && isIPv4(part)) groups += 2
      else return false
    }
  }
  return halves.length === 2 ? groups <= 7 : groups === 8
}

/** Four decimal numbers without leading zeros. */
export function isIPv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}

/** The shortest form of an address, without its zone. IPv4-mapped addresses become IPv4 (RFC 4291 2.5.5.2). */
export function normalize(address: string): string {
  if (!address.includes(':')) return address
  // The form that the system gives to IPv4 clients of an IPv6 socket. A URL would cost more than the rest of an accept.
  const [, mapped] = /^::ffff:([\d.]+)$/i.exec(address) ?? []
  if (mapped !== undefined && isIPv4(mapped)) return mapped
  return shorten(address)
}

const MAX_SHORT_FORMS = 1_000

const shorten = remember(MAX_SHORT_FORMS, (address: string): string => {
  const plain = address.replace(/%.*/s, '')
  if (!isIPv6(plain)) return plain
  // URL writes an address in the form of RFC 5952.
  const short = new URL(`http://[${plain}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short) ?? []
  if (high === undefined || low === undefined) return short
  return [high, low].flatMap((half) => [Number.parseInt(half, 16) >> 8, Number.parseInt(half, 16) & 255]).join('.')
})

/**
 * The network that one client has: an IPv4 address, or the /64 of an IPv6 address (RFC 6177), as in '2001:db8:0:7::/64'.
 * `address` is as `normalize` returns it.
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const prefix = groupsOf(address).slice(0, 4).join(':')
  return `${prefix.replace(/(:0)+$/, '')}::/64`
}

/** A network that `networkOf` returned, as the halves of a number of 64 bits. */
export function networkNumber(network: string): [high: number, low: number] {
  // No host has an address in ff00::/8 (RFC 4291 2.4), so no /64 has the number of an IPv4 address.
  if (!network.includes(':'))
    return [0xffff_ffff, network.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)]
  const [a = 0, b = 0, c = 0, d = 0] = groupsOf(network.slice(0, -3)).map((group) => Number.parseInt(group, 16))
  return [a * 0x1_0000 + b, c * 0x1_0000 + d]
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): string[] {
  const [head = '', tail] = address.split('::')
  const before = head ? head.split(':') : []
  const after = tail ? tail.split(':') : []
  return [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
}
