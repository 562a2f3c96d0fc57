import { type Authority, hostEnd, readAuthority, readTarget } from './authority.ts'
import * as BYTES from './bytes.ts'
import type { HeadErrorCode } from './error.ts'
import { FIRST_FIELD, isNamed, lineEnd, type Marks } from './field.ts'
import { GUARDED, X_FORWARDED } from './guarded-names.ts'
import type { HeadKind } from './head.ts'

const { all, equals, equalsIgnoringCase, dropBlanks, skipBlanks } = BYTES
const { COMMA, DIGIT, DIGIT_0, LOWER_C, LOWER_H, LOWER_T, TOKEN } = BYTES

/** A broken rule, and its offset in the head in bytes. */
export interface Fault {
  code: HeadErrorCode
  at: number
}

/** A value that replaces all values of the field. */
export interface Repair {
  name: 'Host' | 'Content-Length'
  value: string
}

/** Checks a head whose syntax is valid. Returns undefined if it needs no change. */
export type Rules = (kind: HeadKind, bytes: Buffer, marks: Marks) => Fault | Repair | undefined

/** The first bytes of an HTTP/2 connection (RFC 9113 3.4). */
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/**
 * The rules on version, framing, Host and Connection. If two parsers disagreed on one of these, a request could be
 * smuggled inside another (RFC 9112 3.2, 6.1, 6.3, 11.2).
 */
export const checkRules: Rules = (kind, bytes, marks) => {
  if (kind === 'request') return checkRequest(bytes, marks)
  if (!isHttp1(bytes, 0, marks[0]!)) return { code: 'UNSUPPORTED_VERSION', at: 0 }
  return checkFields(bytes, marks, new FieldRules(bytes, isHttp10(bytes, marks[0]!), 'response'))
}

function checkRequest(bytes: Buffer, marks: Marks): Fault | Repair | undefined {
  const methodEnd = marks[0]!
  const targetStart = methodEnd + 1
  const targetEnd = marks[1]!
  const versionStart = targetEnd + 1
  const versionEnd = marks[2]!
  if (equals(bytes, 0, methodEnd, 'PRI')) {
    // HTTP/1 requests do not use this method (RFC 9113 11.6).
    return equals(bytes, 0, bytes.length, PREFACE) ? undefined : { code: 'BAD_PREFACE', at: 0 }
  }
  if (!isHttp1(bytes, versionStart, versionEnd)) return { code: 'UNSUPPORTED_VERSION', at: versionStart }
  const target = readTarget(bytes, methodEnd, targetStart, targetEnd)
  if (!target) return { code: 'BAD_TARGET', at: targetStart }
  return checkFields(bytes, marks, new FieldRules(bytes, isHttp10(bytes, versionEnd), target))
}

/**
 * The rules for `LenientScanner`. Equal Content-Length values merge (RFC 9110 8.6). A framing field whose value was
 * repaired is refused, because parsers may disagree about it. `repaired` holds the mark indexes of repaired values.
 */
export function checkLenient(bytes: Buffer, marks: Marks, repaired: ReadonlySet<number>): Fault | Repair | undefined {
  for (const k of repaired) {
    const rule = ruleOf(bytes, marks[k]!)
    if (rule === 'content-length') return { code: 'BAD_CONTENT_LENGTH', at: marks[k]! }
    if (rule === 'transfer-encoding') return { code: 'BAD_TRANSFER_ENCODING', at: marks[k]! }
  }
  return checkFields(bytes, marks, new FieldRules(bytes, isHttp10(bytes, marks[0]!), 'response', true))
}

function isHttp1(bytes: Buffer, start: number, end: number): boolean {
  return equals(bytes, start, end, 'HTTP/1.1') || equals(bytes, start, end, 'HTTP/1.0')
}

function isHttp10(bytes: Buffer, versionEnd: number): boolean {
  return bytes[versionEnd - 1] === DIGIT_0
}

