import type net from 'node:net'
import { Duplex } from 'node:stream'
import type { ClientInfo } from './client-info.ts'
import { allowsHalfOpen } from './socket.ts'

type Done = (error?: Error | null) => void

/** One end of a connection inside this process. A server sees it as the client's socket. */
class MemorySocket extends Duplex {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly localPort: number | undefined
  readonly encrypted: boolean
  #other: MemorySocket | undefined
  /** Completes a write of the other end, which waits until this end reads. */
  #waiting: Done | undefined

  constructor({ remoteAddress, remotePort, localPort, encrypted }: ClientInfo) {
    super({ allowHalfOpen: true })
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
    this.localPort = localPort
    this.encrypted = encrypted
  }

  static join(one: MemorySocket, other: MemorySocket): void {
    one.#other = other
    other.#other = one
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  /** Does nothing, because the proxy has its own time-outs. */
  setTimeout(): this {
    return this
  }

  override _read(): void {
    const done = this.#waiting
    this.#waiting = undefined
    done?.()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    const other = this.#other!
    if (other.destroyed) return done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    if (chunk.length === 0) return process.nextTick(done)
    other.#waiting = done
    other.push(chunk)
  }

  override _final(done: Done): void {
    const other = this.#other!
    if (other.destroyed) return done()
    const read = () => {
      other.off('end', read)
      other.off('close', read)
      done()
    }
    other.on('end', read)
    // It may close without reading the end.
    other.on('close', read)
    other.push(null)
  }

  override _destroy(error: Error | null, done: Done): void {
    const other = this.#other!
    this._read()
    if (!other.destroyed && !other.readableEnded) {
      if (this.writableFinished || this.writableEnded) other.push(null)
      else process.nextTick(() => other.destroy(reset()))
    }
    done(error)
  }
}

function reset(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
}

/** Connects to a server of this process. The server gets a socket with the client's address. */
export function connectInMemory(server: net.Server, client: ClientInfo): Duplex {
  const ours = new MemorySocket(client)
  const theirs = new MemorySocket(client)
  MemorySocket.join(ours, theirs)
  theirs.allowHalfOpen = allowsHalfOpen(server)
  process.nextTick(() => {
    if (!theirs.destroyed) server.emit('connection', theirs)
  })
  return ours
}
