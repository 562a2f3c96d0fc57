import type net from 'node:net'
import {
  type BodyFraming,
  BodyScanner,
  type Head,
  type HeadError,
  type HeadLimits,
  HeadScanner,
} from '../parser/index.ts'
import { bytesOf, toBuffer } from './socket.ts'

// The phases of a client connection with several requests.
//   head     reads a request head
//   body     passes the bytes to the exchange, which finds the end of the body
//   held     the request is complete. Further bytes belong to the next one, and wait
//   stopped  another object uses the socket
type Phase = 'head' | 'body' | 'held' | 'stopped'

const NOTHING: Buffer = Buffer.alloc(0)
const CR = 0x0d
const LF = 0x0a

/** Maximum length in bytes of a body that is kept to be sent again. */
const WHOLE_BYTES = 65_536

/** Number of pipelined requests after which other connections get their turn. */
const PIPELINED_AT_ONCE = 32

export interface RequestReaderEvents {
  /** Part of a head has arrived. */
  begun(): void
  head(head: Head): void
  invalid(error: HeadError): void
  /** The client has ended its side, inside a head if there is an error. Called after its earlier requests were served. */
  ended(error?: HeadError): void
  /** The client has ended its side after the request that is under way. */
  endedAfterRequest(): void
}

/** Receives the bytes of a request body. */
export interface RequestBody {
  /** Returns how many of these bytes belong to the body. Calls `hold` after the last one. */
  take(bytes: Buffer): number
  /** The client has ended its side inside the body. */
  cut(): void
}

/**
 * Reads the requests of one client. Its listeners stay for the whole connection. A pipelined request waits as bytes, one
 * read at most, because the socket is paused. Requests of one read are served in a loop. No request starts while the
 * client has not read the earlier responses.
 */
export class RequestReader {
  readonly #socket: net.Socket
  readonly #events: RequestReaderEvents
  readonly #scanner: HeadScanner
  #phase: Phase = 'head'
  #body: RequestBody | undefined
  /** Bytes that were read but not used yet. */
  #held: Buffer = NOTHING
  #hasBegun = false
  #hasEnded = false
  #isRunning = false
  #isPaused = false
  #pipelined = 0
  /** Other connections have their turn. */
  #isYielding = false
  /** The receiver of the body wants no more for now. */
  #isBlocked = false
  #drained: (() => void) | undefined

  constructor(socket: net.Socket, limits: HeadLimits, events: RequestReaderEvents) {
    this.#socket = socket
    this.#events = events
    this.#scanner = new HeadScanner('request', limits)
    socket.on('data', this.#read)
    socket.on('end', this.#ended)
    socket.resume()
  }

  /** Whether no byte of the next request has arrived. */
  get isEmpty(): boolean {
    return this.#held.length === 0 && !this.#hasBegun
  }

  /** The client has ended its side, and all its bytes were used. */
  get isDone(): boolean {
    return this.#hasEnded && this.#held.length === 0
  }

  /** Reads the next head. If it has arrived, this happens at once, but never inside a call from this reader. */
  next(): void {
    this.#phase = 'head'
    this.#hasBegun = false
    this.#scanner.reset()
    if (this.#held.length > 0 && ++this.#pipelined % PIPELINED_AT_ONCE === 0) this.#yield()
    this.#run()
  }

  /** Removes and returns the body, if all of it arrived with the head and it is short. */
  takeWhole(framing: BodyFraming): Buffer | undefined {
    if (framing.kind === 'none' || (framing.kind === 'length' && framing.length > this.#held.length)) return undefined
    const body = new BodyScanner(framing)
    const count = body.push(this.#held)
    if (body.state !== 'end' || count > WHOLE_BYTES) return undefined
    const whole = this.#held.subarray(0, count)
    this.#held = this.#held.subarray(count)
    return whole
  }

  /** Passes bytes to the body, at once if they have arrived. */
  readBody(body: RequestBody): void {
    this.#phase = 'body'
    this.#body = body
    this.#run()
  }

  /** The request is complete, so further bytes wait for `next`. After a head they wait for `readBody` or `next`. */
  hold(): void {
    if (this.#phase !== 'stopped') this.#phase = 'held'
    this.#body = undefined
    this.resume()
  }

  /** Stops reading the body until `resume`. */
  pause(): void {
    this.#isBlocked = true
    this.#settle()
  }

  resume(): void {
    if (!this.#isBlocked) return
    this.#isBlocked = false
    this.#run()
  }

  /** Releases the socket, paused. Returns the bytes that were not used. */
  stop(): Buffer {
    const held = this.#held
    this.#held = NOTHING
    if (this.#phase === 'stopped') return held
    this.#phase = 'stopped'
    this.#body = undefined
    this.#socket.off('data', this.#read)
    this.#socket.off('end', this.#ended)
    if (this.#drained) this.#socket.off('drain', this.#drained)
    this.#socket.pause()
    return held
  }

  readonly #read = (chunk: unknown): void => {
    const bytes = bytesOf(chunk, this.#socket)
    if (!bytes || bytes.length === 0) return
    const more = toBuffer(bytes)
    // A foreign stream may continue after pause().
    this.#held = this.#held.length === 0 ? more : Buffer.concat([this.#held, more])
    this.#run()
  }

  readonly #ended = (): void => {
    this.#hasEnded = true
    this.#run()
  }

  #run(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    while (this.#held.length > 0 && this.#canUse()) this.#use()
    this.#isRunning = false
    if (this.isDone) this.#finish()
    this.#settle()
  }

  #canUse(): boolean {
    if (this.#phase === 'body') return !this.#isBlocked
    if (this.#phase !== 'head' || this.#isYielding) return false
    if (!this.#socket.writableNeedDrain) return true
    if (!this.#drained) {
      this.#drained = () => this.#run()
      this.#socket.on('drain', this.#drained)
    }
    return false
  }

  #yield(): void {
    this.#isYielding = true
    setImmediate(() => {
      this.#isYielding = false
      this.#run()
    })
  }

  #use(): void {
    const bytes = this.#held
    if (this.#phase === 'head') {
      this.#held = NOTHING
      return this.#scan(bytes)
    }
    const count = this.#body!.take(bytes)
    if (this.#phase !== 'stopped') this.#held = bytes.subarray(count)
  }

  #scan(bytes: Buffer): void {
    const verdict = this.#scanner.push(bytes)
    if (verdict === 'more') {
      // RFC 9112 2.2: an empty line between requests does not begin a request.
      if (this.#hasBegun || bytes.every((byte) => byte === CR || byte === LF)) return
      this.#hasBegun = true
      return this.#events.begun()
    }
    this.#phase = 'held'
    if (verdict === 'invalid') return this.#events.invalid(this.#scanner.error!)
    this.#held = this.#scanner.rest
    this.#events.head(this.#scanner.head!)
  }

  /** The client has ended its side, and all its bytes were used. */
  #finish(): void {
    if (this.#phase === 'body') return this.#body!.cut()
    if (this.#phase === 'head') return this.#events.ended(this.#hasBegun ? this.#scanner.end() : undefined)
    if (this.#phase === 'held') this.#events.endedAfterRequest()
  }

  #settle(): void {
    if (this.#phase === 'stopped') return
    const mustWait = this.#held.length > 0 || this.#isBlocked
    if (mustWait === this.#isPaused) return
    this.#isPaused = mustWait
    if (mustWait) this.#socket.pause()
    else this.#socket.resume()
  }
}
