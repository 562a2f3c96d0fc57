import { Duplex } from 'node:stream'

class End extends Duplex {
  other!: End
  #taken: (() => void) | undefined

  override _read(): void {
    const taken = this.#taken
    this.#taken = undefined
    taken?.()
  }

  // The next bytes are accepted when the other end reads more.
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.other.push(chunk)) done()
    else this.other.#taken = done
  }

  override _final(done: () => void): void {
    this.other.push(null)
    done()
  }
}

/** Two ends of a connection in memory. Bytes written to one are read from the other. */
export function duplexPair(options: { highWaterMark?: number } = {}): [Duplex, Duplex] {
  const [a, b] = [new End(options), new End(options)]
  a.other = b
  b.other = a
  return [a, b]
}
