import { BodyError, type BodyErrorCode } from './body-error.ts'
import type { BodyFraming } from './body-framing.ts'
import * as BYTES from './bytes.ts'
import { GUARDED, X_FORWARDED } from './guarded-names.ts'

// V8 inlines constants of this module, but looks up imported ones on each read.
const { BLANK, CLASS, COLON, CR, HEX, LF, SEMICOLON, TOKEN, VISIBLE } = BYTES

// The states, in the order of a chunked body. The first three also serve bodies without chunks.
const END = 0 //           the body is complete; the next message follows
const LENGTH = 1 //        in a body with a length; skips the rest of it
const UNTIL_CLOSE = 2 //   in a body that ends when the connection closes
const SIZE_START = 3 //    at the start of a chunk; awaits the first digit of its size
const SIZE = 4 //          in the size of a chunk
const EXTENSION = 5 //     after the semicolon of a chunk extension; awaits CR
const SIZE_END = 6 //      after the CR of a chunk's first line; awaits LF
const DATA = 7 //          in chunk data; skips the rest of it
const DATA_END = 8 //      after chunk data; awaits CR
const CHUNK_END = 9 //     after that CR; awaits LF
const TRAILER_START = 10 // at the start of a trailer line; a CR ends the body
const TRAILER_NAME = 11 // in the name of a trailer field; awaits the colon
const TRAILER_VALUE = 12 // after the colon; awaits CR
const TRAILER_END = 13 //  after the CR of a trailer line; awaits LF
const BODY_END = 14 //     after the CR of the empty line that ends the body; awaits LF
const INVALID = 15 //      the body was refused

const STATE_NAMES = (
  'End Length UntilClose SizeStart Size Extension SizeEnd Data DataEnd ChunkEnd ' +
  'TrailerStart TrailerName TrailerValue TrailerEnd BodyEnd Invalid'
).split(' ')

const FORBIDDEN: ReadonlySet<string> = new Set(GUARDED)
const LONGEST_FORBIDDEN = Math.max(...GUARDED.map((name) => name.length))
/** 2^53 has 14 hex digits. Some servers pad the size with zeros to a fixed width. */
const MAX_SIZE_DIGITS = 16

/** Limits of a `BodyScanner`. */
export interface BodyLimits {
  /** Maximum length of one chunk's extensions in bytes, from the semicolon to the CR. Default 4096. */
  maxChunkExtensionBytes?: number
  /** Maximum length of the trailer section in bytes, without the empty line that ends it. Default 16384. */
  maxTrailerBytes?: number
}

/**
 * Finds the end of a message's body in a stream of bytes (RFC 9112 6, 7). It copies nothing.
 *
 * It skips data by size without reading it, and reads each byte of chunk framing once however the stream is cut, so the
 * work is O(framing bytes). Chunk framing is strict: hex digits and CRLF without white space around them, and no CR or
 * LF inside an extension or a trailer. `bodyErrorCodes` lists the reasons for refusal.
 */
export class BodyScanner {
  readonly #maxExtension: number
  readonly #maxTrailer: number
  #state: number
  #error: BodyError | undefined
  /** Length of the body before the bytes that are being pushed. */
  #before = 0
  /** Remaining bytes of data. In SIZE: the size so far. */
  #left = 0
  #digits = 0
  /** Length so far of the current extension or of the trailer section. */
  #count = 0
  /** The current trailer's name in lower case, cut once it is longer than every forbidden name. */
  #name = ''

