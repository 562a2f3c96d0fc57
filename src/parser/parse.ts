import { HeadError } from './error.ts'
import type { Head, HeadKind } from './head.ts'
import { LenientScanner } from './lenient.ts'
import type { HeadLimits } from './limits.ts'
import { HeadScanner } from './scanner.ts'

/** Options of `parseHead`. */
export interface ParseOptions extends HeadLimits {
  /** Repairs a response head that breaks minor rules, as `LenientScanner` does. Default false. */
  lenient?: boolean
}

/**
 * Parses one complete head. The Head is a view of the bytes, so do not write to them afterwards.
 * @throws {HeadError} if the head is malformed, too large, incomplete (`INCOMPLETE`) or followed by more bytes
 * (`TRAILING_BYTES`)
 * @throws {RangeError} on a limit that is not a positive integer
 * @throws {TypeError} on `lenient` for a request: repaired requests would allow request smuggling
 */
export function parseHead(bytes: Uint8Array, kind: HeadKind, options: ParseOptions = {}): Head {
  if (options.lenient && kind !== 'response') throw new TypeError('lenient: only response heads can be repaired')
  const scanner = options.lenient ? new LenientScanner(options) : new HeadScanner(kind, options)
  const verdict = scanner.push(bytes)
  if (verdict === 'invalid') throw scanner.error!
  if (verdict === 'more') throw scanner.end()
  const { head, rest } = scanner
  if (rest.length > 0) throw new HeadError('TRAILING_BYTES', bytes.length - rest.length, 'Done')
  return head!
}
