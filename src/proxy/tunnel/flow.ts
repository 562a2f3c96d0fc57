import net from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { bytesOf } from '../socket.ts'
import { BackendSocket, type Borrower } from './backend-socket.ts'
import { discard } from './discard.ts'
import { PacedWriter } from './paced-writer.ts'

// The states of one direction.
//   open     its source may send more
//   ended    the source has ended, and `end()` was called on the sink
//   flushed  the sink has sent every byte and its FIN
export type FlowState = 'open' | 'ended' | 'flushed'

const NOTHING = Buffer.alloc(0)

/**
 * libuv before 1.52 (Node 20 and 22) reports a reset that arrives with the last bytes as an end (libuv#4997). An empty
 * write sends nothing, but fails with ECONNRESET on a socket that was reset.
 */
export const REPORTS_RESETS_AS_ENDS = isBefore(process.versions.uv ?? '', 1, 52)

/** Whether a version such as '1.9.0' is older than `major.minor`. False if it is not a version. */
export function isBefore(version: string, major: number, minor: number): boolean {
  const [first = Number.NaN, second = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return first < major || (first === major && second < minor)
}

/** Whether an empty write can tell a reset from an end. */
function canProbe(source: Readable): source is net.Socket {
  if (!REPORTS_RESETS_AS_ENDS || !(source instanceof net.Socket) || source instanceof TLSSocket) return false
  // On a Unix socket (which has no port) the write also fails after a normal close. Reading the port is a system call.
  if (source instanceof BackendSocket ? !source.isTcp : source.localPort === undefined) return false
  // After other waiting writes the answer would take long, except from a socket that has lost its peer.
  return source.writable && (source.writableLength === 0 || source.remoteAddress === undefined)
}

function isReset(error: NodeJS.ErrnoException | null | undefined): boolean {
  return error?.code === 'ECONNRESET'
}

/** Calls back if the 'end' of a source is not a reset. See REPORTS_RESETS_AS_ENDS. */
export function confirmEnd(source: Readable, confirmed: () => void): void {
  // An earlier 'end' listener may have destroyed the source with an error, which is emitted next.
  if (source.errored) return
  if (!canProbe(source)) return confirmed()
  source.write(NOTHING, (error) => {
    // After a reset, the socket's 'error' comes next.
    if (!isReset(error)) confirmed()
  })
}

export interface FlowEvents {
  /** `count` bytes moved. 0 means that a slow sink accepts bytes again. */
  moved(flow: Flow, count: number): void
  /** `state` has changed. */
  changed(flow: Flow): void
}

/**
 * Moves bytes from a source to a sink, unread. The source is paused while the sink is full, so at most one read (from a
 * backend 1 MiB, in a buffer from a bounded set) and the sink's high-water mark are buffered.
 */
export class Flow extends PacedWriter<Readable> implements Borrower {
  readonly #events: FlowEvents
  #state: FlowState = 'open'
  #isStopped = false
  #finished: (() => void) | undefined
  /** Set while bytes are dropped. */
  #stopDiscarding: (() => void) | undefined

  constructor(source: Readable, sink: Writable, events: FlowEvents) {
    super(source, sink)
    this.#events = events
  }

  get state(): FlowState {
    return this.#state
  }

  start(): void {
    if (!this.#stopDiscarding) this.source.on('data', this.#move)
    this.source.on('end', this.#ended)
    // Other sinks may keep a chunk even after they reported it written.
    if (this.source instanceof BackendSocket && this.sink instanceof net.Socket) this.source.borrower = this
    // A paused source may have emitted 'end' before this listener was added.
    if (this.source.readableEnded) this.#ended()
    else if (this.sink.writableNeedDrain) this.wait()
    else this.source.resume()
  }

  /** Releases both streams. The source stays paused. */
  stop(): void {
    this.#isStopped = true
    this.source.off('data', this.#move)
    this.source.off('end', this.#ended)
    if (this.source instanceof BackendSocket) this.source.borrower = undefined
    this.release()
    if (this.#finished) this.sink.off('finish', this.#finished)
    this.#stopDiscarding?.()
    this.source.pause()
  }

  /** Drops the bytes of the source, because the sink is gone. */
  discard(): void {
    if (this.#state === 'ended') this.#flush()
    else if (this.#state === 'open' && !this.#stopDiscarding) {
      this.source.off('data', this.#move)
      this.#stopDiscarding = discard(this.source)
    }
  }

  /** Moves bytes whose buffer the source reuses after `done`. */
  borrow(bytes: Buffer, done: () => void): void {
    this.#events.moved(this, bytes.length)
    this.lend(bytes, done)
  }

  protected override accepted(): void {
    this.#events.moved(this, 0)
  }

  readonly #move = (chunk: unknown): void => {
    const bytes = bytesOf(chunk, this.source)
    if (!bytes) return
    this.#events.moved(this, bytes.length)
    // If the kernel accepted everything, this pauses for one turn of the event loop. The next read is then larger.
    if (!this.write(bytes)) this.wait()
  }

  readonly #ended = (): void => {
    confirmEnd(this.source, () => !this.#isStopped && this.#end())
  }

  #end(): void {
    if (this.#stopDiscarding) return this.#flush()
    this.#state = 'ended'
    this.#finished = () => this.#flush()
    this.sink.on('finish', this.#finished)
    this.sink.end()
    this.#events.changed(this)
  }

  #flush(): void {
    if (this.#state === 'flushed') return
    this.#state = 'flushed'
    this.#events.changed(this)
  }
}
