import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { type Announced, proxyHeader } from '../parser/index.ts'
import { asError } from '../show.ts'
import type { SocketTarget, StreamTarget } from './dest.ts'
import { http2NotChosen } from './http2.ts'
import type { Settings } from './options.ts'
import { adoptStream } from './own-stream.ts'
import { keyOf } from './pool.ts'
import { isOwnPeer, Race, selfConnected } from './race.ts'
import { after, reset, settle } from './socket.ts'
import type { TlsSessions } from './tls-sessions.ts'
import { BackendSocket, drops, lengthOf, readOn } from './tunnel/index.ts'

export interface AttemptSettings extends Pick<Settings, 'noDelay' | 'keepAlive' | 'keepAliveInitialDelay'> {
  /** The attempt does not keep the process alive. */
  isIdle?: boolean
}

export interface AttemptEvents {
  /** The stream accepts bytes. A PROXY header was already written. Bytes written now go out in the same packet. */
  connected(stream: Duplex): void
  /** The attempt failed. `cause` is undefined if the stream closed without an error. */
  failed(cause: unknown): void
}

/**
 * One attempt to reach a backend. It connects or calls the Dest's `connect`, sends the PROXY header and does the TLS
 * handshake. It emits at most one event, and never `failed` in the constructor.
 */
export class Attempt {
  readonly #target: StreamTarget
  readonly #settings: AttemptSettings
  readonly #events: AttemptEvents
  #header: Buffer | undefined
  #race: Race | undefined
  /** The stream that was opened first. `#secure` may run over it. */
  #stream: Duplex | undefined
  #secure: tls.TLSSocket | undefined
  readonly #sessions: TlsSessions | undefined
  /** It tries to resume the TLS session of this key. */
  #resumed: string | undefined
  #isOver = false

  /** With `sessions`, it resumes the destination's last TLS session. */
  constructor(
    target: StreamTarget,
    settings: AttemptSettings,
    from: () => Announced,
    events: AttemptEvents,
    sessions?: TlsSessions,
  ) {
    this.#target = target
    this.#settings = settings
    this.#events = events
    this.#sessions = sessions
    try {
      if (target.sendProxy !== undefined) this.#header = proxyHeader(target.sendProxy, from())
      this.#start(target)
    } catch (cause) {
      this.#failLater(cause)
    }
  }

