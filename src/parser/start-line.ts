import * as BYTES from './bytes.ts'
import type { HeadScan } from './head-scan.ts'
import * as STATES from './head-scan.ts'

// One function for each state of the start line (RFC 9112 3, 4). Each returns the offset of the next byte to scan.

// V8 inlines constants of this module, but looks up imported ones on each read.
const { BLANK, CLASS, CR, DIGIT, DIGIT_0, SP, TARGET_BYTE, TOKEN, VISIBLE } = BYTES
const { EMPTY_LINE, METHOD, REASON, START_LINE_END, STATUS, STATUS_END, TARGET, VERSION, VERSION_END } = STATES

const VERSION_PATTERN = Buffer.from('HTTP/0.0')
/** Offset of the status in a response head. */
const STATUS_AT = VERSION_PATTERN.length + 1

// RFC 9112 2.2: a server should ignore at least one empty line before the request line. We ignore one.
export function scanStart(scan: HeadScan, chunk: Uint8Array): number {
  if (scan.kind === 'request' && chunk[0] === CR) {
    scan.skip(2)
    scan.state = EMPTY_LINE
    return 1
  }
  scan.state = scan.kind === 'request' ? METHOD : VERSION
  return 0
}

export function scanMethod(scan: HeadScan, chunk: Uint8Array, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const byte = chunk[i]!
    if (CLASS[byte]! & TOKEN) continue
    const at = i + scan.before
    if (byte === CR) return scan.bad(at === 0 ? 'EMPTY_LINES' : 'BAD_START_LINE', byte, i)
    if (byte !== SP || at === 0) return scan.bad('BAD_METHOD', byte, i)
    return scan.endPart(i, TARGET)
  }
  return end
}

export function scanTarget(scan: HeadScan, chunk: Uint8Array, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const byte = chunk[i]!
    if (CLASS[byte]! & TARGET_BYTE) continue
    if (byte === CR) return scan.bad('BAD_START_LINE', byte, i)
    if (byte !== SP || i + scan.before === scan.marks[0]! + 1) return scan.bad('BAD_TARGET', byte, i)
    return scan.endPart(i, VERSION)
  }
  return end
}

// RFC 9112 2.3: HTTP-version is case-sensitive, with one digit per number. The rules check the numbers.
export function scanVersion(scan: HeadScan, chunk: Uint8Array, from: number, end: number): number {
  const start = scan.kind === 'request' ? scan.marks[1]! + 1 : 0
  for (let i = from; i < end; i++) {
    const byte = chunk[i]!
    const at = i + scan.before - start
    const isRight = VERSION_PATTERN[at] === DIGIT_0 ? CLASS[byte]! & DIGIT : byte === VERSION_PATTERN[at]
    if (!isRight) return scan.bad('BAD_VERSION', byte, i)
    if (at < VERSION_PATTERN.length - 1) continue
    scan.state = VERSION_END
    return i + 1
  }
  return end
}

export function scanVersionEnd(scan: HeadScan, chunk: Uint8Array, i: number): number {
  const byte = chunk[i]!
  if (byte !== (scan.kind === 'request' ? CR : SP)) {
    return scan.bad(byte === CR ? 'BAD_START_LINE' : 'BAD_VERSION', byte, i)
  }
  return scan.endPart(i, scan.kind === 'request' ? START_LINE_END : STATUS)
}

export function scanStatus(scan: HeadScan, chunk: Uint8Array, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const byte = chunk[i]!
    const at = i + scan.before - STATUS_AT
    if (!(CLASS[byte]! & DIGIT) || (at === 0 && byte === DIGIT_0)) return scan.bad('BAD_STATUS', byte, i)
    if (at < 2) continue
    scan.state = STATUS_END
    return i + 1
  }
  return end
}

// RFC 9112 4 requires the space even without a reason phrase, but many servers omit it.
export function scanStatusEnd(scan: HeadScan, chunk: Uint8Array, i: number): number {
  const byte = chunk[i]!
  if (byte !== SP && byte !== CR) return scan.bad('BAD_STATUS', byte, i)
  scan.endPart(i, REASON)
  return byte === CR ? scan.endPart(i, START_LINE_END) : i + 1
}

export function scanReason(scan: HeadScan, chunk: Uint8Array, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const byte = chunk[i]!
    if (CLASS[byte]! & (VISIBLE | BLANK)) continue
    if (byte !== CR) return scan.bad('BAD_REASON', byte, i)
    return scan.endPart(i, START_LINE_END)
  }
  return end
}
