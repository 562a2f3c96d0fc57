import type { Readable, Writable } from 'node:stream'
import { Head, type HeadError, type HeadLimits, HeadScanner, LenientScanner } from '../parser/index.ts'
import { bytesOf } from './socket.ts'

/** The part of a scanner that `HeadReader` uses, such as that of a HeadScanner. */
export interface Scanner<H, E> {
  push(bytes: Uint8Array): 'more' | 'head' | 'invalid'
  readonly head: H | undefined
  readonly rest: Buffer
  readonly error: E | undefined
  /** Prepares for the head after an interim one. */
  reset?(): void
}

export interface HeadReaderEvents<H = Head, E = HeadError> {
  /** The final head, and the bytes that came with it. */
  done(head: H, rest: Buffer): void
  invalid(error: E): void
  /** The stream ended before the head did. */
  ended(): void
  /** An interim response head came. */
  interim?(head: Head): void
}

/**
 * Reads a stream up to the end of a head, and leaves it paused. It writes interim response heads to the sink, or drops
 * them without one.
 */
export class HeadReader<H = Head, E = HeadError> {
  readonly #source: Readable
  readonly #scanner: Scanner<H, E>
  readonly #events: HeadReaderEvents<H, E>
  readonly #sink: Writable | undefined

  constructor(
    source: Readable,
    scanner: Scanner<H, E>,
    events: HeadReaderEvents<H, [E][E extends unknown ? 0 : never]>,
    sink?: Writable,
  ) {
    this.#source = source
    this.#scanner = scanner
    this.#events = events
    this.#sink = sink
    source.on('data', this.#read)
    source.on('end', this.#ended)
    sink?.on('drain', this.#drained)
    source.resume()
  }

  /** Stops reading. The stream stays paused. */
  stop(): void {
    this.#source.off('data', this.#read)
    this.#source.off('end', this.#ended)
    this.#sink?.off('drain', this.#drained)
    this.#source.pause()
  }

  readonly #read = (chunk: unknown): void => {
    const scanner = this.#scanner
    for (let bytes = bytesOf(chunk, this.#source); bytes; ) {
      const verdict = scanner.push(bytes)
      if (verdict === 'more') return
      if (verdict === 'invalid') {
        this.stop()
        return this.#events.invalid(scanner.error!)
      }
      const head = scanner.head!
      const rest = scanner.rest
      if (!(head instanceof Head && isInterim(head))) {
        this.stop()
        return this.#events.done(head, rest)
      }
      if (this.#sink && !this.#sink.write(head.bytes())) this.#source.pause()
      this.#events.interim?.(head)
      scanner.reset!()
      bytes = rest
    }
  }

  readonly #drained = (): void => {
    this.#source.resume()
  }

  readonly #ended = (): void => {
    this.stop()
    this.#events.ended()
  }
}

/** RFC 9110 15.2: a 1xx comes before the final response, but after a 101 the connection speaks another protocol. */
export function isInterim(head: Head): boolean {
  return head.kind === 'response' && head.status < 200 && head.status !== 101
}

/** Finds response heads, and repairs them with `lenientResponses`. */
export function responseScanner(settings: HeadLimits & { lenientResponses: boolean }): HeadScanner | LenientScanner {
  return settings.lenientResponses ? new LenientScanner(settings) : new HeadScanner('response', settings)
}