/** Goes over the names once, and reads only the values of fields that have a rule. */
function checkFields(bytes: Buffer, marks: Marks, rules: FieldRules): Fault | Repair | undefined {
  for (let k = FIRST_FIELD; k < marks.length; k++) {
    const name = marks[k]!
    const rule = ruleOf(bytes, name)
    if (!rule) continue
    const line = lineEnd(bytes, marks, k)
    const start = skipBlanks(bytes, name + rule.length + 1, line)
    const fault = rules.check(rule, name, start, dropBlanks(bytes, start, line))
    if (fault) return fault
  }
  return rules.finish()
}

type RuledName = 'host' | 'connection' | 'content-length' | 'transfer-encoding'

/** Returns the field's name if there is a rule for it. Most fields are ruled out by their first letter. */
function ruleOf(bytes: Buffer, start: number): RuledName | undefined {
  switch (bytes[start]! | 0x20) {
    case LOWER_H:
      return isNamed(bytes, start, 'host') ? 'host' : undefined
    case LOWER_C:
      if (isNamed(bytes, start, 'connection')) return 'connection'
      return isNamed(bytes, start, 'content-length') ? 'content-length' : undefined
    case LOWER_T:
      return isNamed(bytes, start, 'transfer-encoding') ? 'transfer-encoding' : undefined
    default:
      return undefined
  }
}

/**
 * Checks the fields of one head. In a response, Host is optional, Connection is not checked, and the last coding may be
 * other than chunked: the body then ends when the connection closes (RFC 9112 6.3).
 */
class FieldRules {
  readonly #bytes: Buffer
  readonly #isHttp10: boolean
  readonly #target: Authority | 'none' | 'response'
  readonly #isLenient: boolean
  #host: Authority | 'none' | undefined
  #lengthAt = -1
  #length = 0
  /** The value of several equal lengths. */
  #merged: string | undefined
  #encodingAt = -1
  #isChunked = false

  constructor(bytes: Buffer, isHttp10: boolean, target: Authority | 'none' | 'response', isLenient = false) {
    this.#bytes = bytes
    this.#isHttp10 = isHttp10
    this.#target = target
    this.#isLenient = isLenient
  }

  /** Checks one field. `name` is the offset of its line; its value goes from `start` to `end`. */
  check(rule: RuledName, name: number, start: number, end: number): Fault | undefined {
    switch (rule) {
      case 'host':
        return this.#target === 'response' ? undefined : this.#checkHost(name, start, end)
      case 'connection':
        return this.#target === 'response' ? undefined : checkConnection(this.#bytes, start, end)
      case 'content-length':
        return this.#checkLength(name, start, end)
      case 'transfer-encoding':
        return this.#checkEncoding(start, end)
    }
  }

