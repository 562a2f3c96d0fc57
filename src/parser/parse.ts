import { HeadError } from './error.ts'
import type { Head, HeadKind } from './head.ts'
import { LenientScanner } from './lenient.ts'
import type { HeadLimits } from './limits.ts'
import { HeadScanner } from './scanner.ts'

export interface ParseOptions extends HeadLimits {
  /** Mends a response head that is not right to the letter, as `LenientScanner` does. Default false. */
  lenient?: boolean
}

/**
 * Parses bytes that are one whole head. They are not copied, and must not be written to afterwards.
 * @throws {HeadError} on a head that is malformed, too large, unfinished (`INCOMPLETE`) or followed by more bytes
 * (`TRAILING_BYTES`)
 * @throws {RangeError} on a limit that is not a positive integer
 * @throws {TypeError} on `lenient` for a request: what is mended there is what request smuggling is made of
 */
export function parseHead(bytes: Uint8Array, kind: HeadKind, options: ParseOptions = {}): Head {
  if (options.lenient && kind !== 'response') throw new TypeError('lenient: is for responses only')
  const scanner = options.lenient ? new LenientScanner(options) : new HeadScanner(kind, options)
  const verdict = scanner.push(bytes)
  if (verdict === 'invalid') throw scanner.error!
  if (verdict === 'more') throw scanner.end()
  const { head, rest } = scanner
  if (rest.length > 0) throw new HeadError('TRAILING_BYTES', bytes.length - rest.length, 'Done')
  return head!
}
