import { randomUUID } from 'node:crypto'
import type { Head } from '../../index.ts'
import { deleteFields } from './fields.ts'

const ID = 'X-Request-Id'
const TRACE = 'traceparent'

/** Origins that read fields as CGI variables (RFC 3875 4.1.18) take X_Request_Id for X-Request-Id. */
const LOOKALIKE = /^x[^a-z\d]request[^a-z\d]id$/i

/** An id that a trusted proxy has made: visible ASCII, as it goes into logs. */
const IS_ID = /^[!-~]{1,128}$/

/** Version 00 of W3C Trace Context: trace id, parent id and flags. An id of zeros is invalid. */
const IS_TRACE = /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/

/**
 * Sets X-Request-Id and returns it. A trusted peer's id stays. Other clients get a new one, so that they cannot choose the
 * id under which they appear in logs. A valid traceparent passes, and a missing or bad one is replaced (W3C Trace Context).
 */
export function identify(head: Head, isTrusted: boolean): string | undefined {
  // The preface of an HTTP/2 connection has no fields (RFC 9113 3.4).
  if (head.version === 'HTTP/2.0') return undefined
  const given = isTrusted ? head.get(ID) : undefined
  const id = given !== undefined && IS_ID.test(given) ? given : randomUUID()
  deleteFields(head, LOOKALIKE)
  head.set(ID, id)
  if (!IS_TRACE.test(head.get(TRACE) ?? '')) {
    head.set(TRACE, `00-${hex()}-${hex().slice(16)}-01`)
    // It belongs to the trace that was replaced.
    head.delete('tracestate')
  }
  return id
}

/** 32 random hexadecimal digits. The last 16 are never all zero: a UUID's variant is among them. */
function hex(): string {
  return randomUUID().replaceAll('-', '')
}
