import net from 'node:net'
import type { Settings } from './options.ts'

/** What of the settings a socket to a backend is given. */
export type SocketSettings = Pick<Settings, 'noDelay' | 'keepAlive' | 'keepAliveInitialDelay'>

/** Bytes of the memory that all sockets read into. Most reads do not fill it. */
const SHARED_BYTES = 65_536

/** Bytes of what a socket with more to give reads into. */
const LARGE_BYTES = 1_048_576

/** A client that lags keeps one such memory; where more of them lag, the others have the shared one. */
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

/** Sockets that a write has failed on. */
const broken = new WeakSet<net.Socket>()

/**
 * A backend may answer, and close, before it has read the whole request: with a 413 for one. Node destroys a socket as
 * soon as a write to it fails, and the answer that waits in the kernel is lost. With this for the callback of each
 * write, what can no longer be written is dropped, and the socket is read to its end, or to its error.
 */
export function readOn(socket: net.Socket, done: Done): Done {
  return (error) => {
    if (!error || socket.destroyed || socket.readableEnded) return done(error)
    // The write has taken the reset, which the reader would have met: it finds an end instead, which is none.
    if (!broken.has(socket)) socket.prependOnceListener('end', () => socket.destroy(error))
    broken.add(socket)
    done()
  }
}

/** Who takes what was read into the large memory, in place of 'data'. */
export interface Borrower {
  /** Gets it for the time of the call, and for as long as it has the socket paused. */
  borrow(bytes: Buffer): void
}

/**
 * A socket to a backend. All of them read into the same memory, and give a copy of what came as 'data'. One that fills
 * it has more waiting, and goes on into memory of its own, which is lent to who wants it: few reads, and no copy.
 */
export class BackendSocket extends net.Socket {
  borrower: Borrower | undefined
  #large: Buffer | undefined

  constructor({ noDelay, keepAlive, keepAliveInitialDelay }: SocketSettings) {
    // Node asks after each read what the next one goes to.
    const onread: net.OnReadOpts = {
      buffer: () => this.#large ?? shared,
      callback: (count, memory) => this.#read(count, memory as Buffer),
    }
    const options: net.SocketConstructorOpts & net.ConnectOpts & SocketSettings = {
      noDelay,
      keepAlive,
      keepAliveInitialDelay,
      allowHalfOpen: true,
      onread,
    }
    super(options)
  }

  #read(count: number, memory: Buffer): true {
    if (memory === this.#large) {
      this.borrower?.borrow(memory.subarray(0, count))
      // Where there is no more, the next to come may be long in coming.
      if (count < LARGE_BYTES && !this.isPaused()) this.#giveBack()
      return true
    }
    const bytes = Buffer.allocUnsafe(count)
    memory.copy(bytes, 0, 0, count)
    this.emit('data', bytes)
    if (count === SHARED_BYTES && this.borrower) this.#large = takeLarge()
    return true
  }

  #giveBack(): void {
    if (this.#large) free.push(this.#large)
    this.#large = undefined
  }

  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    super._write(chunk, encoding, readOn(this, done))
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], done: Done): void {
    super._writev!(chunks, readOn(this, done))
  }

  override _destroy(error: Error | null, done: Done): void {
    // Whoever borrowed the memory may not have done with it, and never tell: it is left to them.
    if (this.#large) made--
    this.#large = undefined
    super._destroy(error, done)
  }
}
