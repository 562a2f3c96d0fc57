import net from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import tls from 'node:tls'
import { inspect } from 'node:util'
import { BackendSocket, broken, readOn } from './backend-socket.ts'
import { type Settings, show } from './options.ts'
import { type Announced, type ProxyVersion, proxyHeader } from './proxy-protocol/index.ts'
import { isDuplex, isReadable } from './socket.ts'

interface OverTls {
  /** Speak TLS to the backend: true, or the options of `tls.connect`. The server name is `host` unless they say other. */
  tls?: boolean | tls.ConnectionOptions | undefined
}

interface Announcing {
  /** Tell the backend who the client is, by a PROXY header of this version before all else, TLS included. */
  sendProxy?: ProxyVersion | undefined
}

type PortDest = { port: number; host?: string | undefined } & OverTls & Announcing
type PathDest = { path: string } & OverTls & Announcing
type ServerDest = { server: net.Server }
type ConnectDest = { connect(): Duplex } & OverTls & Announcing

/**
 * Where a connection goes. An object of your own with one of these forms in it: hooks get the very object back. Where
 * it has several, `connect` goes first, then `server`, then `path`.
 */
export type Dest =
  /** A TCP port; host 'localhost' unless given. */
  | PortDest
  /** A Unix socket. */
  | PathDest
  /** A server of this process, which gets the connection itself, the head and what came with it first. No `modify`. */
  | ServerDest
  /** A stream of your own: called once a connection. */
  | ConnectDest

export type StreamDest = Exclude<Dest, ServerDest>

/** What of the settings a socket to a backend is given. */
type SocketSettings = Pick<Settings, 'noDelay' | 'keepAlive' | 'keepAliveInitialDelay'>

// A property of that name which is not right for its form is the user's own: `{ port: 80, server: 'blue' }` is a port.
const isConnectDest = (dest: object): dest is ConnectDest => 'connect' in dest && typeof dest.connect === 'function'
const isPathDest = (dest: object): dest is PathDest =>
  'path' in dest && typeof dest.path === 'string' && dest.path !== ''
const isPortDest = (dest: object): dest is PortDest => 'port' in dest && isPort(dest.port)
const isPort = (port: unknown) => Number.isInteger(port) && (port as number) > 0 && (port as number) <= 65_535

export function isServerDest(dest: object): dest is ServerDest {
  return !isConnectDest(dest) && 'server' in dest && dest.server instanceof net.Server
}

export function isDest(value: unknown): value is Dest {
  if (typeof value !== 'object' || value === null) return false
  return isConnectDest(value) || isServerDest(value) || isPathDest(value) || isPortDest(value)
}

/** What a hook returned, taken apart once: a getter of the user's may throw here, and nowhere else. */
export type Outcome =
  | { kind: 'nothing' | 'unknown' }
  | { kind: 'readable'; source: Readable }
  | { kind: 'server'; dest: ServerDest; server: net.Server }
  | { kind: 'stream'; dest: StreamDest }

export function readOutcome(value: unknown): Outcome {
  if (value === undefined || value === null) return { kind: 'nothing' }
  if (isReadable(value)) return { kind: 'readable', source: value }
  if (!isDest(value)) return { kind: 'unknown' }
  return isServerDest(value)
    ? { kind: 'server', dest: value, server: value.server }
    : { kind: 'stream', dest: value as StreamDest }
}

/** The PROXY header for a backend that wants one. @throws {TypeError} on a version that there is not */
export function headerFor({ sendProxy }: StreamDest, from: () => Announced): Buffer | undefined {
  if (sendProxy === undefined) return undefined
  if (sendProxy !== 1 && sendProxy !== 2) throw new TypeError(`dest.sendProxy: got ${show(sendProxy)}; takes 1 or 2`)
  return proxyHeader(sendProxy, from())
}

/**
 * Starts a connection to a backend; one that is to have a header before TLS is without TLS until `whenConnected` sees to
 * it. May throw what `dest.connect` or `tls.connect` throws.
 */
export function openUpstream(dest: StreamDest, settings: SocketSettings, header: Buffer | undefined): Duplex {
  const upstream = open(dest, settings, header !== undefined)
  if (upstream instanceof net.Socket && !(upstream instanceof BackendSocket)) readOnWriteError(upstream)
  return upstream
}

/** What a BackendSocket does by itself. */
function readOnWriteError(socket: net.Socket): void {
  const { _write, _writev } = socket
  const isBroken = () => broken.has(socket)
  socket._write = (chunk, encoding, done) =>
    isBroken() ? done() : _write.call(socket, chunk, encoding, readOn(socket, done))
  if (!_writev) return
  socket._writev = (chunks, done) => (isBroken() ? done() : _writev.call(socket, chunks, readOn(socket, done)))
}

function open(dest: StreamDest, settings: SocketSettings, hasHeader: boolean): Duplex {
  if (isConnectDest(dest)) return openOwn(dest, hasHeader)
  const target = targetOf(dest)
  if (!dest.tls) return new BackendSocket(settings.noDelay).connect(target)
  const socket = hasHeader ? beforeTls(dest.tls, target) : overTls(dest.tls, target)
  if ('path' in target) return socket
  socket.setNoDelay(settings.noDelay)
  socket.setKeepAlive(settings.keepAlive, settings.keepAliveInitialDelay)
  return socket
}

