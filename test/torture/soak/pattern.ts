import { Random } from './random.ts'

/** Bytes until the pattern repeats. A prime, so that a doubled piece of 2^n bytes never looks like the next piece. */
export const PERIOD = 1_000_003
const PIECE = 65_536

const table = Buffer.allocUnsafe(PERIOD + PIECE)
const random = new Random(0)
for (let i = 0; i < PERIOD; i++) table[i] = random.between(0, 255)
table.copy(table, PERIOD, 0, PIECE)

/** Up to `length` bytes, and at most 64 KiB, of the seed's body from offset `from`. A view, not a copy. */
export function pieceOf(seed: number, from: number, length: number): Buffer {
  const at = (seed + from) % PERIOD
  return table.subarray(at, at + Math.min(length, PIECE))
}

/** The seed's body in pieces of `size` bytes. */
export function* piecesOf(seed: number, length: number, size: number = PIECE): Generator<Buffer> {
  for (let at = 0; at < length; ) {
    const piece = pieceOf(seed, at, Math.min(size, length - at))
    yield piece
    at += piece.length
  }
}

/** A server-sent event on the wire: its number, and bytes that no other event of the seed has. */
export function eventOf(seed: number, number: number): Buffer {
  const data = pieceOf(seed, number * 64, 16 + (number % 240)).toString('base64')
  return Buffer.from(`id: ${number}\ndata: ${data}\n\n`)
}

/** The received bytes are not the sent ones. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch'
}

/** Compares the chunks of a received body with the bytes that were sent. */
export class Verifier {
  /** How many bytes were right so far. */
  position = 0
  readonly #seed: number
  readonly #length: number

  constructor(seed: number, length: number) {
    this.#seed = seed
    this.#length = length
  }

  /** @throws {Mismatch} on a wrong byte, and on one too many */
  push(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; ) {
      const expected = pieceOf(this.#seed, this.position, Math.min(chunk.length - from, this.#length - this.position))
      if (expected.length === 0) {
        throw new Mismatch(`${chunk.length - from} bytes too many after ${this.#length}`)
      }
      const got = chunk.subarray(from, from + expected.length)
      if (!got.equals(expected)) {
        const at = got.findIndex((byte, i) => byte !== expected[i])
        throw new Mismatch(`byte ${this.position + at} of ${this.#length} is ${got[at]}, not ${expected[at]}`)
      }
      from += expected.length
      this.position += expected.length
    }
  }

  /** Call it when the sender says that the body is complete. @throws {Mismatch} when bytes are missing */
  end(): void {
    if (this.position < this.#length) throw new Mismatch(`complete after ${this.position} bytes of ${this.#length}`)
  }
}
