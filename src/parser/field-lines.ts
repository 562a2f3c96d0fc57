import * as BYTES from './bytes.ts'
import { PREFACE as PREFACE_TEXT } from './framing.ts'
import type { HeadScan } from './head-scan.ts'
import * as STATES from './head-scan.ts'

// One function for each state of the field lines and of the end of the head (RFC 9112 5, 2.1). Each returns the offset
// of the next byte to scan.

// V8 inlines constants of this module, but looks up imported ones on each read.
const { BLANK, CLASS, COLON, CR, TOKEN, VISIBLE } = BYTES
const { FIELD_END, FIELD_GAP, FIELD_NAME, FIELD_VALUE, HEAD_END, PREFACE, RULES } = STATES
const VALUE = VISIBLE | BLANK

const PREFACE_BYTES = Buffer.from(PREFACE_TEXT)
const PREFACE_HEAD = 'PRI * HTTP/2.0\r\n\r\n'

export function scanFieldStart(scan: HeadScan, chunk: Uint8Array, i: number, end: number): number {
  const byte = chunk[i]!
  if (byte === CR) {
    scan.state = HEAD_END
    return i + 1
  }
  if (!(CLASS[byte]! & TOKEN)) {
    // RFC 9112 5.2, 2.2: folded lines and white space before the first field are refused.
    if (CLASS[byte]! & BLANK) return scan.bad('OBS_FOLD', byte, i)
    return scan.bad(byte === COLON ? 'EMPTY_FIELD_NAME' : 'BAD_FIELD_NAME', byte, i)
  }
  if (scan.marks.length === scan.maxMarks) return scan.fail('TOO_MANY_FIELDS', i)
  scan.endPart(i, FIELD_NAME)
  scan.letter = byte
  return scanFieldName(scan, chunk, i + 1, end)
}

export function scanFieldName(scan: HeadScan, chunk: Uint8Array, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const byte = chunk[i]!
    if (CLASS[byte]! & TOKEN) continue
    if (byte === COLON) {
      scan.endName(i)
      scan.state = FIELD_GAP
      return scanFieldGap(scan, chunk, i + 1, end)
    }
    // RFC 9112 5.1: no white space between the name and the colon.
    if (CLASS[byte]! & BLANK) return scan.bad('SPACE_BEFORE_COLON', byte, i)
    return scan.bad(byte === CR ? 'MISSING_COLON' : 'BAD_FIELD_NAME', byte, i)
  }
  return end
}

export function scanFieldGap(scan: HeadScan, chunk: Uint8Array, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const byte = chunk[i]!
    if (CLASS[byte]! & BLANK) continue
    if (CLASS[byte]! & VISIBLE) {
      scan.state = FIELD_VALUE
      return scanFieldValue(scan, chunk, i + 1, end)
    }
    if (byte !== CR) return scan.bad('BAD_FIELD_VALUE', byte, i)
    scan.state = FIELD_END
    return i + 1
  }
  return end
}

export function scanFieldValue(scan: HeadScan, chunk: Uint8Array, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const byte = chunk[i]!
    if (CLASS[byte]! & VALUE) continue
    if (byte !== CR) return scan.bad('BAD_FIELD_VALUE', byte, i)
    scan.state = FIELD_END
    return i + 1
  }
  return end
}

// RFC 9113 3.4: the HTTP/2 preface continues after what looks like a head. Nothing may precede it.
export function scanHeadEnd(scan: HeadScan, chunk: Uint8Array, i: number): number {
  const isPreface = scan.headStart === 0 && scan.equals(PREFACE_HEAD, chunk, i + 1)
  return scan.endLine(chunk, i, isPreface ? PREFACE : RULES)
}

export function scanPreface(scan: HeadScan, chunk: Uint8Array, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const at = i + scan.before
    if (chunk[i] !== PREFACE_BYTES[at]) return scan.fail('BAD_PREFACE', i, chunk[i])
    if (at < PREFACE_BYTES.length - 1) continue
    scan.state = RULES
    return i + 1
  }
  return end
}
