import type { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'

/** How many bytes a stream gives up to its end. Its other side, where it has one, is left as it is. */
export async function lengthOf(source: Readable): Promise<number> {
  let length = 0
  source.on('data', (chunk: Buffer) => {
    length += chunk.length
  })
  source.resume()
  await finished(source, { writable: false })
  return length
}

/** Resolves when a number has stopped to grow: that nothing more happens has no event of its own. */
export async function stable(value: () => number): Promise<number> {
  for (let before = -1, rounds = 0; rounds < 5; rounds++) {
    if (value() !== before) rounds = 0
    before = value()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return value()
}

/** Writes so many bytes, as fast as they are taken, and ends. `sent` says how many are out of this process's hands. */
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
