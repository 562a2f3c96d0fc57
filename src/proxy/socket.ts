import net from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import { inspect } from 'node:util'
import type { ClientInfo, Settings } from './options.ts'

export function clientInfo(socket: net.Socket): ClientInfo {
  return {
    remoteAddress: socket.remoteAddress,
    remotePort: socket.remotePort,
    localPort: socket.localPort,
    encrypted: 'encrypted' in socket && socket.encrypted === true,
  }
}

/** As in a URL: an IPv6 address stands in brackets (RFC 3986 3.2.2). */
export function hostPort(host: string, port: number | undefined): string {
  return `${net.isIPv6(host) ? `[${host}]` : host}:${port}`
}

/** Gives an accepted socket what the options say, whichever server accepted it. */
export function tune(socket: net.Socket, { noDelay }: Settings): void {
  // A peer that ends its side may still be sent the rest.
  socket.allowHalfOpen = true
  if (noDelay) socket.setNoDelay(true)
}

/** Breaks a connection off so that the other end knows it: by RST where it is TCP, else as abruptly as can be. */
export function reset(stream: Duplex): void {
  if (stream.destroyed) return
  // A socket that is still connecting would put its reset off until it has connected, if ever.
  if (!(stream instanceof net.Socket) || stream.connecting) return void stream.destroy()
  // While its FIN is under way, a turn of the event loop at most, libuv refuses to reset a socket (EINVAL), and Node
  // would lose it, open, for good.
  const isEnding = stream.writableEnded && !stream.writableFinished && stream.writableLength === 0
  if (isEnding) return void stream.once('finish', () => reset(stream))
  try {
    stream.resetAndDestroy()
  } catch {
    // Unix sockets and TLS have no RST to send.
    stream.destroy()
  }
}

/**
 * Puts bytes that were read back into a paused socket. They also keep its 'end' from being emitted: a paused socket
 * that is empty tells of the peer's FIN at once, and whoever comes to listen later would never hear of it.
 */
export function putBack(socket: net.Socket, ...pieces: Buffer[]): void {
  for (const bytes of pieces.reverse()) if (bytes.length > 0) socket.unshift(bytes)
}

/** Takes all that a paused socket holds. Whoever wants its 'end' must listen in the same tick. */
export function takeOut(socket: net.Socket): Buffer {
  return (socket.read() as Buffer | null) ?? Buffer.alloc(0)
}

/** Gives a paused socket to a server, as fresh as if that had accepted it, with these bytes first. */
export function handOver(socket: net.Socket, server: net.Server, bytes: () => Buffer[]): void {
  // A server whose listeners do not know of half-open sockets counts on Node to end them.
  socket.allowHalfOpen = 'allowHalfOpen' in server && server.allowHalfOpen === true
  // pause() makes a stream deaf to later 'data' listeners; a 'readable' listener that goes again takes that back, a
  // tick later.
  const nothing = () => undefined
  socket.on('readable', nothing)
  socket.off('readable', nothing)
  // By then it has also done with the read that we may be called from, whose flow control would be upset.
  process.nextTick(() => {
    if (socket.destroyed) return
    putBack(socket, ...bytes())
    server.emit('connection', socket)
  })
}

/** Calls a hook that may throw, or return a promise. What is there at once is passed on at once. */
export function settle<T>(
  hook: () => T | Promise<T>,
  done: (value: T) => void,
  failed: (cause: unknown) => void,
): void {
  let value: T | Promise<T>
  try {
    value = hook()
    // A promise of another make may settle twice, or throw: one of Node's takes it in.
    if (isPromise(value)) value = Promise.resolve(value)
  } catch (cause) {
    failed(cause)
    return
  }
  if (value instanceof Promise) value.then(done, failed)
  else done(value)
}

/** Goes on with what a hook returned: at once where it is there, so that a synchronous hook stays synchronous. */
export function after<T, U>(value: T | Promise<T>, next: (value: T) => U): U | Promise<U> {
  // A thenable of another make may neither chain nor catch what `next` throws.
  return isPromise(value) ? Promise.resolve(value).then(next) : next(value)
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

export function isReadable(value: unknown): value is Readable {
  return hasMethods(value, 'on', 'pipe', 'resume', 'destroy')
}

export function isDuplex(value: unknown): value is Duplex {
  return isReadable(value) && hasMethods(value, 'write', 'end')
}

function hasMethods(value: unknown, ...names: string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

/** The bytes of what a stream gave. Where that is neither bytes nor a string, the stream is destroyed for it. */
export function bytesOf(chunk: unknown, source: Readable): Uint8Array | undefined {
  if (chunk instanceof Uint8Array) return chunk
  if (typeof chunk === 'string') return Buffer.from(chunk)
  source.destroy(new TypeError(`a stream of bytes gave ${inspect(chunk, { depth: 0 })}`))
  return undefined
}

/** Writes in one go, in one packet where it fits. */
export function writeTogether(stream: Duplex, ...pieces: Buffer[]): void {
  stream.cork()
  for (const bytes of pieces) if (bytes.length > 0) stream.write(bytes)
  stream.uncork()
}
