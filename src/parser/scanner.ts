import type { HeadError } from './error.ts'
import { FIRST_FIELD } from './field.ts'
import * as FIELD_LINES from './field-lines.ts'
import { checkRules, type Rules } from './framing.ts'
import { Head, type HeadKind } from './head.ts'
import * as STATES from './head-scan.ts'
import { HeadScan } from './head-scan.ts'
import { type HeadLimits, readLimit } from './limits.ts'
import * as START_LINE from './start-line.ts'

// V8 inlines constants of this module, but looks up imported ones on each read.
const { START, EMPTY_LINE, METHOD, TARGET, VERSION, VERSION_END, STATUS, STATUS_END, REASON, START_LINE_END } = STATES
const { FIELD_START, FIELD_NAME, FIELD_GAP, FIELD_VALUE, FIELD_END, HEAD_END, PREFACE, RULES, DONE, INVALID } = STATES
const { scanStart, scanMethod, scanTarget, scanVersion, scanVersionEnd, scanStatus, scanStatusEnd, scanReason } =
  START_LINE
const { scanFieldStart, scanFieldName, scanFieldGap, scanFieldValue, scanHeadEnd, scanPreface } = FIELD_LINES
const NOTHING = Buffer.alloc(0)

/** 'more': the head needs more bytes. 'head': it is complete. 'invalid': it was refused. */
export type Verdict = 'more' | 'head' | 'invalid'

/**
 * Finds and checks one HTTP head in a stream of bytes (RFC 9112).
 *
 * It keeps its state between chunks and scans no byte twice (except the first), so a head of n bytes costs O(n) even
 * if it arrives byte by byte. When the head is complete, the field names and the values of Host, Connection,
 * Content-Length and Transfer-Encoding are read once more.
 *
 * A head that lies in one chunk is not copied: the Head is a view of the chunk, so do not write to it afterwards. A
 * head that spans chunks is collected in a buffer of at most `maxHeadBytes`.
 */
export class HeadScanner {
  readonly kind: HeadKind
  readonly #rules: Rules

  readonly #scan: HeadScan
  #head: Head | undefined
  #rest: Buffer = NOTHING

  /**
   * @param rules for `LenientScanner`
   * @throws {RangeError} on a limit that is not a positive integer
   */
  constructor(kind: HeadKind, limits: HeadLimits = {}, rules: Rules = checkRules) {
    this.kind = kind
    this.#rules = rules
    const maxMarks = FIRST_FIELD + readLimit(limits, 'maxFields')
    this.#scan = new HeadScan(kind, readLimit(limits, 'maxHeadBytes'), maxMarks)
  }

  /** The head, after 'head'. */
  get head(): Head | undefined {
    return this.#head
  }

  /** The bytes of the last chunk after the head (a view), after 'head'. */
  get rest(): Buffer {
    return this.#rest
  }

  /** The reason for 'invalid'. */
  get error(): HeadError | undefined {
    return this.#scan.error
  }

  /** Prepares for the next head. Push `rest` first if it has bytes. */
  reset(): void {
    this.#scan.reset()
    this.#head = undefined
    this.#rest = NOTHING
  }

  /**
   * Scans the next bytes. The verdict stays 'invalid' once it was.
   * @throws {Error} after 'head' without a `reset()`, because the bytes would be lost
   */
  push(chunk: Uint8Array): Verdict {
    const scan = this.#scan
    if (scan.state === INVALID) return 'invalid'
    if (scan.state === DONE) throw new Error('HeadScanner: push() after the head; call reset() first')

    const from = scan.state === START && chunk.length > 0 ? scanStart(scan, chunk) : 0
    // Scan no byte beyond the limit, so that the verdict does not depend on how the stream is cut.
    const end = scan.end(chunk)
    const i = runStates(scan, chunk, from, end)

    if (scan.state === INVALID) return 'invalid'
    if (scan.state === RULES) return this.#finish(chunk, i)
    if (end < chunk.length) return scan.refuse('HEAD_TOO_LARGE', scan.offset(end))
    scan.append(chunk, end)
    return 'more'
  }

  /**
   * Call this when the stream ends inside a head. Returns the error, `INCOMPLETE` unless the head was invalid before.
   * @throws {Error} after 'head' without a `reset()`
   */
  end(): HeadError {
    const scan = this.#scan
    if (scan.state === DONE) throw new Error('HeadScanner: end() after the head; call reset() first')
    if (!scan.error) scan.refuse('INCOMPLETE', scan.offset(0))
    return scan.error!
  }

  /** Checks the rules beyond syntax on the complete head, and makes the Head. */
  #finish(chunk: Uint8Array, i: number): Verdict {
    const scan = this.#scan
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const bytes = scan.take(buffer, i)
    const finding = this.#rules(this.kind, bytes, scan.marks)
    if (finding && 'code' in finding) return scan.refuse(finding.code, scan.headStart + finding.at)
    scan.state = DONE
    this.#head = new Head(this.kind, bytes, scan.marks, scan.names)
    if (finding) this.#head.set(finding.name, finding.value)
    if (i < chunk.length) this.#rest = buffer.subarray(i)
    return 'head'
  }
}

/** Runs the states until the bytes end, the head ends or it is refused. */
function runStates(scan: HeadScan, chunk: Uint8Array, from: number, end: number): number {
  let i = from
  while (i < end) {
    // biome-ignore format: a state a line
    switch (scan.state) {
      case EMPTY_LINE: i = scan.endLine(chunk, i, METHOD); break
      case METHOD: i = scanMethod(scan, chunk, i, end); break
      case TARGET: i = scanTarget(scan, chunk, i, end); break
      case VERSION: i = scanVersion(scan, chunk, i, end); break
      case VERSION_END: i = scanVersionEnd(scan, chunk, i); break
      case STATUS: i = scanStatus(scan, chunk, i, end); break
      case STATUS_END: i = scanStatusEnd(scan, chunk, i); break
      case REASON: i = scanReason(scan, chunk, i, end); break
      case START_LINE_END: i = scan.endLine(chunk, i, FIELD_START); break
      case FIELD_START: i = scanFieldStart(scan, chunk, i, end); break
      case FIELD_NAME: i = scanFieldName(scan, chunk, i, end); break
      case FIELD_GAP: i = scanFieldGap(scan, chunk, i, end); break
      case FIELD_VALUE: i = scanFieldValue(scan, chunk, i, end); break
      case FIELD_END: i = scan.endLine(chunk, i, FIELD_START); break
      case HEAD_END: i = scanHeadEnd(scan, chunk, i); break
      case PREFACE: i = scanPreface(scan, chunk, i, end); break
      default: return i // RULES, INVALID
    }
  }
  return i
}
