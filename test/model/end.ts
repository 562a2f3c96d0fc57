import type { Duplex } from 'node:stream'
import { TAKES_RESETS_FOR_ENDS } from '../../src/proxy/flow.ts'
import { reset } from '../../src/proxy/socket.ts'
import { pattern } from '../helpers/pattern.ts'
import type { Port } from './wire.ts'

/** Bytes that an end sends after its head, at most. */
const MOST = 1 << 24

/** What one end says, in full: a head, and bytes each of which tells where it stands. */
export class Script {
  readonly head: Buffer
  readonly #body: Buffer

  constructor(head: string, seed: number) {
    this.head = Buffer.from(head, 'latin1')
    this.#body = BODIES[seed]!
  }

  /** The bytes from one place of it to another. */
  slice(from: number, to: number): Buffer {
    const start = this.head.length
    return Buffer.concat([
      this.head.subarray(from, to),
      this.#body.subarray(Math.max(0, from - start), Math.max(0, to - start)),
    ])
  }

  /** So many of its first bytes, with another head in place of its own. */
  with(head: string | Buffer, length: number): Buffer {
    const bytes = typeof head === 'string' ? Buffer.from(head, 'latin1') : head
    return Buffer.concat([bytes, this.#body.subarray(0, Math.max(0, length - this.head.length))])
  }
}

const BODIES = [pattern(1, MOST), pattern(2, MOST)]

/** The client, or a backend, as a test plays it: what it did, and what it saw. */
export class End {
  readonly stream: Duplex
  readonly script: Script
  /** The kernel's side, where it is in memory. */
  readonly port: Port | undefined
  /** Bytes of the script that it wrote. */
  sent = 0
  hasEnded = false
  isReset = false
  /** It closed without a word, with bytes unread perhaps. */
  isClosed = false
  sawEnd = false
  /** That was no reset for sure. */
  sawFin = false
  /** All that it sent was on its way, and the FIN after it, before it broke off. */
  hasSaidAll = false
  readonly #received: Buffer[] = []
  length = 0

  constructor(stream: Duplex, script: Script, port?: Port) {
    this.stream = stream
    this.script = script
    this.port = port
    stream.on('data', (bytes: Buffer) => {
      this.#received.push(bytes)
      this.length += bytes.length
    })
    stream.on('end', () => {
      this.sawEnd = true
      if (port || !TAKES_RESETS_FOR_ENDS) this.sawFin = true
      else if (stream.writable) {
        stream.write('', (error) => {
          this.sawFin = !error
        })
      }
    })
    stream.on('error', () => undefined)
  }

  get received(): Buffer {
    return Buffer.concat(this.#received)
  }

  /** It has ended its side, or neither it nor the other can do more. */
  get isOver(): boolean {
    return this.hasEnded || this.isGone || this.stream.destroyed
  }

  /** It broke off. */
  get isGone(): boolean {
    return this.isReset || this.isClosed
  }

  send(size: number): void {
    const to = Math.min(this.sent + size, this.script.head.length + MOST)
    const bytes = this.script.slice(this.sent, to)
    this.sent = to
    this.stream.write(bytes)
  }

  end(): void {
    this.hasEnded = true
    this.stream.end()
  }

  reset(): void {
    this.isReset = true
    this.hasSaidAll = this.stream.writableFinished
    reset(this.stream)
  }

  /** Keeps what it sends from arriving. */
  hold(isHeld: boolean): void {
    if (this.port) this.port.peer.isHeld = isHeld
  }

  close(): void {
    this.isClosed = true
    this.hasSaidAll = this.stream.writableFinished
    this.stream.destroy()
  }
}