  finish(): Fault | Repair | undefined {
    const target = this.#target
    if (this.#encodingAt >= 0) {
      if (this.#lengthAt >= 0) return { code: 'LENGTH_AND_ENCODING', at: Math.max(this.#encodingAt, this.#lengthAt) }
      if (this.#isHttp10) return { code: 'ENCODING_IN_HTTP_1_0', at: this.#encodingAt }
      if (!this.#isChunked && target !== 'response') return { code: 'BAD_TRANSFER_ENCODING', at: this.#encodingAt }
    }
    if (this.#merged !== undefined) return { name: 'Content-Length', value: this.#merged }
    if (target === 'response') return undefined
    const host = this.#host
    if (!host && !this.#isHttp10) return { code: 'MISSING_HOST', at: this.#bytes.length - 2 }
    if (target === 'none') return undefined
    if (host && host !== 'none' && host.name === target.name && host.port === target.port) return undefined
    // RFC 9112 3.2.2: the target's authority replaces Host.
    return { name: 'Host', value: this.#bytes.toString('latin1', target.start, target.end) }
  }

  #checkHost(name: number, start: number, end: number): Fault | undefined {
    if (this.#host) return { code: 'DUPLICATE_HOST', at: name }
    // RFC 9112 3.2: Host is empty if the target has no authority.
    if (start < end && hostEnd(this.#bytes, start, end) < 0) return { code: 'BAD_HOST', at: start }
    const target = this.#target
    const isNeeded = start < end && typeof target === 'object'
    this.#host = (isNeeded && readAuthority(this.#bytes, start, end, target.defaultPort)) || 'none'
    return undefined
  }

  #checkLength(name: number, start: number, end: number): Fault | undefined {
    if (!this.#isLenient) return this.#addLength(name, start, lengthIn(this.#bytes, start, end))
    let fault: Fault | undefined
    eachElement(this.#bytes, start, end, (a, b) => {
      fault ??= this.#addLength(name, start, lengthIn(this.#bytes, a, b))
    })
    return fault
  }

  #addLength(name: number, start: number, length: number | undefined): Fault | undefined {
    if (length === undefined) return { code: 'BAD_CONTENT_LENGTH', at: start }
    const isFirst = this.#lengthAt < 0
    // RFC 9110 8.6: a recipient may merge equal values or refuse them.
    if (!isFirst && !(this.#isLenient && length === this.#length)) return { code: 'DUPLICATE_CONTENT_LENGTH', at: name }
    if (!isFirst) this.#merged = String(length)
    this.#lengthAt = start
    this.#length = length
    return undefined
  }

  // RFC 9112 6.1: several fields form one list. chunked occurs at most once, and is last.
  #checkEncoding(start: number, end: number): Fault | undefined {
    const last = this.#isChunked ? 'bad' : lastCoding(this.#bytes, start, end)
    if (last === 'bad') return { code: 'BAD_TRANSFER_ENCODING', at: start }
    this.#encodingAt = start
    this.#isChunked = last === 'chunked'
    return undefined
  }
}

/** Parses 1*DIGIT (RFC 9110 8.6) below 2^53; undefined if it is something else. */
function lengthIn(bytes: Buffer, start: number, end: number): number | undefined {
  if (start === end || !all(bytes, start, end, DIGIT)) return undefined
  let length = 0
  for (let i = start; i < end && length < 2 ** 53; i++) length = length * 10 + (bytes[i]! - DIGIT_0)
  return length < 2 ** 53 ? length : undefined
}

/**
 * Returns the last transfer coding of one field's list, or 'bad' if an element is not a token or chunked is not last.
 * Parameters are refused, because no coding in use has any; so are empty elements, because parsers disagree about them.
 */
function lastCoding(bytes: Buffer, start: number, end: number): 'chunked' | 'other' | 'bad' {
  let last: 'chunked' | 'other' | 'bad' = 'other'
  eachElement(bytes, start, end, (a, b) => {
    if (last !== 'other' || a === b || !all(bytes, a, b, TOKEN)) last = 'bad'
    else if (equalsIgnoringCase(bytes, a, b, 'chunked')) last = 'chunked'
  })
  return last
}

/** RFC 9110 7.6.1: a list of tokens. Empty elements are allowed (5.6.1.2). */
function checkConnection(bytes: Buffer, start: number, end: number): Fault | undefined {
  let isBad = false
  eachElement(bytes, start, end, (a, b) => {
    isBad ||=
      !all(bytes, a, b, TOKEN) ||
      equalsIgnoringCase(bytes, a, Math.min(b, a + X_FORWARDED.length), X_FORWARDED) ||
      GUARDED.some((name) => equalsIgnoringCase(bytes, a, b, name))
  })
  return isBad ? { code: 'BAD_CONNECTION', at: start } : undefined
}

/** Calls back with the bounds of each element of a comma-separated list, without the white space around it. */
function eachElement(bytes: Buffer, start: number, end: number, found: (start: number, end: number) => void): void {
  for (let from = start; from <= end; ) {
    let until = from
    while (until < end && bytes[until] !== COMMA) until++
    const first = skipBlanks(bytes, from, until)
    found(first, dropBlanks(bytes, first, until))
    from = until + 1
  }
}
