import { BrokenOff, Refused } from './judge.ts'
import { Mismatch } from './pattern.ts'
import type { Wire } from './wire.ts'

const NOTHING = Buffer.alloc(0)
const HEAD_BYTES = 16_384

export interface Answer {
  status: number
  /** Values by lower-case name, in order. */
  fields: Map<string, string[]>
}

/** A strict reader of HTTP/1.1 responses. Every byte that does not belong to one is a mismatch. */
export class Answers {
  readonly #wire: Wire
  #rest: Buffer = NOTHING

  constructor(wire: Wire) {
    this.#wire = wire
  }

  async head(): Promise<Answer> {
    const [first = '', ...lines] = (await this.#until('\r\n\r\n')).split('\r\n')
    const status = /^HTTP\/1\.1 ([1-5]\d\d) /.exec(first)?.[1]
    if (status === undefined) throw new Mismatch(`no status line: ${JSON.stringify(first.slice(0, 80))}`)
    const fields: Answer['fields'] = new Map()
    for (const line of lines) {
      const colon = line.indexOf(':')
      if (colon <= 0) throw new Mismatch(`no field: ${JSON.stringify(line.slice(0, 80))}`)
      const name = line.slice(0, colon).toLowerCase()
      fields.set(name, [...(fields.get(name) ?? []), line.slice(colon + 1).trim()])
    }
    return { status: Number(status), fields }
  }

  /** The next head. @throws {Refused} when its status is not 200 */
  async ok(): Promise<Answer> {
    const answer = await this.head()
    if (answer.status !== 200) throw new Refused(answer.status)
    return answer
  }

  /** The body in chunks as they come. */
  async *body({ fields }: Answer): AsyncGenerator<Buffer> {
    if (fields.get('transfer-encoding')?.[0] !== 'chunked') {
      yield* this.#bytes(Number(fields.get('content-length')?.[0]))
      return
    }
    for (;;) {
      const line = await this.#until('\r\n')
      if (!/^[\da-f]{1,8}$/i.test(line)) throw new Mismatch(`bad chunk size: ${JSON.stringify(line.slice(0, 80))}`)
      const size = Number.parseInt(line, 16)
      yield* this.#bytes(size)
      if ((await this.#until('\r\n')) !== '') throw new Mismatch('no CRLF after a chunk')
      if (size === 0) return
    }
  }

  /** Waits for the FIN. @throws {Mismatch} on a byte before it */
  async end(): Promise<void> {
    this.noMore()
    if ((await this.#wire.read()) !== undefined) throw new Mismatch('bytes after the last answer')
  }

  /** @throws {Mismatch} when bytes follow the last answer */
  noMore(): void {
    if (this.#rest.length > 0) throw new Mismatch(`${this.#rest.length} bytes after the last answer`)
  }

  async #until(mark: string): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf(mark)
      if (end >= 0) {
        const text = this.#rest.toString('latin1', 0, end)
        this.#rest = this.#rest.subarray(end + mark.length)
        return text
      }
      if (this.#rest.length > HEAD_BYTES) throw new Mismatch('a line or head is too long')
      this.#rest = Buffer.concat([this.#rest, await this.#more()])
    }
  }

  async *#bytes(count: number): AsyncGenerator<Buffer> {
    if (!Number.isInteger(count)) throw new Mismatch('a body without a length')
    for (let left = count; left > 0; ) {
      const chunk = this.#rest.length > 0 ? this.#rest : await this.#more()
      yield chunk.subarray(0, left)
      this.#rest = chunk.subarray(left)
      left -= Math.min(left, chunk.length)
    }
  }

  async #more(): Promise<Buffer> {
    const chunk = await this.#wire.read()
    if (chunk === undefined) throw new BrokenOff('ended')
    return chunk
  }
}
