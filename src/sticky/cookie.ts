import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'
import type { Head } from '../parser/index.ts'
import { checkBy, flag, type Rule } from '../proxy/index.ts'
import { keysOf, SECRET_RULE, type Secret } from './secret.ts'
import { isDeletion, parseAttributes, scopeOf, splitPair, trimBlanks } from './set-cookie.ts'

/** The 32 bytes of an HMAC-SHA256 in base64url. */
const SIGNATURE_LENGTH = 43

export interface CookieOptions {
  /**
   * The sticky cookie's name. Default 'sticky'. Browsers drop a `__Secure-` or `__Host-` cookie without the scope that
   * its prefix stands for (RFC 6265bis 4.1.3): the application's cookies, which it rides with, must have that scope.
   */
  name?: string
  /** Set the cookie on every first response of a connection, not only beside a cookie of the application. Default false. */
  insert?: boolean
  /** Take the cookie out of the request before the backend sees it. Default false. */
  indirect?: boolean
  /** Sign the value (HMAC-SHA256); a value that is not signed reads as none. In a list the first signs and each is taken. */
  secret?: Secret | readonly Secret[]
  /** The scope where `insert` finds no cookie of the application to ride with. Default 'Path=/; HttpOnly'. */
  attributes?: string
}

const RULES: Readonly<Record<keyof CookieOptions, Rule>> = {
  name: {
    takes: 'a token (RFC 6265 4.1.1)',
    isRight: (value) => typeof value === 'string' && /^[!#$%&'*+\-.^_`|~\w]+$/.test(value),
    byDefault: 'sticky',
  },
  insert: flag(false),
  indirect: flag(false),
  secret: SECRET_RULE,
  attributes: {
    takes: "cookie attributes, as in 'Path=/; Secure'",
    isRight: (value) => typeof value === 'string' && (value === '' || value.split(';').every(isAttribute)),
    byDefault: 'Path=/; HttpOnly',
  },
}

/** Values whose signatures are kept. Those of homes are few; others may be as many as there are clients. */
const MOST_SIGNATURES = 1_000

/** What the prefix of a name asks of the scope (RFC 6265bis 4.1.3), in any case (5.4). */
const PREFIXES: readonly { prefix: RegExp; takes: string; isMetBy(attributes: Map<string, string>): boolean }[] = [
  { prefix: /^__secure-/i, takes: 'Secure', isMetBy: (attributes) => attributes.has('secure') },
  {
    prefix: /^__host-/i,
    takes: 'Secure, Path=/ and no Domain',
    isMetBy: (attributes) => attributes.has('secure') && attributes.get('path') === '/' && !attributes.has('domain'),
  },
]

/** Reads, hides and sets the cookie that names a client's home (RFC 6265). */
export class StickyCookie {
  readonly #name: string
  readonly #insert: boolean
  readonly #indirect: boolean
  readonly #keys: readonly KeyObject[]
  readonly #attributes: string
  /** Of values that were set, by the first key: to sign one takes longer than all else that there is to do for it. */
  readonly #signatures = new Map<string, string>()

  /** @throws {TypeError} on an option that is unknown or wrong */
  constructor(options: CookieOptions) {
    const { name, insert, indirect, secret, attributes } = checkBy('cookie', RULES, options) as Required<CookieOptions>
    if (insert) checkPrefix(name, attributes)
    this.#name = name
    this.#insert = insert
    this.#indirect = indirect
    this.#keys = keysOf(secret)
    this.#attributes = attributes
  }

  /**
   * The value that the client brings: of several cookies of the name, the first that is right. Takes them out of the
   * head where the cookie is `indirect`.
   */
  read(head: Head): string | undefined {
    let found: string | undefined
    let isHidden = false
    const fields: string[] = []
    for (const field of head.getAll('cookie')) {
      const pairs = field.split(';')
      const others = pairs.filter((pair) => {
        const [name, value] = splitPair(pair)
        if (name !== this.#name || value === undefined) return true
        found ??= this.#decode(unquote(value))
        return false
      })
      const isOurs = others.length < pairs.length
      isHidden ||= isOurs && this.#indirect
      if (!isOurs || others.some((pair) => trimBlanks(pair) !== '')) fields.push(others.join(';'))
    }
    if (isHidden) head.set('Cookie', fields)
    return found
  }

  /**
   * Sets the cookie in a response, as a field of its own after the others: beside a cookie of the application, with
   * the scope of that one. Written into the application's own line it would end that cookie (RFC 6265 5.2).
   */
  write(head: Head, value: string): void {
    const theirs = head.getAll('set-cookie')
    const living = theirs.find((cookie) => !isDeletion(cookie))
    let scope: string
    if (living !== undefined) scope = scopeOf(living)
    else if (this.#insert) scope = this.#attributes && `; ${this.#attributes}`
    // Where the application only deletes, the home goes with the session.
    else if (theirs[0] !== undefined) scope = scopeOf(theirs[0])
    else return
    head.append('Set-Cookie', `${this.#name}=${this.#encode(value)}${scope}`)
  }

  #encode(value: string): string {
    const text = encodeURIComponent(value)
    const [key] = this.#keys
    if (key === undefined) return text
    let signature = this.#signatures.get(text)
    if (signature === undefined) {
      signature = this.#sign(text, key)
      if (this.#signatures.size === MOST_SIGNATURES) this.#signatures.clear()
      this.#signatures.set(text, signature)
    }
    return `${text}.${signature}`
  }

  /** Undefined for an empty value, for bad percent-encoding, and with a secret for all that `#encode` has not made. */
  #decode(raw: string): string | undefined {
    let text = raw
    if (this.#keys.length > 0) {
      const dot = raw.lastIndexOf('.')
      if (dot < 0) return undefined
      text = raw.slice(0, dot)
      if (!this.#isSigned(text, raw.slice(dot + 1))) return undefined
    }
    try {
      return decodeURIComponent(text) || undefined
    } catch {
      return undefined // not UTF-8 behind the percent signs
    }
  }

  #isSigned(text: string, signature: string): boolean {
    // No work for what can be no signature: a head has room for thousands of them.
    if (signature.length !== SIGNATURE_LENGTH) return false
    // Compared as text: base64url has several texts for the same bytes, and only one is what was sent.
    const given = Buffer.from(signature, 'latin1')
    const isRight = (expected: string) => timingSafeEqual(given, Buffer.from(expected, 'latin1'))
    const known = this.#signatures.get(text)
    return (known !== undefined && isRight(known)) || this.#keys.some((key) => isRight(this.#sign(text, key)))
  }

  /** The name is signed too, so that no other cookie of the same secret can stand in for this one. */
  #sign(text: string, key: KeyObject): string {
    return createHmac('sha256', key).update(`${this.#name}=${text}`).digest('base64url')
  }
}

/** Whether a value can be carried: encodeURIComponent refuses lone surrogates. */
export function isStickyValue(value: unknown): value is string | undefined {
  if (value === undefined) return true
  if (typeof value !== 'string') return false
  try {
    encodeURIComponent(value)
    return true
  } catch {
    return false
  }
}

/** A cookie's value may stand in quotes, which are no part of it (RFC 6265 4.1.1). */
function unquote(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}

/** A token, with or without a value of visible ASCII. */
function isAttribute(text: string): boolean {
  return /^ *[!#$%&'*+\-.^_`|~\w]+ *(=[\x20-\x7e]*)?$/.test(text)
}

/** @throws {TypeError} where browsers would drop each cookie that `insert` sets */
function checkPrefix(name: string, attributes: string): void {
  const given = new Map(parseAttributes(attributes))
  for (const { prefix, takes, isMetBy } of PREFIXES) {
    if (!prefix.test(name) || isMetBy(given)) continue
    throw new TypeError(`cookie.attributes: got ${inspect(attributes)}; takes ${takes} with the name ${inspect(name)}`)
  }
}