  /** @throws {RangeError} on a limit that is not a positive integer */
  constructor(framing: BodyFraming, limits: BodyLimits = {}) {
    this.#maxExtension = readLimit('maxChunkExtensionBytes', limits.maxChunkExtensionBytes ?? 4_096)
    this.#maxTrailer = readLimit('maxTrailerBytes', limits.maxTrailerBytes ?? 16_384)
    this.#state = START_STATES[framing.kind]
    if (framing.kind === 'length') this.#left = framing.length
    if (this.#state === LENGTH && this.#left === 0) this.#state = END
  }

  /** 'more': the body goes on. 'end': it is complete. 'invalid': it was refused, see `error`. */
  get state(): 'more' | 'end' | 'invalid' {
    if (this.#state === END) return 'end'
    return this.#state === INVALID ? 'invalid' : 'more'
  }

  /** The reason for 'invalid'. */
  get error(): BodyError | undefined {
    return this.#error
  }

  /**
   * Reads the next bytes and returns how many of them belong to the body, framing included. If that is not all of them,
   * the body ended or the next byte is invalid: see `state`. Appends the data among them, without its framing, to `data`
   * as views of the chunk. Never throws.
   */
  push(chunk: Uint8Array, data?: Uint8Array[]): number {
    const length = chunk.length
    let i = 0
    while (i < length && this.#state !== END && this.#state !== INVALID) {
      const isData = this.#state === DATA || this.#state === LENGTH || this.#state === UNTIL_CLOSE
      const next = this.#step(chunk, i, length)
      if (isData) data?.push(chunk.subarray(i, next))
      i = next
    }
    this.#before += i
    return i
  }

  /**
   * Call this when the stream ends. Returns an INCOMPLETE error if the body is unfinished. A body that ends when the
   * connection closes is complete.
   */
  end(): BodyError | undefined {
    if (this.#state === UNTIL_CLOSE) this.#state = END
    else if (this.#state !== END && this.#state !== INVALID) this.#refuse('INCOMPLETE', 0)
    return this.#error
  }

  #step(chunk: Uint8Array, i: number, length: number): number {
    // biome-ignore format: a state a line
    switch (this.#state) {
      case LENGTH: return this.#skip(i, length, END)
      case UNTIL_CLOSE: return length
      case SIZE_START: return this.#scanSizeStart(chunk, i)
      case SIZE: return this.#scanSize(chunk, i, length)
      case EXTENSION: return this.#scanExtension(chunk, i, length)
      case SIZE_END: return this.#scanLineEnd(chunk, i, this.#left === 0 ? TRAILER_START : DATA)
      case DATA: return this.#skip(i, length, DATA_END)
      case DATA_END: return this.#scanDataEnd(chunk, i)
      case CHUNK_END: return this.#scanLineEnd(chunk, i, SIZE_START)
      case TRAILER_START: return this.#scanTrailerStart(chunk, i)
      case TRAILER_NAME: return this.#scanTrailerName(chunk, i, length)
      case TRAILER_VALUE: return this.#scanTrailerValue(chunk, i, length)
      case TRAILER_END: return this.#scanLineEnd(chunk, i, TRAILER_START)
      default: return this.#scanLineEnd(chunk, i, END) // BODY_END
    }
  }

  #skip(i: number, length: number, next: number): number {
    const count = Math.min(length - i, this.#left)
    this.#left -= count
    if (this.#left === 0) this.#state = next
    return i + count
  }

  #scanSizeStart(chunk: Uint8Array, i: number): number {
    const byte = chunk[i]!
    if (!(CLASS[byte]! & HEX)) return this.#bad('BAD_CHUNK_SIZE', byte, i)
    this.#left = hexValue(byte)
    this.#digits = 1
    this.#state = SIZE
    return i + 1
  }

  #scanSize(chunk: Uint8Array, from: number, length: number): number {
    for (let i = from; i < length; i++) {
      const byte = chunk[i]!
      if (CLASS[byte]! & HEX) {
        const size = this.#left * 16 + hexValue(byte)
        if (++this.#digits > MAX_SIZE_DIGITS || size > Number.MAX_SAFE_INTEGER) return this.#fail('CHUNK_TOO_LARGE', i)
        this.#left = size
        continue
      }
      if (byte === CR) return this.#enter(SIZE_END, i)
      // RFC 9112 7.1.1 allows white space before the semicolon, but parsers disagree about it. Refuse it.
      if (byte !== SEMICOLON) return this.#bad('BAD_CHUNK_SIZE', byte, i)
      this.#count = 1
      return this.#enter(EXTENSION, i)
    }
    return length
  }

  #scanExtension(chunk: Uint8Array, from: number, length: number): number {
    for (let i = from; i < length; i++) {
      const byte = chunk[i]!
      if (byte === CR) return this.#enter(SIZE_END, i)
      if (!(CLASS[byte]! & (VISIBLE | BLANK))) return this.#bad('BAD_CHUNK_EXTENSION', byte, i)
      if (++this.#count > this.#maxExtension) return this.#fail('CHUNK_EXTENSION_TOO_LARGE', i)
    }
    return length
  }

  #scanDataEnd(chunk: Uint8Array, i: number): number {
    const byte = chunk[i]!
    return byte === CR ? this.#enter(CHUNK_END, i) : this.#bad('BAD_CHUNK_END', byte, i)
  }

  #scanLineEnd(chunk: Uint8Array, i: number, next: number): number {
    if (chunk[i] !== LF) return this.#fail('BARE_CR', i)
    // The trailer section starts after the last chunk's size. Its line ends count as part of it.
    if (this.#state === SIZE_END) this.#count = 0
    else if (next === TRAILER_START) this.#count++
    return this.#enter(next, i)
  }

  #scanTrailerStart(chunk: Uint8Array, i: number): number {
    const byte = chunk[i]!
    if (byte === CR) return this.#enter(BODY_END, i)
    if (!(CLASS[byte]! & TOKEN)) return this.#bad('BAD_TRAILER', byte, i)
    if (++this.#count > this.#maxTrailer) return this.#fail('TRAILER_TOO_LARGE', i)
    this.#name = comparable(byte)
    return this.#enter(TRAILER_NAME, i)
  }

  #scanTrailerName(chunk: Uint8Array, from: number, length: number): number {
    for (let i = from; i < length; i++) {
      const byte = chunk[i]!
      if (++this.#count > this.#maxTrailer) return this.#fail('TRAILER_TOO_LARGE', i)
      if (byte === COLON) {
        const isForbidden = FORBIDDEN.has(this.#name) || this.#name.startsWith(X_FORWARDED)
        if (isForbidden) return this.#fail('FORBIDDEN_TRAILER', i)
        return this.#enter(TRAILER_VALUE, i)
      }
      if (!(CLASS[byte]! & TOKEN)) return this.#bad('BAD_TRAILER', byte, i)
      if (this.#name.length <= LONGEST_FORBIDDEN) this.#name += comparable(byte)
    }
    return length
  }

  #scanTrailerValue(chunk: Uint8Array, from: number, length: number): number {
    for (let i = from; i < length; i++) {
      const byte = chunk[i]!
      if (++this.#count > this.#maxTrailer) return this.#fail('TRAILER_TOO_LARGE', i)
      if (byte === CR) return this.#enter(TRAILER_END, i)
      if (!(CLASS[byte]! & (VISIBLE | BLANK))) return this.#bad('BAD_TRAILER', byte, i)
    }
    return length
  }

  /** Enters a state after byte i. */
  #enter(next: number, i: number): number {
    this.#state = next
    return i + 1
  }

  /** Refuses byte i. A bare LF always has the code BARE_LF. */
  #bad(code: BodyErrorCode, byte: number, i: number): number {
    return this.#fail(byte === LF ? 'BARE_LF' : code, i)
  }

  #fail(code: BodyErrorCode, i: number): number {
    this.#refuse(code, i)
    return i
  }

  #refuse(code: BodyErrorCode, i: number): void {
    this.#error = new BodyError(code, this.#before + i, STATE_NAMES[this.#state]!)
    this.#state = INVALID
  }
}

const START_STATES = { none: END, length: LENGTH, chunked: SIZE_START, close: UNTIL_CLOSE } as const

function hexValue(byte: number): number {
  return byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57
}

/** A byte of a trailer's name: origins that read fields as CGI variables (RFC 3875 4.1.18) take `a_b` for `A-B`. */
function comparable(byte: number): string {
  return String.fromCharCode(byte)
    .toLowerCase()
    .replace(/[^a-z\d]/, '-')
}

function readLimit(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`${name}: expected a positive integer, got ${value}`)
}