  /** Ends the attempt without an event. Does nothing if it has connected. */
  destroy(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#race?.stop()
    // Resetting a net.Socket also destroys the TLS socket over it.
    if (this.#secure && !(this.#stream instanceof net.Socket)) reset(this.#secure)
    if (this.#stream) reset(this.#stream)
  }

  /** Ends the attempt with this cause. Does nothing if it has connected. */
  fail(cause: unknown): void {
    if (this.#isOver) return
    this.destroy()
    if (this.#resumed !== undefined) this.#sessions!.delete(this.#resumed)
    this.#events.failed(cause)
  }

  #start(target: StreamTarget): void {
    if (target.kind === 'connect') {
      settle(
        () => after(target.connect(), adoptStream),
        (stream) => this.#take(stream),
        (cause) => this.#failLater(cause),
      )
    } else if (target.kind === 'port' && isRaced(target)) this.#startRace(target)
    else this.#take(target.tls?.socket ?? this.#open(target))
  }

  #startRace(target: SocketTarget & { kind: 'port' }): void {
    const { lookup, family, hints } = (target.tls ?? {}) as net.TcpNetConnectOpts
    const connect = (address: string) => {
      const socket = this.#open({ ...target, host: address })
      if (this.#settings.isIdle) socket.unref()
      return socket
    }
    this.#race = new Race(
      target.host || 'localhost',
      { lookup, family, hints, port: target.port, connect },
      { connected: (socket) => this.#take(socket), failed: (cause) => this.fail(cause) },
    )
  }

  /** Opens a socket without TLS, which may follow later. */
  #open(target: SocketTarget): net.Socket {
    const where = whereOf(target)
    if (!target.tls) return new BackendSocket(this.#settings.noDelay, target.kind === 'port').connect(where)
    return this.#tune(net.connect({ ...where, ...(target.tls as object), ...HALF_OPEN }))
  }

  #tune<S extends net.Socket>(socket: S): S {
    if (this.#target.kind === 'path') return socket
    const { noDelay, keepAlive, keepAliveInitialDelay } = this.#settings
    socket.setNoDelay(noDelay)
    socket.setKeepAlive(keepAlive, keepAliveInitialDelay)
    return socket
  }

  /** Uses a stream that may still be connecting. */
  #take(stream: Duplex): void {
    if (this.#isOver) return reset(stream.on('error', () => undefined))
    this.#stream = stream
    if (stream instanceof net.Socket && !(stream instanceof BackendSocket)) readOnWriteError(stream)
    this.#watch(stream)
    if (this.#settings.isIdle && stream instanceof net.Socket) stream.unref()
    // Node may give a connecting socket another handle, which TLS over it would not survive.
    whenOpen(stream, this.#target, () => this.#opened(stream))
  }

  #opened(stream: Duplex): void {
    if (this.#isOver) return
    if (this.#target.tls) {
      if (this.#header) stream.write(this.#header)
      return this.#shakeHands(stream)
    }
    if (!this.#header) return this.#connected(stream)
    // Other bytes written in this turn go out in the same packet.
    stream.cork()
    stream.write(this.#header)
    process.nextTick(() => stream.uncork())
    this.#connected(stream)
  }

  #shakeHands(stream: Duplex): void {
    try {
      const where = this.#target.kind === 'connect' ? {} : whereOf(this.#target)
      const secure = this.#overTls(where, { ...this.#target.tls, socket: stream })
      this.#secure = secure
      readOnWriteError(secure)
      this.#watch(secure)
      whenOpen(secure, this.#target, () => this.#connected(secure))
    } catch (cause) {
      this.#failLater(cause)
    }
  }

  #overTls(where: tls.ConnectionOptions, given: tls.ConnectionOptions): tls.TLSSocket {
    const sessions = this.#sessions
    const { checkServerIdentity: check } = given
    const options = { ...where, ...given, ...HALF_OPEN, ...(check && { checkServerIdentity: safely(check) }) }
    if (!sessions) return tls.connect(options)
    const key = keyOf(this.#target)
    const session = sessions.get(key)
    if (session) this.#resumed = key
    const secure = tls.connect({ ...(session && { session }), ...options })
    return secure.on('session', (next) => sessions.put(key, next))
  }

  readonly #failedBy = (cause: unknown) => this.fail(cause)
  readonly #closed = () => this.fail(undefined)

  #watch(stream: Duplex): void {
    stream.on('error', this.#failedBy)
    stream.on('close', this.#closed)
  }

  #connected(stream: Duplex): void {
    if (this.#isOver) return
    const wrong = this.#target.tls && http2NotChosen(stream, this.#target.tls)
    if (wrong) return this.fail(wrong)
    this.#isOver = true
    this.#events.connected(stream)
    // The new owner of the stream listens to it. The stream below TLS still needs the listeners of this attempt.
    stream.off('error', this.#failedBy)
    stream.off('close', this.#closed)
  }

  /** Fails in the next turn. Otherwise an errback that keeps returning a bad Dest would block all other connections. */
  #failLater(cause: unknown): void {
    setImmediate(() => this.fail(cause))
  }
}

/** Options of `net.connect` that replace the Dest's address, or choose among several addresses. */
const OWN_WAYS = ['host', 'port', 'path', 'socket', 'autoSelectFamily'] as const

/** Whether the host is a name, which may have several addresses. */
function isRaced({ host, tls: options = {} }: SocketTarget & { kind: 'port' }): boolean {
  return net.isIP(host) === 0 && OWN_WAYS.every((name) => !(name in options))
}

type Where = net.NetConnectOpts & { servername?: string }

/** The address as options of `net.connect`, with the server name for TLS. */
function whereOf(target: SocketTarget): Where {
  if (target.kind === 'path') return { path: target.path }
  const { host, port } = target
  return net.isIP(host) === 0 ? { host, port, servername: host } : { host, port, autoSelectFamily: false }
}

type IdentityCheck = NonNullable<tls.ConnectionOptions['checkServerIdentity']>

/** A user's check whose failures become the error of the handshake. Node would let them end the process. */
function safely(check: IdentityCheck): IdentityCheck {
  return (host, certificate) => {
    try {
      const error = check(host, certificate)
      return error && asError(error)
    } catch (cause) {
      return asError(cause)
    }
  }
}

const HALF_OPEN: net.SocketConstructorOpts = { allowHalfOpen: true }

/** Reads a socket to its end after a failed write, as a BackendSocket does. See `readOn`. */
function readOnWriteError(socket: net.Socket): void {
  const { _write, _writev } = socket
  socket._write = (chunk, encoding, done) => {
    if (!drops(socket, chunk.length, done)) _write.call(socket, chunk, encoding, readOn(socket, done))
  }
  if (!_writev) return
  socket._writev = (chunks, done) => {
    if (!drops(socket, lengthOf(chunks), done)) _writev.call(socket, chunks, readOn(socket, done))
  }
}

function whenOpen(stream: Duplex, target: StreamTarget, opened: () => void): void {
  const event = connectEvent(stream)
  if (!event) return opened()
  stream.once(event, () => {
    if (hasOwnPeer(stream, target)) stream.destroy(selfConnected())
    else opened()
  })
}

/** The event after which the stream accepts bytes. Undefined if it already does. */
function connectEvent(stream: Duplex): 'connect' | 'secureConnect' | undefined {
  if (stream instanceof tls.TLSSocket) {
    // The peer's Finished message ends the handshake (RFC 8446 4.4.4). getProtocol() returns a value long before.
    return stream.getPeerFinished() === undefined ? 'secureConnect' : undefined
  }
  return stream instanceof net.Socket && stream.connecting ? 'connect' : undefined
}

function hasOwnPeer(stream: Duplex, target: StreamTarget): boolean {
  return stream instanceof net.Socket && isOwnPeer(stream, target.kind === 'port' ? target.port : undefined)
}
