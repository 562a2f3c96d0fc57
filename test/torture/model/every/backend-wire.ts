import { Duplex } from 'node:stream'
import { type BackendSocket, drops, lengthOf, readOn } from '../../../../src/proxy/tunnel/backend-socket.ts'
import { type Port, portPair } from '../wire.ts'

type Done = (error?: Error | null) => void

/** The properties in which a `net.Socket` keeps its own read buffer (the option `onread`). */
interface ReadBuffer {
  next(): Uint8Array
  received(count: number, memory: Uint8Array): void
}

function readBufferOf(socket: BackendSocket): ReadBuffer {
  const property = (name: string) => {
    const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === name)!
    return (socket as unknown as Record<symbol, (...parameters: unknown[]) => unknown>)[symbol]!
  }
  return {
    next: property('kBufferGen') as ReadBuffer['next'],
    received: property('kBufferCb') as ReadBuffer['received'],
  }
}

/** Sockets keep this size of a buffer while they lend nothing. */
const SHARED_BYTES = 65_536

/** Connects a `BackendSocket` to a port in memory: it does what `net.Socket` does with the system's handle. */
export class BackendWire {
  readonly socket: BackendSocket
  readonly near: Port
  readonly far: Port
  isReading = false
  /** It keeps the process alive. */
  isRefd = true
  readonly #buffer: ReadBuffer
  #isReset = false

  constructor(socket: BackendSocket, capacity: number) {
    const [near, far] = portPair(capacity)
    this.socket = socket
    this.near = near
    this.far = far
    this.#buffer = readBufferOf(socket)
    near.stream = socket
    this.#setConnecting(true)
    Object.assign(socket, this.#methods())
  }

  /** The next read goes to a buffer of its own, which is one of a few. */
  get holdsBuffer(): boolean {
    return this.#buffer.next().length !== SHARED_BYTES
  }

  accept(): void {
    const { socket } = this
    if (socket.destroyed) return
    this.#setConnecting(false)
    socket.emit('connect')
    if (!socket.isPaused()) socket.read(0)
  }

  refuse(): void {
    this.socket.destroy(Object.assign(new Error('ECONNREFUSED'), { code: 'ECONNREFUSED' }))
  }

  #setConnecting(isConnecting: boolean): void {
    ;(this.socket as { connecting: boolean }).connecting = isConnecting
  }

  #start(): void {
    if (this.isReading || this.socket.connecting) return
    this.isReading = true
    this.near.want()
  }

  #stop(): void {
    this.isReading = false
    this.near.unwant()
  }

  #push(bytes: Uint8Array | null): boolean {
    const { socket } = this
    if (socket.destroyed) return false
    if (!bytes) {
      Duplex.prototype.push.call(socket, null)
      socket.read(0)
      return false
    }
    const memory = this.#buffer.next()
    memory.set(bytes)
    this.#buffer.received(bytes.length, memory)
    if (this.isReading) this.near.want()
    return true
  }

  #methods() {
    const { socket, near } = this
    const { prototype } = Duplex
    return {
      push: (bytes: Uint8Array | null) => this.#push(bytes),
      _read: () => this.#start(),
      read: (size?: number) => {
        this.#start()
        return prototype.read.call(socket, size)
      },
      resume: () => {
        this.#start()
        return prototype.resume.call(socket)
      },
      pause: () => {
        this.#stop()
        return prototype.pause.call(socket)
      },
      _write: (chunk: Buffer, _encoding: BufferEncoding, done: Done) => {
        if (!drops(socket, chunk.length, done)) near.write(chunk, readOn(socket, done))
      },
      _writev: (chunks: { chunk: Buffer }[], done: Done) => {
        if (drops(socket, lengthOf(chunks), done)) return
        near.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), readOn(socket, done))
      },
      _final: (done: Done) => near.final(done),
      resetAndDestroy: () => {
        near.checkReset()
        this.#isReset = true
        return socket.destroy()
      },
      _destroy: (error: Error | null, done: Done) => {
        near.close(this.#isReset)
        Object.getPrototypeOf(socket)._destroy.call(socket, error, done)
      },
      ref: () => this.#refer(true),
      unref: () => this.#refer(false),
    }
  }

  #refer(isRefd: boolean): BackendSocket {
    this.isRefd = isRefd
    return this.socket
  }
}
