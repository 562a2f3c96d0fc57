import { HeadError } from './error.ts'
import type { Head, HeadKind } from './head.ts'
import type { HeadLimits } from './limits.ts'
import { HeadScanner } from './scanner.ts'

/**
 * Parses bytes that are one whole head. They are not copied, and must not be written to afterwards.
 * @throws {HeadError} on a head that is malformed, too large, unfinished (`INCOMPLETE`) or followed by more bytes
 * (`TRAILING_BYTES`)
 * @throws {RangeError} on a limit that is not a positive integer
 */
export function parseHead(bytes: Uint8Array, kind: HeadKind, limits?: HeadLimits): Head {
  const scanner = new HeadScanner(kind, limits)
  const verdict = scanner.push(bytes)
  if (verdict === 'invalid') throw scanner.error!
  if (verdict === 'more') throw scanner.end()
  const { head, rest } = scanner
  if (rest.length > 0) throw new HeadError('TRAILING_BYTES', bytes.length - rest.length, 'Done')
  return head!
}
