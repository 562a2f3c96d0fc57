import net from 'node:net'
import type { Duplex } from 'node:stream'
import { DROP_EVERY_MS, DROP_FREELY_BYTES } from './discard.ts'
import { LENT_BYTES, lendBuffer, returnBuffer } from './lent-memory.ts'

/** Size in bytes of the buffer that all sockets read into. Most reads do not fill it. */
const SHARED_BYTES = 65_536

/** Copies up to this size in bytes come from Node's pool and are cheap. */
const SMALL_BYTES = Buffer.poolSize >>> 1

/**
 * Whether `onread` keeps its contract. It must write to the buffer again only after the next call of `buffer`, and not
 * while the socket is paused. Deno overwrites the buffer earlier, and Bun calls `buffer` inside `super()`. On runtimes
 * other than Node, each read is therefore a 'data' event with its own buffer.
 */
export function lendsMemory(versions: NodeJS.ProcessVersions, release: NodeJS.ProcessRelease, global: object): boolean {
  return release.name === 'node' && !('bun' in versions) && !('deno' in versions) && !('Deno' in global)
}

const LENDS = lendsMemory(process.versions, process.release, globalThis)

const shared = Buffer.allocUnsafeSlow(SHARED_BYTES)

type Done = (error?: Error | null) => void

interface Dropped {
  bytes: number
  timer: NodeJS.Timeout | undefined
}

/** Sockets on which a write has failed. Further writes are dropped. */
export const broken = new WeakMap<net.Socket, Dropped>()

/** Whether a write to a stream has failed. Its peer's last bytes may still arrive. */
export function isBroken(stream: Duplex): boolean {
  return broken.has(stream as net.Socket)
}

/** Drops a write of `count` bytes if the socket is broken. Returns whether it is. */
export function drops(socket: net.Socket, count: number, done: Done): boolean {
  const dropped = broken.get(socket)
  if (!dropped) return false
  const isFree = dropped.bytes < DROP_FREELY_BYTES
  dropped.bytes += count
  if (isFree) done()
  else dropped.timer = setTimeout(done, DROP_EVERY_MS)
  return true
}

/** Total length of several writes in bytes. */
export function lengthOf(chunks: readonly { chunk: unknown }[]): number {
  return chunks.reduce((sum, { chunk }) => sum + (chunk as Uint8Array).length, 0)
}

/**
 * Wraps the callback of a write so that the socket is read to its end after the write failed. A backend may answer (with
 * a 413, for example) and close before it has read the whole request. Node would destroy the socket when a write fails,
 * and lose the answer that the kernel still has.
 */
export function readOn(socket: net.Socket, done: Done): Done {
  return (error) => {
    if (!error || socket.destroyed || socket.readableEnded) return done(error)
    // The failed write consumed the reset. The reader gets an 'end' instead, which must become the error.
    socket.prependOnceListener('end', () => socket.destroy(isAfterEnd(error) ? undefined : error))
    const dropped: Dropped = { bytes: 0, timer: undefined }
    broken.set(socket, dropped)
    socket.once('close', () => clearTimeout(dropped.timer))
    done()
  }
}

/**
 * Whether a write failed because the peer closed after its end. Linux reports EPIPE then, and ECONNRESET for a reset
 * alone. The read of a Unix socket tells a reset by itself.
 */
function isAfterEnd({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE' && process.platform === 'linux'
}

/** Receives large reads without a copy, in place of 'data'. */
export interface Borrower {
  /** Whether it writes fast enough to return a buffer soon. */
  readonly keepsUp: boolean
  /** Gets bytes in a lent buffer. Must pause the socket while it uses them, and then call `done`. */
  borrow(bytes: Buffer, done: () => void): void
}

/**
 * A socket to a backend. All sockets share one read buffer. Small reads are copied out of it. Larger reads move to a
 * buffer that is lent to the borrower. A socket that filled the shared buffer has more data waiting, and reads that
 * directly into a lent buffer. This gives few, large reads without an allocation.
 */
export class BackendSocket extends net.Socket {
  borrower: Borrower | undefined
  /** Not a Unix socket. */
  readonly isTcp: boolean
  /** The buffer for the next read, instead of the shared one. */
  #large: Buffer | undefined
  /** The borrower still uses a buffer. */
  #isLent = false

  constructor(noDelay: boolean, isTcp: boolean) {
    // Node calls `buffer` after each read to get the buffer for the next one.
    const onread: net.OnReadOpts = {
      buffer: () => this.#large ?? shared,
      callback: (count, memory) => this.#read(count, memory as Buffer),
    }
    const options: net.SocketConstructorOpts & net.ConnectOpts & { noDelay: boolean } = {
      noDelay,
      allowHalfOpen: true,
      ...(LENDS && { onread }),
    }
    super(options)
    this.isTcp = isTcp
  }

  #read(count: number, memory: Buffer): true {
    if (memory !== shared) this.#lend(memory, count, LENT_BYTES)
    else if (!this.#moveOut(count)) this.#emitCopy(shared, count)
    return true
  }

  #emitCopy(memory: Buffer, count: number): void {
    const bytes = Buffer.allocUnsafe(count)
    memory.copy(bytes, 0, 0, count)
    this.emit('data', bytes)
  }

  /** Moves the bytes of a read to a lent buffer, so that another socket may read into the shared one next. */
  #moveOut(count: number): boolean {
    if (count <= SMALL_BYTES || !this.borrower) return false
    this.#large = lendBuffer(this.borrower.keepsUp)
    if (!this.#large) return false
    shared.copy(this.#large, 0, 0, count)
    this.#lend(this.#large, count, SHARED_BYTES)
    return true
  }

  /** `size` is the size of the buffer that was read into. */
  #lend(buffer: Buffer, count: number, size: number): void {
    const { borrower } = this
    this.#isLent = borrower !== undefined
    if (borrower) borrower.borrow(buffer.subarray(0, count), () => this.#returned(buffer))
    else this.#emitCopy(buffer, count)
    // A read that does not fill its buffer is the last for a while. A client that lags must ask for a buffer again.
    // The borrower may have got its last byte, and has left.
    const isKept = count === size && this.borrower !== undefined && (!this.isPaused() || this.borrower.keepsUp)
    if (isKept || this.#large !== buffer) return
    this.#large = undefined
    if (!this.#isLent) returnBuffer(buffer)
  }

  #returned(buffer: Buffer): void {
    this.#isLent = false
    if (this.#large !== buffer) returnBuffer(buffer)
  }

  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    if (!drops(this, (chunk as Uint8Array).length, done)) super._write(chunk, encoding, readOn(this, done))
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], done: Done): void {
    if (!drops(this, lengthOf(chunks), done)) super._writev!(chunks, readOn(this, done))
  }

  override _destroy(error: Error | null, done: Done): void {
    // A buffer that the borrower still uses returns when it is done.
    if (this.#large && !this.#isLent) returnBuffer(this.#large)
    this.#large = undefined
    super._destroy(error, done)
  }
}
