/** Named bytes and the byte classes of RFC 9110 5.5, 5.6.2 and RFC 9112 3, 4, 5. */

export const NUL = 0x00
export const LF = 0x0a
export const CR = 0x0d
export const SP = 0x20
export const PERCENT = 0x25
export const COMMA = 0x2c
export const SLASH = 0x2f
export const DIGIT_0 = 0x30
export const COLON = 0x3a
export const SEMICOLON = 0x3b
export const QUESTION_MARK = 0x3f
export const OPENING_BRACKET = 0x5b
export const CLOSING_BRACKET = 0x5d
export const LOWER_C = 0x63
export const LOWER_H = 0x68
export const LOWER_T = 0x74

/** tchar: the bytes of a method, a field name or a transfer coding (RFC 9110 5.6.2). */
export const TOKEN = 1
/** VCHAR or obs-text: the bytes of a field value or reason phrase, without white space (RFC 9110 5.5). */
export const VISIBLE = 2
/** SP or HTAB: the optional white space around a field value (RFC 9110 5.6.3). */
export const BLANK = 4
/** The bytes of a registered name or an IPv4 address in a Host (RFC 3986 3.2.2). */
export const REG_NAME = 8

/**
 * The bytes accepted in a request target: the visible ones without '#', which no form of it contains (RFC 9112 3.2) and
 * which servers interpret differently. Clients send obs-text and bytes such as '|' and '{', which RFC 3986 forbids.
 */
export const TARGET_BYTE = 16
/** DIGIT and HEXDIG (RFC 5234). */
export const DIGIT = 32
export const HEX = 64

/** The classes of each byte, combined with `|`. */
export const CLASS = new Uint8Array(256)

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

function mark(bytes: string, kind: number): void {
  for (let i = 0; i < bytes.length; i++) CLASS[bytes.charCodeAt(i)]! |= kind
}

mark(`${ALPHANUMERIC}!#$%&'*+-.^_\`|~`, TOKEN)
mark(`${ALPHANUMERIC}-._~!$&'()*+,;=%`, REG_NAME)
mark(' \t', BLANK)
mark('0123456789', DIGIT | HEX)
mark('abcdefABCDEF', HEX)
for (let byte = 0x21; byte <= 0xff; byte++) {
  if (byte !== 0x7f) CLASS[byte]! |= byte === 0x23 ? VISIBLE : VISIBLE | TARGET_BYTE
}

/** Whether every byte from `start` to `end` has the class. */
export function all(bytes: Uint8Array, start: number, end: number, kind: number): boolean {
  for (let i = start; i < end; i++) if (!(CLASS[bytes[i]!]! & kind)) return false
  return true
}

/** Returns the offset after the white space at `start`. */
export function skipBlanks(bytes: Uint8Array, start: number, end: number): number {
  let i = start
  while (i < end && CLASS[bytes[i]!]! & BLANK) i++
  return i
}

/** Returns the offset of the white space before `end`. */
export function dropBlanks(bytes: Uint8Array, start: number, end: number): number {
  let i = end
  while (i > start && CLASS[bytes[i - 1]!]! & BLANK) i--
  return i
}

/** Whether the bytes from `start` to `end` equal `text` (ASCII). */
export function equals(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false
  return true
}

/** Whether the bytes from `start` to `end` equal `lower` (lower-case ASCII), ignoring case. */
export function equalsIgnoringCase(bytes: Uint8Array, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false
  for (let i = 0; i < lower.length; i++) {
    const byte = bytes[start + i]!
    const folded = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
    if (folded !== lower.charCodeAt(i)) return false
  }
  return true
}
