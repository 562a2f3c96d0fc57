import { inspect, types } from 'node:util'

/** A value in an error: on one line, without what is nested in it. Never throws, whatever the value is. */
export function show(value: unknown, maxStringLength = 1000): string {
  try {
    if (types.isPromise(value)) return 'a Promise' // async hooks add properties to promises, which inspect would list
    return inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength })
  } catch {
    return typeof value // a revoked Proxy, or an `inspect` of its own that throws
  }
}

/** Whether a value is an Error. Never throws: `instanceof` does, on a revoked Proxy. */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error
  } catch {
    return false
  }
}

/** A property of whatever was thrown; undefined where it cannot be read. Never throws. */
export function propertyOf(value: unknown, name: string): unknown {
  try {
    return (value as { [name: string]: unknown } | null | undefined)?.[name]
  } catch {
    return undefined
  }
}

/**
 * The message of a thrown value, or its code or name if it has no message, like Node's AggregateError for a host whose
 * addresses all failed. An OpenSSL error gives its reason and code only, because its message holds memory addresses and
 * names of C files. Never throws.
 */
export function messageOf(cause: unknown): string {
  if (typeof cause === 'string') return cause
  if (!isError(cause)) return show(cause)
  const [library, reason, code] = ['library', 'reason', 'code'].map((name) => propertyOf(cause, name))
  const isOfOpenSsl = typeof library === 'string' && typeof reason === 'string' && typeof code === 'string'
  if (isOfOpenSsl) return `${reason} (${code})`
  for (const name of ['message', 'code', 'name']) {
    const text = propertyOf(cause, name)
    if (typeof text === 'string' && text !== '') return text
  }
  return 'an Error without a message'
}

/**
 * The cause as an Error that Node's streams can use: they read `stack`, which throws if the message is a symbol. Never
 * throws.
 */
export function asError(cause: unknown, message = messageOf(cause)): Error {
  return isError(cause) && hasStack(cause) ? cause : new Error(message, { cause })
}

function hasStack(error: Error): boolean {
  try {
    return typeof error.stack !== 'symbol'
  } catch {
    return false
  }
}
