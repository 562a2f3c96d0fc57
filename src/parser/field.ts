import { show } from '../show.ts'
import { BLANK, CLASS, COLON, dropBlanks, equalsIgnoringCase, skipBlanks, TOKEN, VISIBLE } from './bytes.ts'

/**
 * Offsets of the parts of a head, in bytes: the ends of the three parts of the start line (method, target, version; or
 * version, status, reason phrase), then the start of each field line.
 */
export type Marks = readonly number[]
/** Index of the first field's mark. */
export const FIRST_FIELD = 3

const CRLF_LENGTH = 2

/** Returns where the line of the field with mark `k` ends, without its CRLF. */
export function lineEnd(bytes: Buffer, marks: Marks, k: number): number {
  return (k + 1 < marks.length ? marks[k + 1]! : bytes.length - CRLF_LENGTH) - CRLF_LENGTH
}

/** Whether the field line at `start` has the name `lower` (lower case, no colon), ignoring case. */
export function isNamed(bytes: Buffer, start: number, lower: string): boolean {
  const colon = start + lower.length
  return equalsIgnoringCase(bytes, start, colon, lower) && bytes[colon] === COLON
}

/**
 * Returns one of 32 bits for a field name with this first letter, in either case, and this length. The bits of the fields
 * of a head tell which names it does not have. The factor separates the names that the engine asks for from common ones.
 */
export function nameBit(letter: number, length: number): number {
  return 1 << (((letter | 0x20) + 9 * length) & 31)
}

/** Returns the value of a field line. `colon` is the offset after its name, and `end` that of its CRLF. */
export function valueIn(bytes: Buffer, colon: number, end: number): string {
  const start = skipBlanks(bytes, colon + 1, end)
  return bytes.toString('latin1', start, dropBlanks(bytes, start, end))
}

export interface Field {
  /** Whether the name equals `key` (lower case), ignoring case. */
  is(key: string): boolean
  readonly name: string
  readonly value: string
  /** The line to send, with its CRLF. */
  readonly line: string
}

/** A field as received. It makes its strings on demand. */
export class WireField implements Field {
  readonly #bytes: Buffer
  /** The line's bounds, without its CRLF. */
  readonly #start: number
  readonly #end: number

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  is(key: string): boolean {
    // A colon in the key would match the one after the name.
    return isNamed(this.#bytes, this.#start, key) && !key.includes(':')
  }

  get name(): string {
    return this.#bytes.toString('latin1', this.#start, this.#colon())
  }

  get value(): string {
    return valueIn(this.#bytes, this.#colon(), this.#end)
  }

  get line(): string {
    return this.#bytes.toString('latin1', this.#start, this.#end + CRLF_LENGTH)
  }

  #colon(): number {
    return this.#bytes.indexOf(COLON, this.#start)
  }
}

/** A field that was set or appended. */
export class WrittenField implements Field {
  readonly name: string
  readonly value: string

  constructor(name: string, value: string) {
    this.name = name
    this.value = value
  }

  is(key: string): boolean {
    return this.name.toLowerCase() === key
  }

  get line(): string {
    return `${this.name}: ${this.value}\r\n`
  }
}

export function checkName(name: string): string {
  if (typeof name === 'string' && name !== '' && isAll(name, TOKEN)) return name
  throw new TypeError(`field name: expected a token (RFC 9110 5.6.2), got ${show(name, 100)}`)
}

/** Returns the value without the white space around it (RFC 9110 5.5). */
export function checkValue(name: string, value: string): string {
  if (typeof value !== 'string' || !isAll(value, VISIBLE | BLANK)) {
    throw new TypeError(`${name}: expected a string of Latin-1 without control characters, got ${show(value, 100)}`)
  }
  let start = 0
  let end = value.length
  while (start < end && isBlank(value, start)) start++
  while (end > start && isBlank(value, end - 1)) end--
  return value.slice(start, end)
}

function isBlank(text: string, at: number): boolean {
  return ((CLASS[text.charCodeAt(at)] ?? 0) & BLANK) !== 0
}

function isAll(text: string, kind: number): boolean {
  for (let i = 0; i < text.length; i++) if (!((CLASS[text.charCodeAt(i)] ?? 0) & kind)) return false
  return true
}
