import type { Duplex } from 'node:stream'
import { reset } from '../../../src/proxy/socket.ts'
import { REPORTS_RESETS_AS_ENDS } from '../../../src/proxy/tunnel/flow.ts'
import { pattern } from '../../helpers/pattern.ts'
import type { Port } from './wire.ts'

/** Maximum number of bytes that an end sends after its head. */
const MOST = 1 << 24

/** Everything that one end sends: a head, and bytes whose values depend on their offset. */
export class Script {
  readonly head: Buffer
  readonly #body: Buffer

  constructor(head: string, seed: number) {
    this.head = Buffer.from(head, 'latin1')
    this.#body = BODIES[seed]!
  }

  /** Returns the bytes between two offsets. */
  slice(from: number, to: number): Buffer {
    const start = this.head.length
    return Buffer.concat([
      this.head.subarray(from, to),
      this.#body.subarray(Math.max(0, from - start), Math.max(0, to - start)),
    ])
  }

  /** Returns the first bytes, with another head. */
  with(head: string | Buffer, length: number): Buffer {
    const bytes = typeof head === 'string' ? Buffer.from(head, 'latin1') : head
    return Buffer.concat([bytes, this.#body.subarray(0, Math.max(0, length - this.head.length))])
  }
}

const BODIES = [pattern(1, MOST), pattern(2, MOST)]

/** The client or a backend, controlled by the test, with what it did and saw. */
export class End {
  readonly stream: Duplex
  readonly script: Script
  /** The kernel's side of an end in memory. */
  readonly port: Port | undefined
  /** Number of bytes of the script that it wrote. */
  sent = 0
  hasEnded = false
  isReset = false
  /** It closed without a FIN, perhaps with unread bytes. */
  isClosed = false
  sawEnd = false
  /** The close certainly sent no reset. */
  sawFin = false
  /** All its bytes and its FIN had been sent before it was reset. */
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
      if (port || !REPORTS_RESETS_AS_ENDS) this.sawFin = true
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

  /** It has ended its side, or cannot do anything more. */
  get isOver(): boolean {
    return this.hasEnded || this.isGone || this.stream.destroyed
  }

  /** It was reset or destroyed. */
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

  /** Delays the arrival of its bytes. */
  hold(isHeld: boolean): void {
    if (this.port) this.port.peer.isHeld = isHeld
  }

  close(): void {
    this.isClosed = true
    this.hasSaidAll = this.stream.writableFinished
    this.stream.destroy()
  }
}
