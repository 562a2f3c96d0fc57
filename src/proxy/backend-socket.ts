import net from 'node:net'

/** Bytes of the memory that all sockets read into. Most reads do not fill it. */
const SHARED_BYTES = 65_536

/** Up to so many bytes, a copy has its place in Node's pool, and is cheap. */
const SMALL_BYTES = Buffer.poolSize >>> 1

/** Bytes of the memory that a socket has to itself for a while. */
const LARGE_BYTES = 1_048_576

/** A client that lags keeps one; where more of them lag, the others get copies of what is in the shared one. */
const MOST_LARGE = 16

const shared = Buffer.allocUnsafeSlow(SHARED_BYTES)
const free: Buffer[] = []
let made = 0

function takeLarge(): Buffer | undefined {
  if (free.length > 0 || made === MOST_LARGE) return free.pop()
  made++
  return Buffer.allocUnsafeSlow(LARGE_BYTES)
}

type Done = (error?: Error | null) => void

/** Sockets that a write has failed on: what is written to them after that is dropped. */
export const broken = new WeakSet<net.Socket>()

/**
 * A backend may answer, and close, before it has read the whole request: with a 413 for one. Node destroys a socket as
 * soon as a write to it fails, and the answer that waits in the kernel is lost. With this for the callback of each
 * write, what can no longer be written is dropped, and the socket is read to its end, or to its error.
 */
export function readOn(socket: net.Socket, done: Done): Done {
  return (error) => {
    if (!error || socket.destroyed || socket.readableEnded) return done(error)
    // The write has taken the reset, which the reader would have met: it finds an end instead, which is none.
    socket.prependOnceListener('end', () => socket.destroy(error))
    broken.add(socket)
    done()
  }
}

/** Who takes the more that comes in one read in place of 'data', and makes no copy of it. */
export interface Borrower {
  /** Gets the bytes for the time of the call, and for as long as it has the socket paused. */
  borrow(bytes: Buffer): void
}

/**
 * A socket to a backend. All of them read into the same memory, and give a copy of what came as 'data'. More than a
 * little of it is moved to memory of the socket's own instead, and lent to who wants it; one that filled the shared
 * memory has more waiting, and reads that into its own: few and large reads, and nothing allocated.
 */
export class BackendSocket extends net.Socket {
  borrower: Borrower | undefined
  /** What the next read goes to, in place of the shared memory. */
  #large: Buffer | undefined
  /** What the borrower has not done with. */
  #owed: Buffer | undefined

  constructor(noDelay: boolean) {
    // Node asks after each read what the next one goes to.
    const onread: net.OnReadOpts = {
      buffer: () => this.#large ?? shared,
      callback: (count, memory) => this.#read(count, memory as Buffer),
    }
    const options: net.SocketConstructorOpts & net.ConnectOpts & { noDelay: boolean } = {
      noDelay,
      allowHalfOpen: true,
      onread,
    }
    super(options)
  }

  #read(count: number, memory: Buffer): true {
    if (memory === shared) this.#copyOut(count)
    else this.#lend(count)
    const lent = this.#large
    if (!lent) return true
    // Where there is no more, the next to come may be long in coming, and then needs no memory of its own.
    if (count < memory.length) this.#large = undefined
    if (this.isPaused()) this.#owed = lent
    else if (!this.#large) free.push(lent)
    return true
  }

  /** Nothing is left in the shared memory: another socket may read into it next. */
  #copyOut(count: number): void {
    if (count > SMALL_BYTES && this.borrower) this.#large = takeLarge()
    const bytes = this.#large ?? Buffer.allocUnsafe(count)
    shared.copy(bytes, 0, 0, count)
    if (this.#large) this.#lend(count)
    else this.emit('data', bytes)
  }

  #lend(count: number): void {
    this.borrower?.borrow(this.#large!.subarray(0, count))
  }

  /** What was borrowed is given back. */
  override resume(): this {
    if (this.#owed && this.#owed !== this.#large) free.push(this.#owed)
    this.#owed = undefined
    return super.resume()
  }

  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    if (broken.has(this)) done()
    else super._write(chunk, encoding, readOn(this, done))
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], done: Done): void {
    if (broken.has(this)) done()
    else super._writev!(chunks, readOn(this, done))
  }

  override _destroy(error: Error | null, done: Done): void {
    // A borrower may not have done with it, and never tell: then it is left to it.
    if (this.#owed) made--
    else if (this.#large) free.push(this.#large)
    this.#owed = this.#large = undefined
    super._destroy(error, done)
  }
}
