import net from 'node:net'
import { Duplex } from 'node:stream'

type Done = (error?: Error | null) => void

/** Maximum number of bytes per read. */
const READ_BYTES = 65_536

/**
 * One end of a TCP connection in memory, like that of the kernel and libuv. Bytes wait to be read, then a FIN. The next
 * read or write meets a reset, once. Closing with unread bytes resets. An end that does not read notices nothing.
 */
export class Port {
  peer!: Port
  stream!: Duplex
  /** Number of bytes that the kernel accepted, and that were read from it. */
  bytesWritten = 0
  bytesRead = 0
  /** Calls that no kernel would accept. */
  readonly faults: string[] = []
  readonly #capacity: number
  #inbox: Buffer[] = []
  #length = 0
  #hasFin = false
  #isBroken = false
  /** A read or write has met the reset. */
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

  /** While held, nothing arrives here. */
  set isHeld(isHeld: boolean) {
    this.#isHeld = isHeld
    this.#wake()
  }

  want(): void {
    this.#isWanted = true
    this.#wake()
  }

  /** Ends a `want` that nothing has answered yet. */
  unwant(): void {
    this.#isWanted = false
  }

  /** Whether nothing waits to be read. */
  get isEmpty(): boolean {
    return this.#length === 0 && !this.#hasFin && !this.#isBroken
  }

  write(bytes: Buffer, done: Done): void {
    if (this.#isBroken) return this.#failWrite(done)
    if (bytes.length === 0) return done()
    this.bytesWritten += bytes.length
    if (this.peer.#isClosed) {
      setImmediate(() => this.#break())
      return done()
    }
    // A writer may reuse its buffer once the write is done.
    this.peer.#inbox.push(Buffer.from(bytes))
    this.peer.#length += bytes.length
    this.peer.#wake()
    if (this.peer.#length <= this.#capacity) done()
    else this.#blocked = done
  }

  /** Like libuv, sends the FIN in the next turn. */
  final(done: Done): void {
    this.#isEnding = true
    setImmediate(() => {
      this.#isEnding = false
      if (!this.#isClosed) this.#sendFin()
      done()
    })
  }

  /** Like libuv, refuses while a FIN is being sent (EINVAL). Node then leaves the socket open forever. */
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

/** A `net.Socket` with another handle. */
export class MemorySocket extends net.Socket {
  readonly port: Port
  #isReset = false

  constructor(port: Port, isConnecting = false) {
    super({ allowHalfOpen: true })
    this.port = port
    port.stream = this
    this.#setConnecting(isConnecting)
    // Node's methods use the handle.
    Object.defineProperty(this, 'bytesRead', { get: () => port.bytesRead })
    Object.defineProperty(this, 'bytesWritten', { get: () => port.bytesWritten })
  }

  /** Ends a pending connect: connected or refused. */
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

/** A stream that is not a socket. Unsent bytes are lost when it is destroyed, and its peer notices. */
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

/** Makes two connected ends. Each buffers `capacity` unread bytes. */
export function portPair(capacity: number): [Port, Port] {
  const [a, b] = [new Port(capacity), new Port(capacity)]
  a.peer = b
  b.peer = a
  return [a, b]
}
