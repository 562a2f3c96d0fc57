import { type Head, parseHead } from '../parser/index.ts'
import { hookError } from './hook-error.ts'

const FIELDS = ['Content-Length', 'Transfer-Encoding', 'Connection', 'Upgrade'] as const

/** A copy of a head before the hooks. */
export interface Framing {
  readonly before: Head
  /** Whether it answers a CONNECT: a 2xx begins a tunnel (RFC 9110 9.3.6). */
  readonly answersConnect: boolean
}

/** `method`: that of the request that a response answers. */
export function framingOf(head: Head, method = ''): Framing {
  return { before: head.clone(), answersConnect: method === 'CONNECT' }
}

/**
 * Checks that hooks did not change the framing of a head, because the bytes after it do not change either.
 * @throws {TypeError} if a hook changed the framing
 * @throws {HeadError} if the start line or Host breaks a rule
 */
export function checkFraming(head: Head, { before, answersConnect }: Framing): void {
  if (head.edits === before.edits) return
  for (const name of FIELDS) if (head.get(name) !== before.get(name)) throw changed(name)
  if (head.first !== before.first) {
    if (head.version !== before.version) throw changed('the version')
    if (specialIn(head.first) !== specialIn(before.first)) {
      throw changed(
        head.kind === 'request' ? 'the method to or from HEAD or CONNECT' : 'the status to or from 1xx, 204 or 304',
      )
    }
    if (answersConnect && isSuccess(head.first) !== isSuccess(before.first)) {
      throw changed('the status of the answer to a CONNECT to or from 2xx')
    }
  } else if (head.get('host') === before.get('host')) {
    return
  }
  // Hooks may add fields beyond the limits for received heads.
  const bytes = head.bytes()
  parseHead(bytes, head.kind, { maxHeadBytes: bytes.length, maxFields: bytes.length })
}

/** The method or status if it affects the end of a message (RFC 9112 6.3), else ''. */
function specialIn(first: string): string {
  return /^(?:HEAD|CONNECT|HTTP\/\d\.\d (?:1\d\d|204|304))(?= |$)/.exec(first)?.[0].replace(/^.* /, '') ?? ''
}

function isSuccess(first: string): boolean {
  return /^HTTP\/\d\.\d 2/.test(first)
}

function changed(what: string): TypeError {
  return hookError(`a hook changed ${what}; hooks may not change the framing`)
}