type Target = net.NetConnectOpts & { servername?: string }

/** Where to connect to, as Node takes it, with the name for TLS. */
function targetOf(dest: PortDest | PathDest): Target {
  if (isPathDest(dest)) return { path: dest.path }
  const { host = 'localhost', port } = dest
  // An address needs neither a look-up nor a race between families.
  if (net.isIP(host) !== 0) return { host, port, autoSelectFamily: false }
  return { host, port, autoSelectFamily: net.getDefaultAutoSelectFamily(), servername: host }
}

/** @throws {TypeError} on what is no stream, and the stream's own error on one that is over already: it would never tell */
function openOwn(dest: ConnectDest, hasHeader: boolean): Duplex {
  const stream: unknown = dest.connect()
  if (!isDuplex(stream)) throw new TypeError(`dest.connect returned ${inspect(stream, { depth: 0 })}; takes a Duplex`)
  stream.on('error', () => undefined)
  try {
    if (stream.destroyed || stream.readableEnded || stream.writableEnded) {
      throw stream.errored ?? new Error('dest.connect returned a stream that is over')
    }
    // A backend that ends its side may still be sent the rest of the request.
    stream.allowHalfOpen = true
    return dest.tls && !hasHeader ? overTls(dest.tls, { socket: stream }) : stream
  } catch (cause) {
    stream.destroy()
    throw cause
  }
}

const HALF_OPEN: net.SocketConstructorOpts = { allowHalfOpen: true }

function overTls(options: true | tls.ConnectionOptions, target: tls.ConnectionOptions): tls.TLSSocket {
  return tls.connect({ ...target, ...own(options), ...HALF_OPEN })
}

/** What `overTls` would connect, without TLS yet. */
function beforeTls(options: true | tls.ConnectionOptions, target: Target): net.Socket {
  return net.connect({ ...target, ...(own(options) as object), ...HALF_OPEN })
}

function own(options: true | tls.ConnectionOptions): tls.ConnectionOptions {
  return options === true ? {} : options
}

interface ConnectEvents {
  /** Bytes can be sent, to this stream. A header is on its way; what is sent now goes in the same packet. */
  connected(stream: Duplex): void
  /** What the 'error' of the stream that was opened does not tell. */
  failed(cause: Error): void
}

/** Calls back when bytes can be sent: at once, where they can be now. What fails is told by the stream's 'error'. */
export function whenConnected(
  upstream: Duplex,
  dest: StreamDest,
  header: Buffer | undefined,
  { connected, failed }: ConnectEvents,
): void {
  if (!header) return whenOpen(upstream, dest, () => connected(upstream))
  whenOpen(upstream, dest, () => {
    if (!dest.tls) {
      // What else is written in this turn goes with it.
      upstream.cork()
      upstream.write(header)
      process.nextTick(() => upstream.uncork())
      return connected(upstream)
    }
    upstream.write(header)
    try {
      const target = isConnectDest(dest) ? {} : targetOf(dest)
      const secure = overTls({ ...own(dest.tls), socket: upstream }, target)
      readOnWriteError(secure)
      secure.on('error', failed)
      whenOpen(secure, dest, () => connected(secure))
    } catch (cause) {
      failed(cause as Error)
    }
  })
}

function whenOpen(upstream: Duplex, dest: StreamDest, opened: () => void): void {
  const event = connectEvent(upstream)
  if (!event) return opened()
  upstream.once(event, () => {
    if (isOwnPeer(upstream, dest)) upstream.destroy(selfConnected())
    else opened()
  })
}

/** The event after which bytes can be sent; undefined where they can be at once. */
function connectEvent(upstream: Duplex): 'connect' | 'secureConnect' | undefined {
  if (upstream instanceof tls.TLSSocket) {
    // The peer's Finished ends the handshake; getProtocol() has an answer long before.
    return upstream.getPeerFinished() === undefined ? 'secureConnect' : undefined
  }
  return upstream instanceof net.Socket && upstream.connecting ? 'connect' : undefined
}

/**
 * Of a port of this machine that nobody listens on, the system may choose just that one to connect from: both ends then
 * are the same socket (RFC 9293 3.5, simultaneous open), which echoes, and keeps the port from whoever is to listen there.
 */
function isOwnPeer(upstream: Duplex, dest: StreamDest): boolean {
  if (!(upstream instanceof net.Socket) || upstream.localPort === undefined) return false
  // The kernel is asked for each end: most often one will do.
  if (!isConnectDest(dest) && isPortDest(dest) && upstream.localPort !== dest.port) return false
  return upstream.localPort === upstream.remotePort && upstream.localAddress === upstream.remoteAddress
}

function selfConnected(): Error {
  return Object.assign(new Error('connected to itself: nobody listens there'), { code: 'ECONNREFUSED' })
}
