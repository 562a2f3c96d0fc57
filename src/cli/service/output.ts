import { Writable } from 'node:stream'
import { escapeUnprintable } from '../escape.ts'

/** Bytes that wait for whoever reads. A line past that is dropped. */
const MAX_WAITING_BYTES = 1 << 20

/** Lines for a stream that may be slow, or gone: what waits is bounded, and what is dropped is counted. */
export class Output {
  readonly #stream: Writable
  readonly #say: (line: string) => void
  #dropped = 0
  #lastError: string | undefined

  /** `say` is told when lines begin to be dropped, how many were, and when none can be written. */
  constructor(stream: Writable, say: (line: string) => void = () => undefined) {
    this.#stream = stream
    this.#say = say
    // EPIPE for one: whoever read has left. That is no reason to leave our clients.
    stream.on('error', (error: NodeJS.ErrnoException) => this.#failed(error))
    stream.on('drain', () => this.#resume())
  }

  readonly write = (line: string): void => {
    if (this.#lastError === 'EPIPE') return
    const { writableNeedDrain, writableLength } = this.#stream
    // Where no 'drain' is to come, nothing waits.
    const isFull = writableNeedDrain && (this.#dropped > 0 || writableLength + line.length >= MAX_WAITING_BYTES)
    if (isFull) this.#drop()
    else this.#stream.write(`${line}\n`)
  }

  #drop(): void {
    if (this.#dropped++ === 0) this.#say('the access log is read too slowly: lines are dropped')
  }

  #resume(): void {
    if (this.#dropped > 0) this.#say(`${this.#dropped} lines of the access log were dropped`)
    this.#dropped = 0
  }

  /** A disk that is full may not stay so: only a reader that has left is final. */
  #failed({ code, message }: NodeJS.ErrnoException): void {
    if (code !== this.#lastError) this.#say(`the access log cannot be written: ${message}`)
    this.#lastError = code
  }
}

/**
 * Writes what waits line by line, and not at one go: of a pipe that several processes write to, a small write (PIPE_BUF,
 * 4096 bytes on Linux) is left whole, however full the pipe is.
 */
export function lineByLine(stream: Writable): Writable {
  const lines = new Writable({
    // Its error is told by itself: here it would be the last of all writes.
    write: (chunk, encoding, done) => void stream.write(chunk, encoding, () => done()),
  })
  stream.on('error', (error) => lines.emit('error', error))
  return lines
}

/** Where a service writes to. */
export interface Io {
  /** The access log. */
  log(line: string): void
  /** What people are told. `about` names what the line is the latest news of, where several tell of the same. */
  say(line: string, about?: string): void
}

let standard: Io | undefined

/** The access log to stdout; to stderr what people are told. */
export function standardIo(): Io {
  standard ??= createStandardIo()
  return standard
}

function createStandardIo(): Io {
  const errors = new Output(process.stderr)
  const say = (line: string) => errors.write(`badass: ${escapeUnprintable(line)}`)
  return { log: new Output(process.stdout, say).write, say }
}

/** ms between two lines about what may happen at every connection. */
const PAUSE_MS = 10_000

/** Says a line, and nothing more for a while. */
export function sparingly(say: (line: string) => void): (line: string) => void {
  let last = Number.NEGATIVE_INFINITY
  return (line) => {
    const now = performance.now()
    if (now - last < PAUSE_MS) return
    last = now
    say(line)
  }
}
