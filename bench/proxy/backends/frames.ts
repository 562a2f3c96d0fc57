const NOTHING = Buffer.alloc(0)

/** How long the head of a frame is (RFC 6455 5.2), going by its first two bytes. */
function headLength(second: number): number {
  const length = second & 0x7f
  return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (second & 0x80 ? 4 : 0)
}

/**
 * Sends each frame back without its mask, a payload as it comes in. A frame is 4 bytes shorter without the mask, so
 * what goes out is put together within the chunk that came in.
 */
export class Echo {
  /** The bytes of a head that is not all there. */
  #head: Buffer = NOTHING
  /** Bytes of the payload yet to come. */
  #left = 0
  #key = 0
  readonly #mask = Buffer.alloc(4)

  /** What to send back now; it lies in the chunk. */
  push(chunk: Buffer): Buffer {
    const data = this.#head.length > 0 ? Buffer.concat([this.#head, chunk]) : chunk
    let from = 0
    let to = 0
    while (from < data.length) {
      if (this.#left === 0) {
        const length = data.length - from < 2 ? 2 : headLength(data[from + 1]!)
        if (data.length - from < length) break
        to = this.#readHead(data, from, length, to)
        from += length
      }
      const end = Math.min(data.length, from + this.#left)
      this.#unmask(data, from, end)
      data.copyWithin(to, from, end)
      to += end - from
      this.#left -= end - from
      from = end
    }
    this.#head = from < data.length ? Buffer.from(data.subarray(from)) : NOTHING
    return data.subarray(0, to)
  }

  #readHead(data: Buffer, from: number, length: number, to: number): number {
    const short = data[from + 1]! & 0x7f
    if (short < 126) this.#left = short
    else this.#left = short === 126 ? data.readUInt16BE(from + 2) : Number(data.readBigUInt64BE(from + 2))
    const isMasked = (data[from + 1]! & 0x80) !== 0
    this.#key = isMasked ? data.readUInt32BE(from + length - 4) : 0
    this.#mask.writeUInt32BE(this.#key)
    // A ping (9) is answered with a pong (10), all else with its like.
    const first = data[from]!
    data[to] = (first & 0x0f) === 9 ? first + 1 : first
    data[to + 1] = short
    const head = isMasked ? length - 4 : length
    data.copyWithin(to + 2, from + 2, from + head)
    return to + head
  }

  #unmask(data: Buffer, from: number, end: number): void {
    // A mask of zeros, which the load uses, changes nothing.
    if (this.#key === 0) return
    for (let i = from; i < end; i++) data[i]! ^= this.#mask[(i - from) & 3]!
    // What is left of the payload begins at this place of the mask.
    const turn = (end - from) & 3
    if (turn > 0) this.#mask.set([...this.#mask.subarray(turn), ...this.#mask.subarray(0, turn)])
  }
}
