import { isError, propertyOf, show } from '../show.ts'
import type { ProxyError, ProxyErrorCode } from './error.ts'

/** Maximum number of distinct warnings per process. Messages may contain what clients send. */
const MAX_PRINTED = 100
const printed = new Set<string>()

const OF_HOOKS: ReadonlySet<ProxyErrorCode> = new Set([
  'LOOKUP_FAILED',
  'MODIFY_FAILED',
  'ERRBACK_FAILED',
  'REPLY_FAILED',
])

/** Whether an error is a mistake in the user's code: a hook, or a Dest or stream that it returned. */
function isMistake({ code, cause }: ProxyError): boolean {
  if (OF_HOOKS.has(code)) return true
  // Without a cause, lookup returned nothing on purpose.
  if (code === 'NO_DESTINATION') return cause !== undefined
  // A certificate or key of the Dest that OpenSSL cannot read.
  const reason = propertyOf(cause, 'code')
  if (typeof reason === 'string' && reason.startsWith('ERR_OSSL_')) return true
  // The network and the system never cause these.
  return isError(cause) && [TypeError, ReferenceError, RangeError, SyntaxError].some((kind) => cause instanceof kind)
}

/** Prints a mistake once for each place that throws it. Call it if nobody listens for the error. */
export function warnOfMistake(error: ProxyError): void {
  if (!isMistake(error) || printed.size === MAX_PRINTED) return
  const { cause } = error
  const text = cause === undefined || isError(cause) ? error.message : `${error.message}: ${show(cause, 100)}`
  const frames = framesOf(cause)
  const key = frames ? placesOf(frames) : text
  if (printed.has(key)) return
  printed.add(key)
  const last = printed.size === MAX_PRINTED ? `\n(no further mistakes are printed; listen to 'proxyError')` : ''
  process.emitWarning(text, { type: 'BadassWarning', detail: `${frames ?? ''}${last}` })
}

/** An error's stack without its message. */
function framesOf(cause: unknown): string | undefined {
  const stack = propertyOf(cause, 'stack')
  if (typeof stack !== 'string') return undefined
  const start = stack.search(/^ {4}at /m)
  return start < 0 ? undefined : stack.slice(start)
}

/** The places in the code without the functions' names: an optimised constructor loses the `new` before its name. */
function placesOf(frames: string): string {
  return frames.replaceAll(/^ {4}at .*\((.*)\)$/gm, '$1')
}
