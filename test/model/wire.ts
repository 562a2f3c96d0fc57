import net from 'node:net'
import { Duplex } from 'node:stream'

type Done = (error?: Error | null) => void

/** Bytes taken in one read. */
const READ_BYTES = 65_536

/**
 * One end of a TCP connection in memory, as the kernel and libuv have it: so many bytes wait to be read, then a FIN; a
 * reset is met by whoever reads or writes next, once; who closes with bytes unread resets; who does not read hears nothing.
 */
export class Port {
  peer!: Port
  stream!: Duplex
  /** Bytes taken by the kernel, and read out of it. */
  bytesWritten = 0
  bytesRead = 0
  /** What no kernel would forgive. */
  readonly faults: string[] = []
  readonly #capacity: number
  #inbox: Buffer[] = []
  #length = 0
  #hasFin = false
  #isBroken = false
  /** Somebody has met the reset. */
  #isMet = false
  #isWanted = false
  #isWoken = false
  #isHeld = false
  #isClosed = false
  #hasSentFin = false
  #isEnding = false
  /** A write that waits for the peer to read. */
  #blocked: Done | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** While it is held, nothing arrives here. */
  set isHeld(isHeld: boolean) {
    this.#isHeld = isHeld
    this.#wake()
  }

  want(): void {
    this.#isWanted = true
    this.#wake()
  }

  write(bytes: Buffer, done: Done): void {
    if (this.#isBroken) return this.#failWrite(done)
    if (bytes.length === 0) return done()
    this.bytesWritten += bytes.length
    if (this.peer.#isClosed) {
      setImmediate(() => this.#break())
      return done()
    }
    this.peer.#inbox.push(bytes)
    this.peer.#length += bytes.length
    this.peer.#wake()
    if (this.peer.#length <= this.#capacity) done()
    else this.#blocked = done
  }

  /** libuv sends the FIN in the next turn. */
  final(done: Done): void {
    this.#isEnding = true
    setImmediate(() => {
      this.#isEnding = false
      if (!this.#isClosed) this.#sendFin()
      done()
    })
  }

  /** libuv refuses to while a FIN is under way (EINVAL), and Node loses the socket: open, for good. */
  checkReset(): void {
    if (this.#isEnding) this.faults.push('a reset while the FIN was under way')
  }

  close(isReset: boolean): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (isReset || this.#length > 0) this.peer.#break()
    else this.#sendFin()
    this.#inbox = []
    this.#length = 0
    this.peer.#unblock()
    const blocked = this.#blocked
    this.#blocked = undefined
    blocked?.(failure('ECANCELED'))
  }

  #sendFin(): void {
    if (this.#hasSentFin) return
    this.#hasSentFin = true
    this.peer.#hasFin = true
    this.peer.#wake()
  }

  #break(): void {
    if (this.#isClosed) return
    this.#isBroken = true
    const blocked = this.#blocked
    this.#blocked = undefined
    if (blocked) this.#failWrite(blocked)
    this.#wake()
  }

  #failWrite(done: Done): void {
    const isFirst = !this.#isMet && !this.#hasFin
    this.#isMet = true
    done(failure(isFirst ? 'ECONNRESET' : 'EPIPE'))
  }

  #unblock(): void {
    const blocked = this.#blocked
    this.#blocked = undefined
    blocked?.()
  }

  #wake(): void {
    if (this.#isWoken) return
    this.#isWoken = true
    setImmediate(() => {
      this.#isWoken = false
      this.#deliver()
    })
  }

  #deliver(): void {
    if (this.#isHeld || !this.#isWanted || this.#isClosed) return
    const first = this.#inbox.shift()
    if (first) {
      const bytes = first.subarray(0, READ_BYTES)
      if (bytes.length < first.length) this.#inbox.unshift(first.subarray(bytes.length))
      this.#length -= bytes.length
      this.bytesRead += bytes.length
      if (this.#length <= this.#capacity) this.peer.#unblock()
      this.#isWanted = false
      this.stream.push(bytes)
    } else if (this.#hasFin || (this.#isBroken && this.#isMet)) {
      this.#isWanted = false
      this.stream.push(null)
    } else if (this.#isBroken) {
      this.#isMet = true
      this.stream.destroy(failure('ECONNRESET'))
    }
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}

/** A socket of `node:net` in all but its handle. */
export class MemorySocket extends net.Socket {
  readonly port: Port
  #isReset = false

  constructor(port: Port, isConnecting = false) {
    super({ allowHalfOpen: true })
    this.port = port
    port.stream = this
    this.#setConnecting(isConnecting)
    // Node's own are of the handle.
    Object.defineProperty(this, 'bytesRead', { get: () => port.bytesRead })
    Object.defineProperty(this, 'bytesWritten', { get: () => port.bytesWritten })
  }

  /** What is connecting has connected, or been refused. */
  accept(): void {
    if (!this.connecting || this.destroyed) return
    this.#setConnecting(false)
    this.emit('connect')
  }

  refuse(): void {
    if (this.connecting) this.destroy(failure('ECONNREFUSED'))
  }

  #setConnecting(isConnecting: boolean): void {
    ;(this as { connecting: boolean }).connecting = isConnecting
  }

  override _read(): void {
    if (this.connecting) this.once('connect', () => this.port.want())
    else this.port.want()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.port.write(chunk, done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.port.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: Done): void {
    this.port.final(done)
  }

  override resetAndDestroy(): this {
    if (!this.destroyed) this.port.checkReset()
    this.#isReset = true
    return this.destroy()
  }

  override _destroy(error: Error | null, done: Done): void {
    this.port.close(this.#isReset)
    super._destroy(error, done)
  }
}

/** A stream that is no socket: what it is not given the time to say is lost, and its peer knows. */
export class MemoryDuplex extends Duplex {
  readonly port: Port

  constructor(port: Port) {
    super()
    this.port = port
    port.stream = this
  }

  override _read(): void {
    this.port.want()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.port.write(chunk, done)
  }

  override _final(done: Done): void {
    this.port.final(done)
  }

  override _destroy(error: Error | null, done: Done): void {
    this.port.close(!(this.readableEnded && this.writableFinished))
    done(error)
  }
}

/** Two ends that are connected; each holds so many bytes that were not read. */
export function portPair(capacity: number): [Port, Port] {
  const [a, b] = [new Port(capacity), new Port(capacity)]
  a.peer = b
  b.peer = a
  return [a, b]
}
