import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'
import type { Head } from '../parser/index.ts'
import { keysOf, SECRET_RULE, type Secret } from '../secret.ts'
import { flag, type Rules, validateOptions } from '../validate.ts'
import { missingFor, scopeBeside } from './cookie-scope.ts'
import { splitPair, trimBlanks } from './set-cookie.ts'

/** An HMAC-SHA256 (32 bytes) in base64url. */
const SIGNATURE_LENGTH = 43

export interface CookieOptions {
  /**
   * Name of the sticky cookie. Default 'sticky'. Browsers accept a `__Secure-` or `__Host-` cookie only with certain
   * attributes (RFC 6265bis 4.1.3). These are added; with `insert`, `attributes` must contain them.
   */
  name?: string
  /**
   * Set the cookie on the first response of every connection, with `attributes`. With `requests: 'every'`, on every
   * response to a client that did not bring it, or in which the application sets a cookie. Default false: only when the
   * application sets a cookie, with the attributes of that one.
   */
  insert?: boolean
  /**
   * Name of the application's cookie to follow, usually its session cookie. Default: any; of several, the one with the
   * shortest Path, then the longest life. Not allowed with `insert`.
   */
  beside?: string | undefined
  /**
   * Remove the cookie from the request, so that the backend does not see it. Default false. With `requests: 'first'`,
   * the backend sees it in the later requests of a connection.
   */
  indirect?: boolean
  /**
   * Sign the value (HMAC-SHA256) and ignore values without a valid signature. In a list the first secret signs, and all
   * verify.
   */
  secret?: Secret | readonly Secret[]
  /** Attributes of the cookie with `insert`, as in 'Path=/; Max-Age=3600'. Default 'Path=/; HttpOnly'. */
  attributes?: string
}

const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/

const RULES: Rules<keyof CookieOptions> = {
  name: {
    expected: 'a token (RFC 6265 4.1.1)',
    validate: (value) => typeof value === 'string' && TOKEN.test(value),
    default: 'sticky',
  },
  insert: flag(false),
  beside: {
    expected: "the name of an application's cookie",
    validate: (value) => value === undefined || (typeof value === 'string' && TOKEN.test(value)),
  },
  indirect: flag(false),
  secret: SECRET_RULE,
  attributes: {
    expected: "cookie attributes, as in 'Path=/; Secure'",
    validate: (value) => typeof value === 'string' && (value === '' || value.split(';').every(isAttribute)),
    default: 'Path=/; HttpOnly',
  },
}

/** Signatures to cache. There are few backends, but perhaps as many other values as clients. */
const MAX_SIGNATURES = 1_000

/** Reads, removes and sets the sticky cookie (RFC 6265). */
export class StickyCookie {
  readonly #name: string
  readonly #insert: boolean
  readonly #beside: string | undefined
  readonly #indirect: boolean
  readonly #keys: readonly KeyObject[]
  readonly #attributes: string
  /** Cached signatures by the first key. Signing takes longer than everything else here. */
  readonly #signatures = new Map<string, string>()

  /** @throws {TypeError} for an unknown or invalid option */
  constructor(options: CookieOptions) {
    const checked = validateOptions('cookie', RULES, options) as Required<CookieOptions>
    const { name, insert, beside, indirect, secret, attributes } = checked
    checkTogether(checked)
    this.#name = name
    this.#insert = insert
    this.#beside = beside
    this.#indirect = indirect
    this.#keys = keysOf(secret)
    this.#attributes = attributes
  }

  /**
   * The sticky value of a request; of several cookies with the name, the first valid one. Removes them all from the
   * head if the cookie is `indirect`.
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
   * Sets the cookie in a response, as a separate Set-Cookie field after the others: appended to the application's line
   * it would cut that cookie short (RFC 6265 5.2).
   */
  write(head: Head, value: string, target = '/'): void {
    const scope = this.#scopeIn(head, target)
    if (scope !== undefined) head.append('Set-Cookie', `${this.#name}=${this.#encode(value)}${scope}`)
  }

  /**
   * Sets the cookie in the response to a request. If every request is read, the client's own cookie counts: it needs no
   * other with the same value.
   */
  answer(response: Head, value: string | undefined, request: Head, isEvery: boolean): void {
    if (!value || (isEvery && this.isKnown(request, response, value))) return
    this.write(response, value, request.target)
  }

  /** Whether the client has the cookie that `insert` would set, and the application sets none that it should outlive. */
  isKnown(request: Head, response: Head, value: string): boolean {
    if (!this.#insert || response.has('set-cookie')) return false
    const pairs = request.getAll('cookie').flatMap((field) => field.split(';').map(splitPair))
    const ours = pairs.filter(([name, text]) => name === this.#name && text !== undefined)
    // With several of the name, the other one may have been read.
    return ours.length > 0 && ours.every(([, text]) => text === this.#encode(value))
  }

  /** The attributes; undefined if no cookie is to be set. */
  #scopeIn(head: Head, target: string): string | undefined {
    if (this.#insert) return this.#attributes && `; ${this.#attributes}`
    return scopeBeside(head.getAll('set-cookie'), { name: this.#name, beside: this.#beside, target })
  }

  #encode(value: string): string {
    const text = encodeURIComponent(value)
    const [key] = this.#keys
    if (key === undefined) return text
    let signature = this.#signatures.get(text)
    if (signature === undefined) {
      signature = this.#sign(text, key)
      if (this.#signatures.size === MAX_SIGNATURES) this.#signatures.clear()
      this.#signatures.set(text, signature)
    }
    return `${text}.${signature}`
  }

  /** The value in a cookie; undefined if it is empty, badly encoded or, with a secret, not signed. */
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
      return undefined // not UTF-8
    }
  }

  #isSigned(text: string, signature: string): boolean {
    // Skip anything of another length: a head has room for thousands of them.
    if (signature.length !== SIGNATURE_LENGTH) return false
    // Compare the text, not the bytes: several base64url texts decode to the same bytes.
    const given = Buffer.from(signature, 'latin1')
    const isRight = (expected: string) => timingSafeEqual(given, Buffer.from(expected, 'latin1'))
    const known = this.#signatures.get(text)
    return (known !== undefined && isRight(known)) || this.#keys.some((key) => isRight(this.#sign(text, key)))
  }

  /** The signature covers the name, so that another cookie signed with this secret is not accepted. */
  #sign(text: string, key: KeyObject): string {
    return createHmac('sha256', key).update(`${this.#name}=${text}`).digest('base64url')
  }
}

/** Whether a cookie can carry a value: encodeURIComponent throws on lone surrogates. */
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

/** Removes the quotes around a cookie value (RFC 6265 4.1.1). */
function unquote(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}

/** Whether a text is a token, with or without a value of printable ASCII. */
function isAttribute(text: string): boolean {
  return /^ *[!#$%&'*+\-.^_`|~\w]+ *(=[\x20-\x7e]*)?$/.test(text)
}

/** @throws {TypeError} for options that are valid alone but not together */
function checkTogether({ name, insert, beside, attributes }: Required<CookieOptions>): void {
  if (!insert) return
  if (beside !== undefined) throw new TypeError('cookie.beside: has no effect with insert')
  const missing = missingFor(name, attributes)
  if (missing === undefined) return
  throw new TypeError(
    `cookie.attributes: expected ${missing} with the name ${inspect(name)}, got ${inspect(attributes)}`,
  )
}
