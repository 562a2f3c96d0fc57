import { LF, NUL } from './bytes.ts'
import { HeadError, type HeadErrorCode } from './error.ts'
import { nameBit } from './field.ts'
import type { HeadKind } from './head.ts'
import { HeadBuffer } from './head-buffer.ts'

// The states, in the order of the grammar (RFC 9112 2.1, 3, 4, 5). "awaits" names the byte that ends the state.
export const START = 0 //          before the head; one empty line may come first
export const EMPTY_LINE = 1 //     after the CR of that empty line; awaits LF
export const METHOD = 2 //         in the method; awaits SP
export const TARGET = 3 //         in the request target; awaits SP
export const VERSION = 4 //        in HTTP/x.y; its eighth byte ends it
export const VERSION_END = 5 //    after the version; awaits CR in a request, SP in a response
export const STATUS = 6 //         in the three digits of the status; the third ends it
export const STATUS_END = 7 //     after the status; awaits SP, or CR if there is no reason phrase
export const REASON = 8 //         in the reason phrase; awaits CR
export const START_LINE_END = 9 // after the CR of the start line; awaits LF
export const FIELD_START = 10 //   at the start of a line; a CR ends the head
export const FIELD_NAME = 11 //    in a field name; awaits the colon
export const FIELD_GAP = 12 //     after the colon, in optional white space; awaits anything else
export const FIELD_VALUE = 13 //   in a field value; awaits CR
export const FIELD_END = 14 //     after the CR of a field line; awaits LF
export const HEAD_END = 15 //      after the CR of the empty line that ends the head; awaits LF
export const PREFACE = 16 //       in the part of the HTTP/2 preface after its head
export const RULES = 17 //         the syntax is valid; checks version, framing, Host and Connection
export const DONE = 18 //          the head has been found
export const INVALID = 19 //       the head has been refused

const STATE_NAMES = (
  'Start EmptyLine Method Target Version VersionEnd Status StatusEnd Reason StartLineEnd ' +
  'FieldStart FieldName FieldGap FieldValue FieldEnd HeadEnd Preface Rules Done Invalid'
).split(' ')

/** The bytes of one head, and how far its scan has come. Offsets named `i` are in the current chunk. */
export class HeadScan extends HeadBuffer {
  readonly kind: HeadKind
  readonly maxMarks: number
  state = START
  /** The offsets of the parts of the head. */
  marks: number[] = []
  /** The first letter of the current field's name. */
  letter = 0
  /** The bits of the field names so far, see `nameBit`. */
  names = 0
  error: HeadError | undefined

  constructor(kind: HeadKind, maxHeadBytes: number, maxMarks: number) {
    super(maxHeadBytes)
    this.kind = kind
    this.maxMarks = maxMarks
  }

  reset(): void {
    this.clear()
    this.state = START
    this.marks = []
    this.names = 0
    this.error = undefined
  }

  /** Marks byte i as the end or start of a part, and enters the next state. */
  endPart(i: number, next: number): number {
    this.marks.push(i + this.before)
    this.state = next
    return i + 1
  }

  /** Notes a field name, which ends before byte i. */
  endName(i: number): void {
    this.names |= nameBit(this.letter, i + this.before - this.marks[this.marks.length - 1]!)
  }

  // RFC 9112 2.2: a CR without LF is invalid anywhere in a head.
  endLine(chunk: Uint8Array, i: number, next: number): number {
    const byte = chunk[i]!
    if (byte !== LF) return this.bad('BARE_CR', byte, i)
    this.state = next
    return i + 1
  }

  /** Refuses byte i. A NUL or a bare LF always has its own code. */
  bad(code: HeadErrorCode, byte: number, i: number): number {
    if (byte === NUL) return this.fail('NUL', i, byte)
    if (byte === LF) return this.fail('BARE_LF', i, byte)
    return this.fail(code, i, byte)
  }

  fail(code: HeadErrorCode, i: number, byte?: number): number {
    this.refuse(code, this.offset(i), byte)
    return i
  }

  refuse(code: HeadErrorCode, offset: number, byte?: number): 'invalid' {
    this.error = new HeadError(code, offset, STATE_NAMES[this.state]!, byte)
    this.state = INVALID
    this.clear()
    return 'invalid'
  }
}
