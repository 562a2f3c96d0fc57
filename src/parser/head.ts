import { inspect } from 'node:util'
import { BLANK, CLASS, COLON, dropBlanks, equals, equalsIgnoringCase, skipBlanks, TOKEN, VISIBLE } from './bytes.ts'
import { headersView } from './view.ts'

export type HeadKind = 'request' | 'response'

/**
 * Where the parts of a head are, in bytes from its begin. First the ends of the three parts of the start line (method,
 * target, version; or version, status, reason phrase), then the start of each field's line. Where in its line the name
 * ends and the value starts is left to whoever asks for them.
 */
export type Marks = readonly number[]
/** Index of the first field's marks. */
export const FIRST_FIELD = 3

const CRLF_LENGTH = 2

/** Where the line of the field whose mark is at `k` ends, less its CRLF. */
export function lineEnd(bytes: Buffer, marks: Marks, k: number): number {
  return (k + 1 < marks.length ? marks[k + 1]! : bytes.length - CRLF_LENGTH) - CRLF_LENGTH
}

/** Whether the field line at `start` has the name `lower`, in any case. `lower` has no colon. */
export function isNamed(bytes: Buffer, start: number, lower: string): boolean {
  const colon = start + lower.length
  return equalsIgnoringCase(bytes, start, colon, lower) && bytes[colon] === COLON
}

/** A field's values by name, as `head.headers` shows them. */
export type Headers = { [name: string]: string | string[] | undefined }

interface Field {
  /** Whether the name is `key`, which is in lower case. */
  is(key: string): boolean
  readonly name: string
  readonly value: string
  /** The whole line as it goes out, CRLF included. */
  readonly line: string
}

