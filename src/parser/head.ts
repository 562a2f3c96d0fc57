import { splitTarget } from '../request-target.ts'
import { show } from '../show.ts'
import { DIGIT_0, equals } from './bytes.ts'
import {
  checkName,
  checkValue,
  FIRST_FIELD,
  type Field,
  isNamed,
  lineEnd,
  type Marks,
  nameBit,
  valueIn,
  WireField,
  WrittenField,
} from './field.ts'
import { headersView } from './view.ts'

export type HeadKind = 'request' | 'response'

/** The type of `head.headers`: values by field name. Assigning undefined deletes the field. */
export type Headers = { [name: string]: string | string[] | undefined }

/** Fields that belong in Connection even if they were set here: they are for the next hop only (RFC 9110 7.6.1). */
const HOP_BY_HOP: ReadonlySet<string> = new Set(['keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade'])

const REQUEST_LINE = /^[!#$%&'*+\-.^_`|~\w]+ [\x21\x22\x24-\x7e\x80-\xff]+ HTTP\/1\.[01]$/
const STATUS_LINE = /^HTTP\/1\.[01] [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?$/

/**
 * The head of an HTTP message: the start line, and the fields in wire order. `HeadScanner` and `parseHead` make it.
 *
 * Strings are Latin-1, one character per byte. Names keep their case and match in any case. `bytes()` of an unedited
 * head returns the received bytes; edits leave all other lines unchanged. Setting a name that is not a token throws a
 * TypeError, and so does a value with a control character or a character beyond Latin-1.
 */
export class Head implements Iterable<[name: string, value: string]> {
  readonly kind: HeadKind
  readonly #bytes: Buffer
  readonly #marks: Marks
  #first: string | undefined
  #fields: Field[] | undefined
  /** The bits of the field names that the head has, or had before an edit. See `nameBit`. */
  #names: number
  #edits = 0
  /** Lower-case names of the fields that were set or appended. */
  #written: Set<string> | undefined
  #headers: Headers | undefined

  /** For `HeadScanner`. Use `parseHead` instead. */
  constructor(kind: HeadKind, bytes: Buffer, marks: Marks, names: number) {
    this.kind = kind
    this.#bytes = bytes
    this.#marks = marks
    this.#names = names
  }

  /** The start line without its CRLF. Setting one that is invalid for the kind throws a TypeError. */
  get first(): string {
    this.#first ??= this.#bytes.toString('latin1', 0, this.#marks[2])
    return this.#first
  }

  set first(line: string) {
    if (line === this.first) return
    if (typeof line !== 'string' || !(this.kind === 'request' ? REQUEST_LINE : STATUS_LINE).test(line)) {
      throw new TypeError(`first: expected a ${this.kind}'s start line without its line end, got ${show(line, 100)}`)
    }
    this.#first = line
    this.#edits++
  }

  /** Number of edits so far. `bytes()` of a head without edits returns the received bytes. */
  get edits(): number {
    return this.#edits
  }

  /** A request's method; '' for a response. */
  get method(): string {
    if (this.kind === 'response') return ''
    // The most common method needs no string of the start line.
    if (this.#first === undefined && equals(this.#bytes, 0, this.#marks[0]!, 'GET')) return 'GET'
    return this.first.slice(0, this.first.indexOf(' '))
  }

  /** A request's target as received, in any of the four forms (RFC 9112 3.2); '' for a response. */
  get target(): string {
    return this.kind === 'request' ? this.first.slice(this.first.indexOf(' ') + 1, -' HTTP/1.1'.length) : ''
  }

  /**
   * The path and query of a request's target, also if the target is a whole URL. As received: not decoded, not
   * normalised. '' for `*`, for the target of CONNECT, and for a response.
   */
  get path(): string {
    if (this.kind === 'response') return ''
    const { path, query } = splitTarget(this) ?? { path: '', query: '' }
    return path + query
  }

  /** 'HTTP/1.1' or 'HTTP/1.0'; 'HTTP/2.0' if the head is the preface of an HTTP/2 connection. */
  get version(): string {
    const start = this.kind === 'request' ? this.#marks[1]! + 1 : 0
    const end = start + 'HTTP/1.1'.length
    if (this.#first === undefined && equals(this.#bytes, start, end, 'HTTP/1.1')) return 'HTTP/1.1'
    return this.kind === 'request' ? this.first.slice(-'HTTP/1.1'.length) : this.first.slice(0, 'HTTP/1.1'.length)
  }

  /** A response's status, from 100 to 999; 0 for a request. */
  get status(): number {
    if (this.kind === 'request') return 0
    if (this.#first !== undefined) return Number(this.#first.slice(9, 12))
    const bytes = this.#bytes
    return (bytes[9]! - DIGIT_0) * 100 + (bytes[10]! - DIGIT_0) * 10 + (bytes[11]! - DIGIT_0)
  }

  /** A response's reason phrase, often empty; '' for a request. */
  get reason(): string {
    return this.kind === 'response' ? this.first.slice(13) : ''
  }

  /**
   * A live view of the fields, for reading and writing. A field that occurs several times is an array, and assigning an
   * array sets several. Assigning undefined deletes the field. No name is special, not even `__proto__`.
   */
  get headers(): Headers {
    this.#headers ??= headersView(this)
    return this.#headers
  }

  /** The value of a field. Several values are joined with ', '; use `getAll` for Set-Cookie. */
  get(name: string): string | undefined {
    if (!this.#mayHave(name)) return undefined
    const values = this.getAll(name)
    return values.length > 1 ? values.join(', ') : values[0]
  }

  /** All values of a field, in order. */
  getAll(name: string): string[] {
    const values: string[] = []
    if (!this.#mayHave(name)) return values
    const key = name.toLowerCase()
    if (this.#fields) {
      for (const field of this.#fields) if (field.is(key)) values.push(field.value)
      return values
    }
    const marks = this.#marks
    for (let k = this.#find(key, FIRST_FIELD); k < marks.length; k = this.#find(key, k + 1)) {
      values.push(valueIn(this.#bytes, marks[k]! + key.length, lineEnd(this.#bytes, marks, k)))
    }
    return values
  }

  /** Whether the head has a field of that name. */
  has(name: string): boolean {
    if (!this.#mayHave(name)) return false
    const key = name.toLowerCase()
    return this.#fields?.some((field) => field.is(key)) ?? this.#find(key, FIRST_FIELD) < this.#marks.length
  }

  /**
   * Replaces the values of a field in place, or adds the field at the end. Extra values follow the last one; surplus
   * fields are removed. A field that already has its value keeps its line byte for byte.
   * @throws {TypeError} on an invalid name or value
   */
  set(name: string, value: string | readonly string[]): this {
    const key = checkName(name).toLowerCase()
    const values = (Array.isArray(value) ? [...value] : [value]).map((one) => checkValue(name, one))
    const fields: Field[] = []
    let count = 0
    let place = -1
    let lastName = name
    for (const field of this.#list()) {
      if (!field.is(key)) fields.push(field)
      else if (count < values.length) {
        lastName = field.name
        const one = values[count++]!
        place = fields.push(field.value === one ? field : new WrittenField(lastName, one))
      }
    }
    const added = values.slice(count).map((one) => new WrittenField(lastName, one))
    fields.splice(place < 0 ? fields.length : place, 0, ...added)
    this.#noteWritten(key)
    return this.#replace(fields)
  }

  /** Adds a field at the end. @throws {TypeError} on an invalid name or value */
  append(name: string, value: string): this {
    const field = new WrittenField(checkName(name), checkValue(name, value))
    this.#noteWritten(name.toLowerCase())
    return this.#replace([...this.#list(), field])
  }

  /** Removes every field of that name. Returns whether there was one. */
  delete(name: string): boolean {
    if (!this.has(name)) return false
    const key = name.toLowerCase()
    this.#replace(this.#list().filter((field) => !field.is(key)))
    return true
  }

  /** Name and value of each field, in wire order. */
  *[Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    for (const { name, value } of this.#list()) yield [name, value]
  }

  /**
   * The bytes to send, with the empty line at the end. For an unedited head this is a view of the received bytes. It
   * always is for the HTTP/2 preface, which cannot carry fields (RFC 9113 3.4).
   *
   * The next hop deletes each field that Connection names (RFC 9110 7.6.1). Names of fields that you set or appended are
   * therefore left out of Connection, except hop-by-hop fields such as Upgrade.
   */
  bytes(): Buffer {
    if (this.#edits === 0 || equals(this.#bytes, 0, this.#marks[2]!, 'PRI * HTTP/2.0')) return this.#bytes
    let text = `${this.first}\r\n`
    for (const field of this.#outgoing()) text += field.line
    return Buffer.from(`${text}\r\n`, 'latin1')
  }

  /** An independent copy, made in constant time. */
  clone(): Head {
    const copy = new Head(this.kind, this.#bytes, this.#marks, this.#names)
    copy.#first = this.#first
    // Field objects and lists are immutable: an edit makes a new list.
    copy.#fields = this.#fields
    copy.#edits = this.#edits
    copy.#written = this.#written && new Set(this.#written)
    return copy
  }

  /** The fields to send. */
  #outgoing(): Field[] {
    const written = this.#written
    if (!written) return this.#list()
    const isKept = (option: string) => HOP_BY_HOP.has(option.toLowerCase()) || !written.has(option.toLowerCase())
    return this.#list().flatMap((field) => {
      if (!field.is('connection')) return field
      const options = field.value.split(/[ \t]*,[ \t]*/)
      const kept = options.filter(isKept)
      if (kept.length === options.length) return field
      return kept.length > 0 ? new WrittenField(field.name, kept.join(', ')) : []
    })
  }

  #noteWritten(key: string): void {
    this.#written ??= new Set()
    this.#written.add(key)
    this.#names |= nameBit(key.charCodeAt(0), key.length)
  }

  #replace(fields: Field[]): this {
    this.#fields = fields
    this.#edits++
    return this
  }

  /** Whether the head may have a field of that name. Needs no look at the fields, so most answers are quick. */
  #mayHave(name: string): boolean {
    return (this.#names & nameBit(name.charCodeAt(0), name.length)) !== 0
  }

  /** Returns the index of the next mark from `k` on of a received field with the name `key`, or the number of marks. */
  #find(key: string, k: number): number {
    const marks = this.#marks
    let i = k
    while (i < marks.length && !isNamed(this.#bytes, marks[i]!, key)) i++
    // A colon in the key would match the one after the name.
    return i < marks.length && key.includes(':') ? marks.length : i
  }

  #list(): Field[] {
    if (this.#fields) return this.#fields
    const fields: Field[] = []
    const marks = this.#marks
    for (let k = FIRST_FIELD; k < marks.length; k++) {
      fields.push(new WireField(this.#bytes, marks[k]!, lineEnd(this.#bytes, marks, k)))
    }
    this.#fields = fields
    return fields
  }
}
