import type { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'

/** Number of bytes that a stream delivers up to its end. A duplex stream keeps its other side as it is. */
export async function lengthOf(source: Readable): Promise<number> {
  let length = 0
  source.on('data', (chunk: Buffer) => {
    length += chunk.length
  })
  source.resume()
  await finished(source, { writable: false })
  return length
}

/** Resolves when a number no longer grows. No event tells that nothing more happens. */
export async function stable(value: () => number): Promise<number> {
  for (let before = -1, rounds = 0; rounds < 5; rounds++) {
    if (value() !== before) rounds = 0
    before = value()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return value()
}

/** Writes `size` bytes as fast as the stream accepts them, and ends. `sent` counts the bytes handed to the kernel. */
export class Flood {
  sent = 0
  readonly #sink: Writable
  readonly #size: number

  constructor(sink: Writable, size: number) {
    this.#sink = sink
    this.#size = size
    this.#more()
  }

  #more(): void {
    if (this.sent >= this.#size) return void this.#sink.end()
    const chunk = Buffer.alloc(Math.min(1 << 16, this.#size - this.sent), 'x')
    this.#sink.write(chunk, (error) => {
      if (error) return
      this.sent += chunk.length
      this.#more()
    })
  }
}
