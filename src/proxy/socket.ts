import net from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import { show } from '../show.ts'

/** Formats a host and port as in a URL, with an IPv6 address in brackets (RFC 3986 3.2.2). */
export function hostPort(host: string, port: number | undefined): string {
  return `${net.isIPv6(host) ? `[${host}]` : host}:${port}`
}

/** Applies the options to an accepted socket. */
export function tune(socket: net.Socket, { noDelay }: { noDelay: boolean }): void {
  // Keep sending after the peer ended its side.
  socket.allowHalfOpen = true
  // A user's stream may not have the method.
  if (noDelay) socket.setNoDelay?.(true)
}

/** Destroys a stream. Never throws, even if the destroy() of a user's stream does. */
export function destroy(stream: Readable, cause?: Error): void {
  try {
    stream.destroy(cause)
  } catch {
    // Nothing else can be done with the stream.
  }
}

/** Resets a connection: with a RST if it is TCP, otherwise by destroying it. */
export function reset(stream: Duplex): void {
  if (stream.destroyed) return
  // A socket that is still connecting would delay its reset until it has connected.
  if (!(stream instanceof net.Socket) || stream.connecting) return destroy(stream)
  // While a FIN is being sent (one turn of the event loop at most), libuv refuses to reset a socket (EINVAL), and Node
  // would leave it open forever.
  const isEnding = stream.writableEnded && !stream.writableFinished && stream.writableLength === 0
  if (isEnding) return void stream.once('finish', () => reset(stream))
  try {
    stream.resetAndDestroy()
  } catch {
    // Unix sockets and TLS cannot send a RST.
    destroy(stream)
  }
}

/**
 * Puts bytes back into a paused socket. This also delays its 'end', which an empty paused socket emits at once, even if
 * nobody listens yet.
 */
export function unshift(socket: net.Socket, ...pieces: Buffer[]): void {
  for (const bytes of pieces.reverse()) if (bytes.length > 0) socket.unshift(bytes)
}

/**
 * Reads everything that a paused socket has buffered. Without a length, Node 26 returns one piece of several. Listen for
 * 'end' in the same tick: see `unshift`.
 */
export function readAll(socket: net.Socket): Buffer {
  return (socket.read(socket.readableLength || undefined) as Buffer | null) ?? Buffer.alloc(0)
}

/**
 * Reads and drops what a peer sent before it left, so that `bytesRead` shows whether it sent a request. The socket's
 * 'error' or 'close' follows. If Node reports the reset as an end, calls `ended` instead.
 */
export function readRest(socket: net.Socket, ended: () => void): void {
  socket.once('end', ended)
  socket.resume()
}

/** Whether a server ends its half-open sockets itself. Other servers rely on Node to end them. */
export function allowsHalfOpen(server: net.Server): boolean {
  return 'allowHalfOpen' in server && server.allowHalfOpen === true
}

/** Passes a paused socket to a server as if it had just been accepted, with these bytes first. */
export function handOver(socket: net.Socket, server: net.Server, bytes: () => Buffer[]): void {
  socket.allowHalfOpen = allowsHalfOpen(server)
  // After pause(), a stream does not start to flow for a new 'data' listener. Adding and removing a 'readable' listener
  // undoes that in the next tick.
  const nothing = () => undefined
  socket.on('readable', nothing)
  socket.off('readable', nothing)
  // Waiting also lets a read finish that may be calling us now.
  process.nextTick(() => {
    if (socket.destroyed) return
    unshift(socket, ...bytes())
    server.emit('connection', socket)
  })
}

/** Calls a hook that may throw or return a promise. A value that is not a promise is passed on synchronously. */
export function settle<T>(
  hook: () => T | Promise<T>,
  done: (value: T) => void,
  failed: (cause: unknown) => void,
): void {
  let value: T | Promise<T>
  let promise: Promise<T> | undefined
  try {
    value = hook()
    // A foreign thenable may settle twice or throw. A native promise guards against that.
    if (isPromise(value)) promise = Promise.resolve(value)
  } catch (cause) {
    failed(cause)
    return
  }
  if (promise !== undefined) promise.then(done, failed)
  else done(value as T)
}

/** Continues with what a hook returned. Stays synchronous if it is not a promise. */
export function after<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  // A foreign thenable may not chain, or not catch what `next` throws.
  return isPromise(value) ? Promise.resolve(value).then(next) : next(value)
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** The methods that the engine calls on a Readable. `pipe` excludes foreign socket-like objects. */
const READABLE_METHODS = ['on', 'once', 'off', 'pipe', 'pause', 'resume', 'destroy'] as const

export function isReadable(value: unknown): value is Readable {
  return hasMethods(value, READABLE_METHODS)
}

const SERVER_METHODS = ['on', 'emit', 'listen', 'close', 'address'] as const

/** Checks the methods, because Bun's http.Server handles 'connection' but is not an instance of net.Server. */
export function isServer(value: unknown): value is net.Server {
  return hasMethods(value, SERVER_METHODS)
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

/** The bytes of a chunk of a stream. Destroys the stream if the chunk is neither bytes nor a string. */
export function bytesOf(chunk: unknown, source: Readable): Uint8Array | undefined {
  if (typeof chunk === 'string') return Buffer.from(chunk)
  if (isBytes(chunk)) return chunk
  destroy(source, new TypeError(`a stream emitted ${show(chunk)}; expected bytes or a string`))
  return undefined
}

/** Returns bytes of a stream as a Buffer, without a copy. */
export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function isBytes(chunk: unknown): chunk is Uint8Array {
  try {
    return chunk instanceof Uint8Array
  } catch {
    return false // a revoked Proxy
  }
}

/** Pieces of up to this many bytes are cheaper to copy than to write one by one. */
const SMALL_BYTES = 4_096

/** Writes the pieces at once, in one packet if they fit. */
export function writeTogether(stream: Duplex, ...pieces: Uint8Array[]): void {
  const joined = join(pieces)
  if (joined) {
    if (joined.length > 0) stream.write(joined)
    return
  }
  stream.cork()
  for (const bytes of pieces) if (bytes.length > 0) stream.write(bytes)
  stream.uncork()
}

/** Joins pieces that lie one behind the other in memory, or that are small. Returns undefined for others. */
function join(pieces: Uint8Array[]): Uint8Array | undefined {
  const first = pieces[0]!
  let length = 0
  let isWhole = true
  for (const bytes of pieces) {
    const isNext = bytes.buffer === first.buffer && bytes.byteOffset === first.byteOffset + length
    isWhole &&= isNext || bytes.length === 0
    length += bytes.length
  }
  if (length === first.length) return first
  if (isWhole) return Buffer.from(first.buffer, first.byteOffset, length)
  return length <= SMALL_BYTES ? Buffer.concat(pieces, length) : undefined
}
