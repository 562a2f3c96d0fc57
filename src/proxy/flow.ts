import net from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { BackendSocket, type Borrower } from './backend-socket.ts'
import { bytesOf } from './socket.ts'

// The states of one direction.
//   open     its source may send more
//   ended    the source has sent its last byte, and the sink is told to end after it
//   flushed  the sink has passed on every byte, and its FIN
export type FlowState = 'open' | 'ended' | 'flushed'

const NOTHING = Buffer.alloc(0)

/**
 * libuv before 1.52 (Node 20 and 22) takes a reset that comes with the last bytes for an end: libuv#4997. To write
 * nothing sends nothing, but on a socket that was reset it fails: with ECONNRESET where no FIN came first.
 */
export const TAKES_RESETS_FOR_ENDS = Number.parseFloat(process.versions.uv ?? '') < 1.52

function canAsk(source: Readable): source is net.Socket {
  if (!TAKES_RESETS_FOR_ENDS || !(source instanceof net.Socket) || source instanceof TLSSocket) return false
  // Behind what waits to be written the answer would be long in coming, but from a socket that has no peer any more.
  return source.writable && (source.writableLength === 0 || source.remoteAddress === undefined)
}

function isReset(error: NodeJS.ErrnoException | null | undefined): boolean {
  return error?.code === 'ECONNRESET'
}

export interface FlowEvents {
  /** So many bytes move on; 0 when a sink that lagged wants more. */
  moved(flow: Flow, count: number): void
  /** `state` has changed. */
  changed(flow: Flow): void
}

/**
 * Moves bytes from a source to a sink, unread. While the sink holds more than it wants, the source is paused: one read
 * (of a backend 1 MiB at most, of memory that all of them share) and the sink's high-water mark are the most that is held.
 */
export class Flow implements Borrower {
  readonly #source: Readable
  readonly #sink: Writable
  readonly #events: FlowEvents
  #state: FlowState = 'open'
  #isDiscarding = false
  #isStopped = false
  /** The source waits for the sink to have written what was borrowed. */
  #isOwing = false
  /** Listeners that are made when they are needed: most flows never wait, and many are idle for long. */
  #drained: (() => void) | undefined
  #finished: (() => void) | undefined

  constructor(source: Readable, sink: Writable, events: FlowEvents) {
    this.#source = source
    this.#sink = sink
    this.#events = events
  }

  get state(): FlowState {
    return this.#state
  }

  start(): void {
    this.#source.on('data', this.#move)
    this.#source.on('end', this.#ended)
    // Any other sink may keep what it was given, even when it says that it has written it.
    if (this.#source instanceof BackendSocket && this.#sink instanceof net.Socket) this.#source.borrower = this
    // A source that was paused may have told of its end when nobody listened.
    if (this.#source.readableEnded) this.#ended()
    else if (this.#sink.writableNeedDrain) this.#wait()
    else this.#source.resume()
  }

  /** Lets go of both; the source stays paused. */
  stop(): void {
    this.#isStopped = true
    this.#source.off('data', this.#move)
    this.#source.off('end', this.#ended)
    if (this.#source instanceof BackendSocket) this.#source.borrower = undefined
    if (this.#drained) this.#sink.off('drain', this.#drained)
    if (this.#finished) this.#sink.off('finish', this.#finished)
    this.#isOwing = false
    this.#source.pause()
  }

  /**
   * The sink is gone, while what it sent is still on its way to the source's side. What the source sends now is read
   * and dropped: if it were closed with bytes unread, the kernel would reset it, and the answer with it.
   */
  discard(): void {
    if (this.#state === 'ended') this.#flush()
    else if (this.#state === 'open') {
      this.#isDiscarding = true
      this.#source.resume()
    }
  }

  /** Moves what is the source's again once it is resumed. */
  borrow(bytes: Buffer): void {
    this.#events.moved(this, bytes.length)
    // 'drain' does not come below the high-water mark.
    this.#sink.write(bytes, () => this.#isOwing && this.#resume())
    if (this.#sink.writableLength === 0) return
    this.#isOwing = true
    this.#source.pause()
  }

  readonly #move = (chunk: unknown): void => {
    if (this.#isDiscarding) return
    const bytes = bytesOf(chunk, this.#source)
    if (!bytes) return
    this.#events.moved(this, bytes.length)
    // Where the kernel took all of it, that is for a turn of the event loop: more comes in the meantime, for fewer reads.
    if (!this.#sink.write(bytes)) this.#wait()
  }

  #wait(): void {
    this.#source.pause()
    if (this.#drained) return
    this.#drained = () => this.#resume()
    this.#sink.on('drain', this.#drained)
  }

  #resume(): void {
    this.#isOwing = false
    this.#events.moved(this, 0)
    this.#source.resume()
  }

  readonly #ended = (): void => {
    // Whoever heard of the end before may have known better: then an error follows it.
    if (this.#source.errored) return
    if (!canAsk(this.#source)) return this.#end()
    this.#source.write(NOTHING, (error) => {
      // The socket's 'error' comes next.
      if (!this.#isStopped && !isReset(error)) this.#end()
    })
  }

  #end(): void {
    if (this.#isDiscarding) return this.#flush()
    this.#state = 'ended'
    this.#finished = () => this.#flush()
    this.#sink.on('finish', this.#finished)
    this.#sink.end()
    this.#events.changed(this)
  }

  #flush(): void {
    if (this.#state === 'flushed') return
    this.#state = 'flushed'
    this.#events.changed(this)
  }
}
