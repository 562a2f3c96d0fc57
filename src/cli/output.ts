import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { escapeUnprintable } from './escape.ts'

/** Most bytes to buffer for a slow reader. Further lines are dropped. */
const MAX_WAITING_BYTES = 1 << 20

/** Which lines `writeSoon` writes together. */
export interface BatchLimits {
  /** Most bytes. A longer line is written alone. */
  readonly bytes: number
  /** ms to wait for more lines. 0: the lines of one turn of the event loop. */
  readonly ms: number
}

/** Linux does not split a write of up to PIPE_BUF bytes, even if several processes write to the pipe. */
export const PIPE: BatchLimits = { bytes: 4_096, ms: 0 }

interface OutputOptions {
  /** Its name in messages. Default: the reader of the access log. */
  reader?: string
  /** Default: PIPE. */
  limits?: BatchLimits
}

/** Writes lines of ASCII to a stream that may be slow or closed. The buffer is bounded; dropped lines are counted. */
export class Output {
  readonly #stream: Writable
  readonly #say: (line: string) => void
  readonly #reader: string
  readonly #limits: BatchLimits
  /** Lines that wait to be written together. */
  #batch = ''
  /** Of the next flush. Unused if `ms` is 0. */
  #timer: NodeJS.Timeout | undefined
  #dropped = 0
  #lastError: string | undefined

  /** `say` reports dropped lines and write errors. */
  constructor(
    stream: Writable,
    say: (line: string) => void = () => undefined,
    { reader = 'the reader of the access log', limits = PIPE }: OutputOptions = {},
  ) {
    this.#stream = stream
    this.#say = say
    this.#reader = reader
    this.#limits = limits
    // For example EPIPE: the reader has closed. The proxy goes on.
    stream.on('error', (error: NodeJS.ErrnoException) => this.#failed(error))
    stream.on('drain', () => this.#resume())
  }

  readonly write = (line: string): void => {
    if (this.#canTake(line)) this.#stream.write(`${line}\n`)
  }

  /** Writes several lines together. Before the process ends, call `flush`, or `end` for a file. */
  readonly writeSoon = (line: string): void => {
    if (!this.#canTake(line)) return
    const { bytes, ms } = this.#limits
    if (this.#batch.length + line.length >= bytes) this.flush()
    if (this.#batch === '') {
      if (ms === 0) setImmediate(this.flush)
      else this.#timer = setTimeout(this.flush, ms)
    }
    this.#batch += `${line}\n`
  }

  /** Writes the lines that wait. */
  readonly flush = (): void => {
    clearTimeout(this.#timer)
    if (this.#batch === '') return
    const lines = this.#batch
    this.#batch = ''
    this.#stream.write(lines)
  }

  /** Closes the stream. Resolves when everything has been written, or a write has failed. */
  async end(): Promise<void> {
    this.flush()
    await finished(this.#stream.end(), { readable: false }).catch(() => undefined)
  }

  /** Whether the line can be written now. Otherwise it is dropped. */
  #canTake(line: string): boolean {
    if (this.#lastError === 'EPIPE') return false
    const { writableNeedDrain, writableLength } = this.#stream
    const waiting = writableLength + this.#batch.length + line.length
    // Lines are dropped only if a 'drain' is to come, which ends that.
    const isFull = writableNeedDrain && (this.#dropped > 0 || waiting >= MAX_WAITING_BYTES)
    if (isFull) this.#drop()
    return !isFull
  }

  #drop(): void {
    if (this.#dropped++ === 0) this.#say(`${this.#reader} is too slow: dropping lines`)
  }

  #resume(): void {
    if (this.#dropped > 0) this.#say(`${this.#dropped} lines of the access log were dropped`)
    this.#dropped = 0
  }

  /** Only EPIPE is final. A full disk may have space again later. */
  #failed({ code, message }: NodeJS.ErrnoException): void {
    if (code !== this.#lastError) this.#say(`the access log cannot be written: ${message}`)
    this.#lastError = code
  }
}

/**
 * Makes each write of its own, without joining those that wait. Several processes write to one pipe, which keeps writes of
 * up to PIPE_BUF (4096 bytes on Linux) whole.
 */
export function lineByLine(stream: Writable): Writable {
  const lines = new Writable({
    // Errors are forwarded below. Passed on here, the first would end all writes.
    write: (chunk, encoding, done) => void stream.write(chunk, encoding, () => done()),
  })
  stream.on('error', (error) => lines.emit('error', error))
  return lines
}

/** The outputs of a service. */
export interface Io {
  /** Writes a line of the access log. */
  log(line: string): void
  /** Writes a line for people. `about`: its subject, by which the primary drops repeated lines of several workers. */
  say(line: string, about?: string): void
}

let standard: Io | undefined

/** The access log goes to stdout, lines for people to stderr. */
export function standardIo(): Io {
  standard ??= createStandardIo()
  return standard
}

function createStandardIo(): Io {
  const errors = new Output(process.stderr)
  const say = (line: string) => errors.write(`badass: ${escapeUnprintable(line)}`)
  const lines = new Output(process.stdout, say)
  process.on('exit', lines.flush)
  return { log: lines.writeSoon, say }
}

/** ms between two lines of a kind, and how many kinds are remembered: together they limit the rate of lines. */
const REPEAT_MS = 60_000
const MOST_KINDS = 100

/** Prints the first line of each kind, and then at most one a minute with the number of lines left out. */
export class RepeatFilter {
  readonly #say: (line: string) => void
  /** In the order in which they were last printed. */
  readonly #kinds = new Map<string, { saidAt: number; times: number }>()

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  say(kind: string, line: string): void {
    const now = performance.now()
    const known = this.#kinds.get(kind)
    if (known && now - known.saidAt < REPEAT_MS) {
      known.times++
      return
    }
    if (!known && this.#kinds.size >= MOST_KINDS) {
      const [oldest] = this.#kinds
      if (now - oldest![1].saidAt < REPEAT_MS) return
      this.#kinds.delete(oldest![0])
    }
    this.#kinds.delete(kind)
    this.#kinds.set(kind, { saidAt: now, times: 0 })
    this.#say(known?.times ? `${line} (and ${known.times} more since the last report)` : line)
  }
}

/** ms between two lines about an event that may happen on every connection. */
const PAUSE_MS = 10_000

/** Prints at most one line in 10 s. */
export function throttled(say: (line: string) => void): (line: string) => void {
  let last = Number.NEGATIVE_INFINITY
  return (line) => {
    const now = performance.now()
    if (now - last < PAUSE_MS) return
    last = now
    say(line)
  }
}
