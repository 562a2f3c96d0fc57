import { EventEmitter } from 'node:events'
import net from 'node:net'
import { Duplex, Readable, Stream, Writable } from 'node:stream'
import tls from 'node:tls'
import { asError, show } from '../show.ts'
import type { Outcome } from './dest.ts'
import { destroy, isReadable, settle } from './socket.ts'

/** The methods that the engine calls on a user's stream. */
const OF_READABLES = ['on', 'once', 'off', 'pause', 'resume'] as const
const OF_WRITABLES = ['write', 'end', 'cork', 'uncork'] as const

/** Node's own methods, which do not throw when the engine calls them. */
const ofNode: ReadonlySet<unknown> = new Set(
  [EventEmitter, Stream, Readable, Writable, Duplex, net.Socket, tls.TLSSocket].flatMap(({ prototype }) =>
    [...OF_READABLES, ...OF_WRITABLES].map((name) => (prototype as unknown as { [name: string]: unknown })[name]),
  ),
)

/**
 * Prepares a stream that `connect()` of a Dest returned. What its methods throw becomes its 'error'.
 * @throws {TypeError} if it is not a Duplex
 * @throws the stream's error, or an Error, if it has already ended, because it would emit nothing more
 */
export function adoptStream(stream: unknown): Duplex {
  if (!isDuplex(stream)) throw new TypeError(`dest.connect returned ${show(stream)}; expected a Duplex`)
  stream.on('error', () => undefined)
  try {
    if (stream.destroyed || stream.readableEnded || stream.writableEnded) {
      throw stream.errored ?? new Error('dest.connect returned a stream that has ended')
    }
    // Send the rest of the request even after the backend ended its side.
    stream.allowHalfOpen = true
    catchThrows(stream, [...OF_READABLES, ...OF_WRITABLES])
    catchFailures(stream)
    return stream
  } catch (cause) {
    destroy(stream)
    throw cause
  }
}

/** Prepares a Readable that errback returned. Throws if it cannot be used. */
export function adoptReadable(outcome: Outcome): Outcome {
  if (outcome.kind !== 'readable') return outcome
  outcome.source.on('error', () => undefined)
  catchThrows(outcome.source, OF_READABLES)
  catchFailures(outcome.source)
  return outcome
}

function isDuplex(value: unknown): value is Duplex {
  return isReadable(value) && OF_WRITABLES.every((name) => typeof (value as Duplex)[name] === 'function')
}

/** Turns what a method throws into the stream's 'error'. Leaves Node's own methods alone. */
function catchThrows(stream: Readable, names: readonly string[]): void {
  const methods = stream as unknown as { [name: string]: unknown }
  for (const name of names) {
    const method = methods[name]
    if (typeof method !== 'function' || ofNode.has(method)) continue
    methods[name] = (...values: unknown[]) => {
      try {
        return Reflect.apply(method, stream, values)
      } catch (cause) {
        destroy(stream, toError(name, cause))
        return stream
      }
    }
  }
}

/**
 * Turns what the stream's own methods throw, reject with or pass to their callback into its 'error'. Node lets `_write`
 * throw into the caller of `write`, or into the code that completes an earlier write. It handles errors of the others,
 * but fails on one whose `stack` cannot be read.
 */
function catchFailures(stream: Readable): void {
  const methods = stream as unknown as { [name: string]: unknown }
  const end = stream.destroy
  // Node calls this with errors of constructors and generators too.
  stream.destroy = (cause, ...more) => Reflect.apply(end, stream, [cause && asError(cause), ...more])
  // A Transform with another `_final` would flush twice.
  const ofKind = typeof methods._transform === 'function' ? ['_transform', '_flush'] : ['_final']
  for (const name of ['_read', '_write', '_writev', '_destroy', ...ofKind]) {
    const method = methods[name]
    if (typeof method === 'function') methods[name] = guarded(stream, name, method as Method)
  }
}

type Method = (...values: unknown[]) => unknown

function guarded(stream: Readable, name: string, method: Method): Method {
  return (...values) => {
    const done = values.at(-1)
    const isCalledBack = typeof done === 'function'
    const failed = (cause: unknown) => {
      if (isCalledBack) done(toError(name, cause))
      else destroy(stream, toError(name, cause))
    }
    if (isCalledBack) {
      values[values.length - 1] = (cause: unknown, ...more: unknown[]) => {
        if (cause) failed(cause)
        else done(cause, ...more)
      }
    }
    settle(
      () => Reflect.apply(method, stream, values),
      () => undefined,
      failed,
    )
  }
}

function toError(method: string, cause: unknown): Error {
  return asError(cause, `${method}() of a stream failed with ${show(cause)}`)
}
