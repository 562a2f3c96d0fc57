/** An element of Forwarded: its parameters by name, in lower case (RFC 7239 4). */
export type Element = ReadonlyMap<string, string>

/**
 * A parameter and its end. Values that should be quoted because of a colon or brackets are taken without quotes too:
 * they cannot be read in two ways.
 */
const PAIR = /[ \t]*(?:([!#$%&'*+\-.^_`|~\w]+)=(?:([!#$%&'*+\-.^_`|~\w:[\]]+)|"((?:[^"\\]|\\.)*)")[ \t]*)?([;,]|$)/y
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/

/** Parses the value of Forwarded. Undefined if it is malformed: what is appended to it could then be misread. */
export function parseElements(value: string): Element[] | undefined {
  const elements: Element[] = []
  let element = new Map<string, string>()
  PAIR.lastIndex = 0
  for (;;) {
    const match = PAIR.exec(value)
    if (!match) return undefined
    const [, name, plain, quoted, end] = match
    if (name !== undefined) {
      const key = name.toLowerCase()
      // RFC 7239 4: a parameter occurs once in an element.
      if (element.has(key)) return undefined
      element.set(key, plain ?? quoted!.replaceAll(/\\(.)/g, '$1'))
    }
    if (end === ';') continue
    // Empty elements are allowed (RFC 9110 5.6.1.2).
    if (element.size > 0) elements.push(element)
    if (end === '') return elements
    element = new Map()
  }
}

/** Writes an element. An address of IPv6 stands in brackets (RFC 7239 6). */
export function elementOf(address: string | undefined, host: string | undefined, scheme: string): string {
  const node = address?.includes(':') ? `[${address.replace(/%.*/, '')}]` : address
  const pairs = Object.entries({ for: node, host, proto: scheme })
  return pairs.flatMap(([name, value]) => (value ? `${name}=${quotedIfNeeded(value)}` : [])).join(';')
}

function quotedIfNeeded(value: string): string {
  return TOKEN.test(value) ? value : `"${value.replaceAll(/["\\]/g, '\\$&')}"`
}