const REQUEST_LINE = /^[!#$%&'*+\-.^_`|~\w]+ [\x21\x22\x24-\x7e\x80-\xff]+ HTTP\/1\.[01]$/
const STATUS_LINE = /^HTTP\/1\.[01] [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?$/

/**
 * A head: its start line, and its fields in the order of the wire. Strings are Latin-1: one character a byte.
 *
 * Made by `HeadScanner` or `parseHead`. An untouched head gives back the very bytes that came; after an edit every other
 * line still does. Names keep their case and are found in any case. Writing a name or a value that would break the head
 * throws a TypeError: a name that is not a token, a value with CR, LF, NUL, another control byte, or beyond Latin-1.
 */
export class Head implements Iterable<[name: string, value: string]> {
  readonly kind: HeadKind
  readonly #bytes: Buffer
  readonly #marks: Marks
  #first: string | undefined
  #fields: Field[] | undefined
  #isEdited = false
  #headers: Headers | undefined

  /** For `HeadScanner`, which knows where the marks are; others call `parseHead`. */
  constructor(kind: HeadKind, bytes: Buffer, marks: Marks) {
    this.kind = kind
    this.#bytes = bytes
    this.#marks = marks
  }

  /** The start line without its CRLF. Writing one that is not right for the kind throws a TypeError. */
  get first(): string {
    this.#first ??= this.#bytes.toString('latin1', 0, this.#marks[2])
    return this.#first
  }

  set first(line: string) {
    if (line === this.first) return
    if (typeof line !== 'string' || !(this.kind === 'request' ? REQUEST_LINE : STATUS_LINE).test(line)) {
      throw new TypeError(`first: got ${show(line)}; takes a ${this.kind}'s start line without its line end`)
    }
    this.#first = line
    this.#isEdited = true
  }

  /** A request's method; '' for a response. */
  get method(): string {
    return this.kind === 'request' ? this.first.slice(0, this.first.indexOf(' ')) : ''
  }

  /** A request's target, in whichever form it came (RFC 9112 3.2); '' for a response. */
  get target(): string {
    return this.kind === 'request' ? this.first.slice(this.first.indexOf(' ') + 1, -' HTTP/1.1'.length) : ''
  }

  /** 'HTTP/1.1' or 'HTTP/1.0'; 'HTTP/2.0' where the request is the preface of an HTTP/2 connection. */
  get version(): string {
    return this.kind === 'request' ? this.first.slice(-'HTTP/1.1'.length) : this.first.slice(0, 'HTTP/1.1'.length)
  }

  /** A response's status, from 100 to 999; 0 for a request. */
  get status(): number {
    return this.kind === 'response' ? Number(this.first.slice(9, 12)) : 0
  }

  /** A response's reason phrase, often empty; '' for a request. */
  get reason(): string {
    return this.kind === 'response' ? this.first.slice(13) : ''
  }

  /**
   * A live view on the fields, to read and to write. A name that occurs several times reads as an array, and an array
   * writes several. Any name is just a name, `__proto__` and `constructor` too.
   */
  get headers(): Headers {
    this.#headers ??= headersView(this)
    return this.#headers
  }

  /** The value of a field, in any case of its name; several are joined with ', ' (which no Set-Cookie survives). */
  get(name: string): string | undefined {
    const values = this.getAll(name)
    return values.length > 1 ? values.join(', ') : values[0]
  }

  /** The values of every field of that name, in order. */
  getAll(name: string): string[] {
    const key = name.toLowerCase()
    const values: string[] = []
    for (const field of this.#list()) if (field.is(key)) values.push(field.value)
    return values
  }

  has(name: string): boolean {
    const key = name.toLowerCase()
    return this.#list().some((field) => field.is(key))
  }

  /**
   * Gives a field a value, or several fields of the name one each: in the places, and under the names, of those that
   * were there, what is over behind the last of them, or at the end. A field that has its value already keeps its line,
   * byte for byte; one too many goes.
   * @throws {TypeError} on a name or value that would break the head
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
    return this.#replace(fields)
  }

  /** Adds a field at the end, whether or not there is one of that name. @throws {TypeError} as `set` */
  append(name: string, value: string): this {
    const field = new WrittenField(checkName(name), checkValue(name, value))
    return this.#replace([...this.#list(), field])
  }

  /** Takes out every field of that name; false where there was none. */
  delete(name: string): boolean {
    const key = name.toLowerCase()
    if (!this.has(key)) return false
    this.#replace(this.#list().filter((field) => !field.is(key)))
    return true
  }

  /** Name and value of each field, in the order and case of the wire. */
  *[Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    for (const { name, value } of this.#list()) yield [name, value]
  }

  /**
   * The bytes to send, with the empty line at their end. Untouched, they are the very bytes that came: a view. So is
   * the preface of an HTTP/2 connection whatever was written to it: it has no room for fields (RFC 9113 3.4).
   */
  bytes(): Buffer {
    if (!this.#isEdited || equals(this.#bytes, 0, this.#marks[2]!, 'PRI * HTTP/2.0')) return this.#bytes
    let text = `${this.first}\r\n`
    for (const field of this.#list()) text += field.line
    return Buffer.from(`${text}\r\n`, 'latin1')
  }

  #replace(fields: Field[]): this {
    this.#fields = fields
    this.#isEdited = true
    return this
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

/** A field as it came. Its strings are made when somebody asks. */
class WireField implements Field {
  readonly #bytes: Buffer
  /** The line is from here to there, less its CRLF. */
  readonly #start: number
  readonly #end: number

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  is(key: string): boolean {
    // A colon in the key would stand for the one after the name.
    return isNamed(this.#bytes, this.#start, key) && !key.includes(':')
  }

  get name(): string {
    return this.#bytes.toString('latin1', this.#start, this.#colon())
  }

  get value(): string {
    const start = skipBlanks(this.#bytes, this.#colon() + 1, this.#end)
    return this.#bytes.toString('latin1', start, dropBlanks(this.#bytes, start, this.#end))
  }

  get line(): string {
    return this.#bytes.toString('latin1', this.#start, this.#end + CRLF_LENGTH)
  }

  #colon(): number {
    return this.#bytes.indexOf(COLON, this.#start)
  }
}

/** A field that a hook wrote. */
class WrittenField implements Field {
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

function checkName(name: string): string {
  if (typeof name === 'string' && name !== '' && isAll(name, TOKEN)) return name
  throw new TypeError(`field name: got ${show(name)}; takes a token (RFC 9110 5.6.2)`)
}

/** Returns the value without the white space around it, which is no part of a value (RFC 9110 5.5). */
function checkValue(name: string, value: string): string {
  if (typeof value !== 'string' || !isAll(value, VISIBLE | BLANK)) {
    throw new TypeError(`${name}: got ${show(value)}; takes a string of Latin-1 without control characters`)
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

function show(value: unknown): string {
  return inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 100 })
}
