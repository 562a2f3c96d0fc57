import net from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import tls from 'node:tls'
import { inspect } from 'node:util'
import { BackendSocket, broken, readOn } from './backend-socket.ts'
import type { Settings } from './options.ts'
import { isDuplex, isReadable } from './socket.ts'

interface OverTls {
  /** Speak TLS to the backend: true, or the options of `tls.connect`. The server name is `host` unless they say other. */
  tls?: boolean | tls.ConnectionOptions | undefined
}

type PortDest = { port: number; host?: string | undefined } & OverTls
type PathDest = { path: string } & OverTls
type ServerDest = { server: net.Server }
type ConnectDest = { connect(): Duplex } & OverTls

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

/** Starts a connection to a backend. May throw what `dest.connect` or `tls.connect` throws. */
export function openUpstream(dest: StreamDest, settings: SocketSettings): Duplex {
  const upstream = open(dest, settings)
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

function open(dest: StreamDest, settings: SocketSettings): Duplex {
  if (isConnectDest(dest)) return openOwn(dest)
  if (isPathDest(dest)) {
    const { path } = dest
    return dest.tls ? overTls(dest.tls, { path }) : new BackendSocket(settings.noDelay).connect({ path })
  }
  const { host = 'localhost', port } = dest
  // An address needs neither a look-up nor a race between families.
  const isName = net.isIP(host) === 0
  const address = { host, port, autoSelectFamily: isName && net.getDefaultAutoSelectFamily() }
  if (!dest.tls) return new BackendSocket(settings.noDelay).connect(address)
  const socket = overTls(dest.tls, isName ? { ...address, servername: host } : address)
  socket.setNoDelay(settings.noDelay)
  socket.setKeepAlive(settings.keepAlive, settings.keepAliveInitialDelay)
  return socket
}

/** @throws {TypeError} on what is no stream, and the stream's own error on one that is over already: it would never tell */
function openOwn(dest: ConnectDest): Duplex {
  const stream: unknown = dest.connect()
  if (!isDuplex(stream)) throw new TypeError(`dest.connect returned ${inspect(stream, { depth: 0 })}; takes a Duplex`)
  stream.on('error', () => undefined)
  try {
    if (stream.destroyed || stream.readableEnded || stream.writableEnded) {
      throw stream.errored ?? new Error('dest.connect returned a stream that is over')
    }
    // A backend that ends its side may still be sent the rest of the request.
    stream.allowHalfOpen = true
    return dest.tls ? overTls(dest.tls, { socket: stream }) : stream
  } catch (cause) {
    stream.destroy()
    throw cause
  }
}

function overTls(options: true | tls.ConnectionOptions, target: tls.ConnectionOptions): tls.TLSSocket {
  const half: net.SocketConstructorOpts = { allowHalfOpen: true }
  return tls.connect({ ...target, ...(options === true ? undefined : options), ...half })
}

/** Calls back when bytes can be sent: at once, where they can be now. What fails is told by the stream's 'error'. */
export function whenConnected(upstream: Duplex, dest: StreamDest, connected: () => void): void {
  const event = connectEvent(upstream)
  if (!event) return connected()
  upstream.once(event, () => {
    if (isOwnPeer(upstream, dest)) upstream.destroy(selfConnected())
    else connected()
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
